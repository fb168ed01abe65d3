// SPDX-License-Identifier: Apache-2.0
/** The camera's way in the scene: a line through all frames, and a pyramid for where it is now. */
import * as THREE from "three";
import { LineMaterial } from "three/addons/lines/LineMaterial.js";
import { LineSegments2 } from "three/addons/lines/LineSegments2.js";
import { LineSegmentsGeometry } from "three/addons/lines/LineSegmentsGeometry.js";

import { PYRAMID_SEGMENTS } from "./cameras";
import { Gliding } from "./gliding";
import type { TrajectoryChange } from "./trajectory";

const LINE_COLOR = 0x5cc8ff;
const CAMERA_COLOR = 0xff8a5c;

export class Path {
  readonly group = new THREE.Group();
  readonly #line: LineSegments2;
  readonly #camera: LineSegments2;
  readonly #points = new Gliding();
  #scale = 1;

  constructor() {
    this.#line = fatLine(LINE_COLOR, 2);
    this.#camera = fatLine(CAMERA_COLOR, 2.5);
    this.#camera.geometry.setPositions(PYRAMID_SEGMENTS);
    this.group.add(this.#line, this.#camera);
  }

  /** `scale`: of the camera's pyramid. */
  set scale(scale: number) {
    this.#scale = scale;
    this.#camera.scale.setScalar(scale);
  }

  apply({ count, from, positions, newest }: TrajectoryChange): void {
    const { buffer } = this.#points;
    this.#points.set(from, positions);
    if (this.#points.buffer !== buffer) this.#line.geometry = this.#segments();
    this.#line.visible = count > 1;
    this.#line.geometry.instanceCount = Math.max(0, count - 1);
    this.#camera.visible = newest !== undefined;
    if (newest === undefined) return;
    this.#points.last(this.#camera.position);
    this.#camera.quaternion.fromArray(newest.quatXyzw);
  }

  /** Glide on to where it belongs; return whether the picture changes. */
  advance(elapsedS: number): boolean {
    if (!this.#points.advance(elapsedS, this.#scale)) return false;
    this.#points.last(this.#camera.position);
    return true;
  }

  clear(): void {
    this.#points.clear();
    this.#line.visible = false;
    this.#camera.visible = false;
  }

  /** A segment is an instance that starts at one point and ends at the next of the same buffer. */
  #segments(): LineSegmentsGeometry {
    this.#line.geometry.dispose();
    const geometry = new LineSegmentsGeometry();
    const { buffer } = this.#points;
    geometry.boundingSphere = new THREE.Sphere(); // never culled; three would ask for one
    geometry.setAttribute("instanceStart", new THREE.InterleavedBufferAttribute(buffer, 3, 0));
    geometry.setAttribute("instanceEnd", new THREE.InterleavedBufferAttribute(buffer, 3, 3));
    return geometry;
  }
}

function fatLine(color: number, widthPx: number): LineSegments2 {
  const line = new LineSegments2(
    new LineSegmentsGeometry(),
    new LineMaterial({ color, linewidth: widthPx }),
  );
  line.frustumCulled = false;
  line.visible = false;
  return line;
}
