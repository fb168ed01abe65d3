// SPDX-License-Identifier: Apache-2.0
/** The camera's way in the scene: a line through all frames, and a pyramid for where it is now. */
import * as THREE from "three";
import { LineMaterial } from "three/addons/lines/LineMaterial.js";
import { LineSegments2 } from "three/addons/lines/LineSegments2.js";
import { LineSegmentsGeometry } from "three/addons/lines/LineSegmentsGeometry.js";

import { PYRAMID_SEGMENTS } from "./cameras";
import type { TrajectoryChange } from "./trajectory";

const LINE_COLOR = 0x5cc8ff;
const CAMERA_COLOR = 0xff8a5c;
const FIRST_CAPACITY = 1024;

export class Path {
  readonly group = new THREE.Group();
  readonly #line: LineSegments2;
  readonly #camera: LineSegments2;
  #points = new THREE.InstancedInterleavedBuffer(new Float32Array(0), 3, 1);

  constructor() {
    this.#line = fatLine(LINE_COLOR, 2);
    this.#camera = fatLine(CAMERA_COLOR, 2.5);
    this.#camera.geometry.setPositions(PYRAMID_SEGMENTS);
    this.group.add(this.#line, this.#camera);
  }

  /** `scale`: of the camera's pyramid. */
  set scale(scale: number) {
    this.#camera.scale.setScalar(scale);
  }

  apply({ count, from, positions, newest }: TrajectoryChange): void {
    if (count > this.#points.count) this.#grow(Math.max(FIRST_CAPACITY, 2 * count));
    this.#points.array.set(positions, 3 * from);
    this.#points.addUpdateRange(3 * from, positions.length);
    this.#points.needsUpdate = true;
    this.#line.visible = count > 1;
    this.#line.geometry.instanceCount = Math.max(0, count - 1);
    this.#camera.visible = newest !== undefined;
    if (newest === undefined) return;
    this.#camera.position.fromArray(newest.positionM);
    this.#camera.quaternion.fromArray(newest.quatXyzw);
  }

  clear(): void {
    this.#line.visible = false;
    this.#camera.visible = false;
  }

  /** A segment is an instance that starts at one point and ends at the next of the same buffer. */
  #grow(capacity: number): void {
    const points = new THREE.InstancedInterleavedBuffer(new Float32Array(3 * capacity), 3, 1);
    points.setUsage(THREE.DynamicDrawUsage);
    points.array.set(this.#points.array);
    this.#points = points;
    this.#line.geometry.dispose();
    this.#line.geometry = new LineSegmentsGeometry();
    const geometry = this.#line.geometry;
    geometry.boundingSphere = new THREE.Sphere(); // never culled; three would ask for one
    geometry.setAttribute("instanceStart", new THREE.InterleavedBufferAttribute(points, 3, 0));
    geometry.setAttribute("instanceEnd", new THREE.InterleavedBufferAttribute(points, 3, 3));
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
