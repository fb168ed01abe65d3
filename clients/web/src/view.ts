// SPDX-License-Identifier: Apache-2.0
/**
 * Where the viewer looks from. `orbit` turns around a point; until the user takes hold of it, it
 * keeps the whole map in sight from a little above and behind the recording camera. `fly` moves
 * freely, `follow` chases the recording camera.
 */
import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

import { Fly } from "./fly";
import type { Spread } from "./map";
import type { Pose } from "./protocol";

export const VIEW_MODES = ["orbit", "fly", "follow"] as const;
export type ViewMode = (typeof VIEW_MODES)[number];

/** What the view is about. */
export interface Subject {
  spread: Spread | null;
  first: Pose | undefined;
  newest: Pose | undefined;
  /** A metre, or what takes its place in a map without scale. */
  scale: number;
}

/** Of the sphere around the map's box, which the corners alone reach. */
const FIT_SHARE = 0.8;
const FIT_ELEVATION_RAD = 0.6;
const MIN_RADIUS = 0.4;
const FOLLOW_BEHIND = 1.1;
const FOLLOW_ABOVE = 0.55;
const FOLLOW_AHEAD = 1.2;
const FLY_TO_ORBIT = 1.5;
const SETTLE_S = 0.45;
const UP = new THREE.Vector3(0, 0, 1);

export class View {
  readonly camera = new THREE.PerspectiveCamera(55, 1, 0.02, 500);
  readonly controls: OrbitControls;
  readonly fly: Fly;
  /** Called when the mode, or whether all is kept in sight, changes. */
  modeChanged: () => void = () => {};
  #mode: ViewMode = "orbit";
  #isFitting = true;
  readonly #eye = new THREE.Vector3();
  readonly #target = new THREE.Vector3();
  readonly #heading = new THREE.Vector3();
  readonly #size = new THREE.Vector3();
  readonly #turn = new THREE.Quaternion();
  #scale = 1;
  /** Jump instead of gliding: for the first view, and for who prefers less motion. */
  #jump = true;
  readonly #reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

  constructor(canvas: HTMLCanvasElement) {
    this.camera.up.copy(UP);
    this.camera.position.set(-3, -3, 2.5);
    this.controls = new OrbitControls(this.camera, canvas);
    this.controls.enableDamping = true;
    this.controls.dampingFactor = 0.12;
    this.controls.zoomToCursor = true;
    this.controls.screenSpacePanning = true;
    this.controls.addEventListener("start", () => this.#takeHold());
    this.controls.listenToKeyEvents(canvas);
    canvas.addEventListener("keydown", (event) => {
      if (event.key.startsWith("Arrow") && this.#mode !== "fly") this.#takeHold();
    });
    this.fly = new Fly(canvas, this.camera);
  }

  get mode(): ViewMode {
    return this.#mode;
  }

  /** Whether the whole map is kept in sight. */
  get isFitting(): boolean {
    return this.#mode === "orbit" && this.#isFitting;
  }

  setMode(mode: ViewMode): void {
    if (this.#mode === mode) return;
    if (this.#mode === "fly") this.#orbitAhead();
    this.#mode = mode;
    this.#isFitting = false;
    this.controls.enabled = mode !== "fly";
    this.fly.enabled = mode === "fly";
    this.modeChanged();
  }

  /** Keep the whole map in sight from now on. */
  fit(): void {
    this.setMode("orbit");
    this.#isFitting = true;
    this.modeChanged();
  }

  /** Start over with an empty scene. */
  reset(): void {
    if (this.#mode !== "follow") this.fit();
    this.#jump = true;
  }

  /** Turn around `point` from now on, gliding there. */
  focus(point: THREE.Vector3): void {
    this.#takeHold();
    this.#target.copy(point).sub(this.controls.target).multiplyScalar(0.5);
    this.camera.position.add(this.#target);
    this.controls.target.copy(point);
  }

  /** Move on by `elapsedS`; return whether the picture changes. */
  update(subject: Subject, elapsedS: number): boolean {
    this.#reach(subject);
    if (this.#mode === "fly") return this.fly.update(elapsedS, subject.scale);
    return this.#aim(subject) ? this.#glide(elapsedS) : this.controls.update(elapsedS);
  }

  /** The user moves the camera: it no longer moves by itself. */
  #takeHold(): void {
    this.setMode("orbit");
    this.#isFitting = false;
    this.modeChanged();
  }

  #glide(elapsedS: number): boolean {
    const isJump = this.#jump || this.#reducedMotion.matches;
    const share = isJump ? 1 : 1 - Math.exp(-elapsedS / SETTLE_S);
    this.#jump = false;
    const { position } = this.camera;
    const target = this.controls.target;
    const still = 1e-4 * position.distanceTo(target);
    if (position.distanceTo(this.#eye) + target.distanceTo(this.#target) < still) return false;
    position.lerp(this.#eye, share);
    target.lerp(this.#target, share);
    this.controls.update(elapsedS);
    return true;
  }

  /** What lies closer or farther is not drawn: both go with the map's size. */
  #reach({ spread, scale }: Subject): void {
    const size = spread === null ? 0 : this.#extent(spread).length();
    const far = Math.max(500 * scale, 2 ** Math.ceil(Math.log2(20 * size + scale)));
    if (this.#scale === scale && this.camera.far === far) return;
    this.#scale = scale;
    this.camera.near = 0.02 * scale;
    this.camera.far = far;
    this.camera.updateProjectionMatrix();
  }

  #orbitAhead(): void {
    this.camera.getWorldDirection(this.#heading);
    const { target } = this.controls;
    target.copy(this.camera.position).addScaledVector(this.#heading, FLY_TO_ORBIT * this.#scale);
  }

  /** Find eye and target of the present mode; false if the user moves it, or nothing is there. */
  #aim(subject: Subject): boolean {
    if (this.#mode === "follow" && subject.newest !== undefined) {
      this.#aimBehind(subject.newest, subject.scale);
      return true;
    }
    if (!this.isFitting || subject.spread === null) return false;
    this.#aimAtAll(subject.spread, subject);
    return true;
  }

  #aimBehind(newest: Pose, scale: number): void {
    const forward = this.#forward(newest);
    this.#eye.fromArray(newest.positionM).addScaledVector(forward, -FOLLOW_BEHIND * scale);
    this.#eye.z += FOLLOW_ABOVE * scale;
    this.#target.fromArray(newest.positionM).addScaledVector(forward, FOLLOW_AHEAD * scale);
  }

  #aimAtAll(spread: Spread, { first, scale }: Subject): void {
    const heading = first === undefined ? this.#heading.set(1, 1, 0) : this.#forward(first);
    heading.z = 0;
    if (heading.lengthSq() < 1e-6) heading.set(1, 0, 0);
    // A little off the camera's axis shows the depth of a room better than straight on.
    heading.normalize().applyAxisAngle(UP, -0.35);
    const radius = Math.max(MIN_RADIUS * scale, (FIT_SHARE * this.#extent(spread).length()) / 2);
    const halfAngle = (this.camera.fov / 2) * (Math.PI / 180);
    const narrow = Math.min(1, this.camera.aspect);
    const distance = radius / Math.sin(Math.atan(Math.tan(halfAngle) * narrow));
    this.#target.fromArray(spread.low).addScaledVector(this.#extent(spread), 0.5);
    this.#eye
      .copy(this.#target)
      .addScaledVector(heading, -distance * Math.cos(FIT_ELEVATION_RAD))
      .addScaledVector(UP, distance * Math.sin(FIT_ELEVATION_RAD));
  }

  /** From corner to corner of the map's box. */
  #extent({ low, high }: Spread): THREE.Vector3 {
    return this.#size.set(high[0] - low[0], high[1] - low[1], high[2] - low[2]);
  }

  /** The camera's optical axis, +Z, in the world. */
  #forward(row: Pose): THREE.Vector3 {
    return this.#heading.set(0, 0, 1).applyQuaternion(this.#turn.fromArray(row.quatXyzw));
  }
}
