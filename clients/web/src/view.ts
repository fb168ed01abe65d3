// SPDX-License-Identifier: Apache-2.0
/**
 * Where the viewer looks from. `fit` keeps the whole map in sight from a little above and behind
 * the recording camera; `follow` flies behind that camera; `free` is what the user made of it.
 */
import * as THREE from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

import type { Spread } from "./map";
import type { TrajectoryRow } from "./protocol";

export type ViewMode = "fit" | "follow" | "free";

/** What the view is about. */
export interface Subject {
  readonly spread: Spread | null;
  readonly first: TrajectoryRow | undefined;
  readonly newest: TrajectoryRow | undefined;
}

/** Most of a map lies within so many standard deviations of its middle. */
const FIT_DEVIATIONS = 1.5;
const FIT_ELEVATION_RAD = 0.6;
const MIN_RADIUS_M = 0.4;
const FOLLOW_BEHIND_M = 1.1;
const FOLLOW_ABOVE_M = 0.55;
const FOLLOW_AHEAD_M = 1.2;
const SETTLE_S = 0.45;
const UP = new THREE.Vector3(0, 0, 1);

export class View {
  readonly camera = new THREE.PerspectiveCamera(55, 1, 0.02, 500);
  readonly controls: OrbitControls;
  /** Called when the mode changes. */
  modeChanged: (mode: ViewMode) => void = () => {};
  #mode: ViewMode = "fit";
  readonly #eye = new THREE.Vector3();
  readonly #target = new THREE.Vector3();
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
    this.controls.addEventListener("start", () => this.setMode("free"));
    this.controls.listenToKeyEvents(canvas);
    canvas.addEventListener("keydown", (event) => {
      if (event.key.startsWith("Arrow")) this.setMode("free");
    });
  }

  get mode(): ViewMode {
    return this.#mode;
  }

  setMode(mode: ViewMode): void {
    if (this.#mode === mode) return;
    this.#mode = mode;
    this.modeChanged(mode);
  }

  /** Start over with an empty scene. */
  reset(): void {
    this.setMode("fit");
    this.#jump = true;
  }

  /** Turn around `point` from now on, gliding there. */
  focus(point: THREE.Vector3): void {
    this.setMode("free");
    this.camera.position.add(point.clone().sub(this.controls.target).multiplyScalar(0.5));
    this.controls.target.copy(point);
  }

  /** Move on by `elapsedS`; return whether the picture changes. */
  update(subject: Subject, elapsedS: number): boolean {
    const wanted = this.mode !== "free" && this.#aim(subject);
    if (!wanted) return this.controls.update(elapsedS);
    const share = this.#jump || this.#reducedMotion.matches ? 1 : 1 - Math.exp(-elapsedS / SETTLE_S);
    this.#jump = false;
    const { position } = this.camera;
    const target = this.controls.target;
    const stillM = 1e-4 * position.distanceTo(target);
    if (position.distanceTo(this.#eye) + target.distanceTo(this.#target) < stillM) return false;
    position.lerp(this.#eye, share);
    target.lerp(this.#target, share);
    this.controls.update(elapsedS);
    return true;
  }

  /** Find eye and target of the present mode; false if there is nothing to look at yet. */
  #aim({ spread, first, newest }: Subject): boolean {
    if (this.mode === "follow" && newest !== undefined) {
      this.#aimBehind(newest);
      return true;
    }
    if (spread === null) return false;
    this.#aimAtAll(spread, first);
    return true;
  }

  #aimBehind(newest: TrajectoryRow): void {
    const forward = forwardWorld(newest);
    this.#eye.fromArray(newest.positionM).addScaledVector(forward, -FOLLOW_BEHIND_M);
    this.#eye.z += FOLLOW_ABOVE_M;
    this.#target.fromArray(newest.positionM).addScaledVector(forward, FOLLOW_AHEAD_M);
  }

  #aimAtAll(spread: Spread, first: TrajectoryRow | undefined): void {
    const heading = first === undefined ? new THREE.Vector3(1, 1, 0) : forwardWorld(first);
    heading.z = 0;
    if (heading.lengthSq() < 1e-6) heading.set(1, 0, 0);
    // A little off the camera's axis shows the depth of a room better than straight on.
    heading.normalize().applyAxisAngle(UP, -0.35);
    const radiusM = Math.max(MIN_RADIUS_M, FIT_DEVIATIONS * spread.deviationM);
    const halfAngle = (this.camera.fov / 2) * (Math.PI / 180);
    const narrow = Math.min(1, this.camera.aspect);
    const distanceM = radiusM / Math.sin(Math.atan(Math.tan(halfAngle) * narrow));
    this.#target.fromArray(spread.centerM);
    this.#eye
      .copy(this.#target)
      .addScaledVector(heading, -distanceM * Math.cos(FIT_ELEVATION_RAD))
      .addScaledVector(UP, distanceM * Math.sin(FIT_ELEVATION_RAD));
  }
}

/** The camera's optical axis, +Z, in the world. */
function forwardWorld(row: TrajectoryRow): THREE.Vector3 {
  return new THREE.Vector3(0, 0, 1).applyQuaternion(new THREE.Quaternion(...row.quatXyzw));
}
