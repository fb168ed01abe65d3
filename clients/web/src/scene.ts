// SPDX-License-Identifier: Apache-2.0
/** The picture: renderer, frame loop, and what is in the scene. Draws only when something moved. */
import * as THREE from "three";

import type { MapState } from "./map";
import { Path } from "./path";
import { Regions } from "./regions";
import type { Trajectory } from "./trajectory";
import { View } from "./view";

const BACKGROUND = 0x11151a;
/** Of an animation frame, for rebuilding meshes. */
const REBUILD_BUDGET_MS = 5;
/** A picture that takes longer leaves the machine twice its time for other work, within limits. */
const SLOW_PICTURE_MS = 50;
const LONGEST_REST_MS = 600;

// Colours of a map are what a camera saw, sRGB bytes, and nothing is lit: they go to the screen
// as they are. three.js would otherwise take vertex colours as linear and wash them out.
THREE.ColorManagement.enabled = false;

export class Scene {
  readonly view: View;
  readonly regions: Regions;
  readonly #map: MapState;
  readonly #trajectory: Trajectory;
  readonly #path: Path;
  readonly #renderer: THREE.WebGLRenderer;
  readonly #scene = new THREE.Scene();
  #voxelSizeM = 0;
  #stale = true;
  #lastMs = performance.now();
  #drawnAtMs = 0;
  #pictureMs = 0;

  /** Throws when the browser has no WebGL 2. */
  constructor(canvas: HTMLCanvasElement, map: MapState, trajectory: Trajectory) {
    this.#map = map;
    this.#trajectory = trajectory;
    this.#renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.#renderer.outputColorSpace = THREE.LinearSRGBColorSpace;
    this.#renderer.setPixelRatio(Math.min(2, window.devicePixelRatio));
    this.#scene.background = new THREE.Color(BACKGROUND);
    // Triangles face free space, so culling their backs opens rooms to a look from outside.
    this.regions = new Regions(
      new THREE.MeshBasicMaterial({ vertexColors: true, side: THREE.FrontSide }),
    );
    this.#path = new Path(trajectory);
    this.#scene.add(this.regions.group, this.#path.group);
    this.view = new View(canvas);
    this.view.controls.addEventListener("change", () => this.invalidate());
    canvas.addEventListener("dblclick", (event) => this.#focus(event));
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
    this.#renderer.setAnimationLoop((nowMs) => this.#frame(nowMs));
  }

  set voxelSizeM(voxelSizeM: number) {
    this.#voxelSizeM = voxelSizeM;
    this.regions.voxelSizeM = voxelSizeM;
  }

  /** Where the viewer's eye is, world metres. */
  get viewpointM(): [number, number, number] {
    return this.view.camera.position.toArray();
  }

  /** Whether the picture shows all that was received. */
  get settled(): boolean {
    return this.regions.pending === 0 && !this.#stale;
  }

  /** Draw again with the next animation frame. */
  invalidate(): void {
    this.#stale = true;
  }

  clear(): void {
    this.regions.clear();
    this.view.reset();
    this.invalidate();
  }

  #frame(nowMs: number): void {
    const elapsedS = Math.min(0.1, (nowMs - this.#lastMs) / 1000);
    if (this.#drawnAtMs === this.#lastMs) this.#pictureMs = nowMs - this.#drawnAtMs;
    this.#lastMs = nowMs;
    if (this.regions.update(REBUILD_BUDGET_MS)) this.invalidate();
    if (this.#path.update()) this.invalidate();
    const subject = {
      spread: this.#map.spread(this.#voxelSizeM),
      first: this.#trajectory.first,
      newest: this.#trajectory.newest,
    };
    const isMoved = this.view.update(subject, elapsedS);
    if (isMoved) this.invalidate();
    const isByHand = isMoved && this.view.mode === "free";
    if (this.#stale && (isByHand || this.#isRested(nowMs))) this.#draw(nowMs);
  }

  /** A slow renderer must not starve the messages: it would show old states at leisure. */
  #isRested(nowMs: number): boolean {
    if (this.#pictureMs < SLOW_PICTURE_MS) return true;
    const restMs = Math.min(LONGEST_REST_MS, 2 * this.#pictureMs);
    return nowMs - this.#drawnAtMs >= this.#pictureMs + restMs;
  }

  #draw(nowMs: number): void {
    this.#stale = false;
    this.#drawnAtMs = nowMs;
    this.#renderer.render(this.#scene, this.view.camera);
  }

  #resize(): void {
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    if (clientWidth === 0 || clientHeight === 0) return;
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.view.camera.aspect = clientWidth / clientHeight;
    this.view.camera.updateProjectionMatrix();
    this.invalidate();
  }

  #focus(event: MouseEvent): void {
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    const pointer = new THREE.Vector2(
      (2 * event.offsetX) / clientWidth - 1,
      1 - (2 * event.offsetY) / clientHeight,
    );
    const caster = new THREE.Raycaster();
    caster.setFromCamera(pointer, this.view.camera);
    const [hit] = caster.intersectObject(this.regions.group);
    if (hit !== undefined) this.view.focus(hit.point);
  }
}
