// SPDX-License-Identifier: Apache-2.0
/**
 * Flying through the map: keys move, dragging looks around. On a touch screen one finger looks,
 * two fingers move sideways and up, and spreading them moves forward. The horizon stays level.
 */
import * as THREE from "three";

const SPEED_PER_S = 1.4;
const FAST = 4;
/** How soon the speed follows the keys. */
const INERTIA_S = 0.1;
const LOOK_RAD_PER_PX = 0.0035;
const TOUCH_PER_PX = 0.006;
const STEEPEST_RAD = 1.5;
const STILL_PER_S = 1e-3;

/** Key → right, up, forward. By their place on the keyboard, whatever letter is on them. */
const DIRECTIONS: Readonly<Record<string, readonly [number, number, number]>> = {
  KeyW: [0, 0, 1],
  KeyS: [0, 0, -1],
  KeyA: [-1, 0, 0],
  KeyD: [1, 0, 0],
  KeyE: [0, 1, 0],
  KeyQ: [0, -1, 0],
  ArrowUp: [0, 0, 1],
  ArrowDown: [0, 0, -1],
  ArrowLeft: [-1, 0, 0],
  ArrowRight: [1, 0, 0],
};

export const isFlyKey = (code: string): boolean => code.startsWith("Key") && code in DIRECTIONS;

export class Fly {
  readonly #camera: THREE.Camera;
  readonly #pressed = new Set<string>();
  readonly #pointers = new Map<number, THREE.Vector2>();
  readonly #wanted = new THREE.Vector3();
  readonly #velocity = new THREE.Vector3();
  readonly #step = new THREE.Vector3();
  readonly #forward = new THREE.Vector3();
  /** Moves by touch that wait for the next `update`: right, up, forward. */
  readonly #nudge = new THREE.Vector3();
  #yaw = 0;
  #pitch = 0;
  #isFast = false;
  #isTurned = false;
  #enabled = false;

  constructor(canvas: HTMLElement, camera: THREE.Camera) {
    this.#camera = camera;
    canvas.addEventListener("pointerdown", (event) => this.#press(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    }
    window.addEventListener("keyup", (event) => {
      this.#isFast = event.shiftKey;
      this.#pressed.delete(event.code);
    });
    window.addEventListener("blur", () => this.#pressed.clear());
  }

  /** A key went down; return whether it is one of these. */
  keyDown(event: KeyboardEvent): boolean {
    this.#isFast = event.shiftKey;
    if (!(event.code in DIRECTIONS)) return false;
    this.#pressed.add(event.code);
    return true;
  }

  /** Take the camera over from where it is, or leave it there. */
  set enabled(enabled: boolean) {
    this.#enabled = enabled;
    this.#pressed.clear();
    this.#pointers.clear();
    this.#velocity.set(0, 0, 0);
    const forward = this.#camera.getWorldDirection(this.#forward);
    this.#yaw = Math.atan2(forward.y, forward.x);
    this.#pitch = Math.asin(THREE.MathUtils.clamp(forward.z, -1, 1));
    this.#isTurned = enabled;
  }

  /** Move on by `elapsedS`; return whether the picture changes. `scale`: units per step. */
  update(elapsedS: number, scale: number): boolean {
    this.#wanted.set(0, 0, 0);
    for (const code of this.#pressed) {
      const [right, up, forward] = DIRECTIONS[code];
      this.#step.set(right, up, forward);
      this.#wanted.add(this.#step);
    }
    this.#wanted.multiplyScalar(SPEED_PER_S * scale * (this.#isFast ? FAST : 1));
    this.#velocity.lerp(this.#wanted, 1 - Math.exp(-elapsedS / INERTIA_S));
    this.#step.copy(this.#velocity).multiplyScalar(elapsedS);
    this.#step.addScaledVector(this.#nudge, scale);
    this.#nudge.set(0, 0, 0);
    const isMoving = this.#step.length() > STILL_PER_S * scale * elapsedS;
    if (!isMoving && !this.#isTurned) return false;
    this.#isTurned = false;
    this.#look();
    this.#camera.translateX(this.#step.x);
    this.#camera.position.z += this.#step.y;
    this.#camera.translateZ(-this.#step.z);
    return true;
  }

  #look(): void {
    const flat = Math.cos(this.#pitch);
    this.#forward.set(
      flat * Math.cos(this.#yaw),
      flat * Math.sin(this.#yaw),
      Math.sin(this.#pitch),
    );
    this.#camera.lookAt(this.#forward.add(this.#camera.position));
  }

  #press(event: PointerEvent): void {
    if (!this.#enabled) return;
    (event.target as HTMLElement).setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, new THREE.Vector2(event.clientX, event.clientY));
  }

  #move(event: PointerEvent): void {
    const last = this.#pointers.get(event.pointerId);
    if (last === undefined) return;
    const spreadPx = this.#spreadPx();
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y];
    last.set(event.clientX, event.clientY);
    if (this.#pointers.size === 1) {
      this.#yaw += LOOK_RAD_PER_PX * dx; // the scene follows the pointer
      const pitch = this.#pitch + LOOK_RAD_PER_PX * dy;
      this.#pitch = THREE.MathUtils.clamp(pitch, -STEEPEST_RAD, STEEPEST_RAD);
      this.#isTurned = true;
    } else {
      this.#nudge.x -= (TOUCH_PER_PX / 2) * dx;
      this.#nudge.y += (TOUCH_PER_PX / 2) * dy;
      this.#nudge.z += TOUCH_PER_PX * (this.#spreadPx() - spreadPx);
    }
  }

  /** Between the first two fingers. */
  #spreadPx(): number {
    const [a, b] = this.#pointers.values();
    return b === undefined ? 0 : a.distanceTo(b);
  }
}
