// SPDX-License-Identifier: Apache-2.0
/** The trajectory in the scene: a line, a dot for each keyframe, a pyramid for the camera now. */
import * as THREE from "three";
import { LineMaterial } from "three/addons/lines/LineMaterial.js";
import { LineSegments2 } from "three/addons/lines/LineSegments2.js";
import { LineSegmentsGeometry } from "three/addons/lines/LineSegmentsGeometry.js";

import type { TrajectoryRow } from "./protocol";
import type { Trajectory } from "./trajectory";

const LINE_COLOR = 0x5cc8ff;
const KEYFRAME_COLOR = 0xffd479;
const CAMERA_COLOR = 0xff8a5c;
/** The pyramid's depth; its opening is that of a common RGB-D camera, 57° × 43°. */
const CAMERA_DEPTH_M = 0.18;
const HALF_WIDTH = Math.tan((57 / 2) * (Math.PI / 180));
const HALF_HEIGHT = Math.tan((43 / 2) * (Math.PI / 180));

export class Path {
  readonly group = new THREE.Group();
  readonly #trajectory: Trajectory;
  readonly #line: LineSegments2;
  readonly #keyframes: THREE.Points;
  readonly #camera: LineSegments2;
  #drawnVersion = -1;

  constructor(trajectory: Trajectory) {
    this.#trajectory = trajectory;
    this.#line = fatLine(LINE_COLOR, 2);
    this.#keyframes = new THREE.Points(
      new THREE.BufferGeometry(),
      new THREE.PointsMaterial({ color: KEYFRAME_COLOR, size: 5, sizeAttenuation: false }),
    );
    this.#keyframes.frustumCulled = false;
    this.#keyframes.geometry.boundingSphere = new THREE.Sphere();
    this.#camera = fatLine(CAMERA_COLOR, 2.5);
    this.#camera.geometry.setPositions(pyramid());
    this.#camera.visible = false;
    this.group.add(this.#line, this.#keyframes, this.#camera);
  }

  /** Draw the trajectory's present state; return whether it differs from what was drawn. */
  update(): boolean {
    if (this.#drawnVersion === this.#trajectory.version) return false;
    this.#drawnVersion = this.#trajectory.version;
    const rows = this.#trajectory.rows;
    this.#drawLine(rows);
    this.#drawKeyframes(rows);
    this.#drawCamera(rows.at(-1));
    return true;
  }

  #drawLine(rows: readonly TrajectoryRow[]): void {
    const line = this.#line;
    line.visible = rows.length > 1;
    if (!line.visible) return;
    const capacity = (line.userData["capacity"] as number | undefined) ?? 0;
    if (rows.length > capacity) this.#growLine(2 * rows.length);
    const points = line.userData["points"] as THREE.InstancedInterleavedBuffer;
    rows.forEach((row, i) => points.set(row.positionM, 3 * i));
    points.needsUpdate = true;
    line.geometry.instanceCount = rows.length - 1;
  }

  /** A segment is an instance that starts at one point and ends at the next of the same buffer. */
  #growLine(capacity: number): void {
    const points = new THREE.InstancedInterleavedBuffer(new Float32Array(3 * capacity), 3, 1);
    points.setUsage(THREE.DynamicDrawUsage);
    this.#line.geometry.dispose();
    this.#line.geometry = new LineSegmentsGeometry();
    const geometry = this.#line.geometry;
    geometry.boundingSphere = new THREE.Sphere(); // never culled; three would ask for one
    geometry.setAttribute("instanceStart", new THREE.InterleavedBufferAttribute(points, 3, 0));
    geometry.setAttribute("instanceEnd", new THREE.InterleavedBufferAttribute(points, 3, 3));
    this.#line.userData = { capacity, points };
  }

  #drawKeyframes(rows: readonly TrajectoryRow[]): void {
    const positions = rows.filter((row) => row.keyframe).flatMap((row) => row.positionM);
    const geometry = this.#keyframes.geometry;
    const drawn = geometry.getAttribute("position") as THREE.BufferAttribute | undefined;
    if (drawn !== undefined && drawn.array.length >= positions.length) {
      drawn.array.set(positions);
      drawn.needsUpdate = true;
    } else {
      geometry.dispose();
      const grown = new Float32Array(2 * positions.length);
      grown.set(positions);
      geometry.setAttribute("position", new THREE.BufferAttribute(grown, 3));
    }
    geometry.setDrawRange(0, positions.length / 3);
  }

  #drawCamera(newest: TrajectoryRow | undefined): void {
    this.#camera.visible = newest !== undefined;
    if (newest === undefined) return;
    this.#camera.position.fromArray(newest.positionM);
    this.#camera.quaternion.fromArray(newest.quatXyzw);
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

/** Segments of a camera that looks along +Z with +Y down; a small tick marks its upper edge. */
function pyramid(): number[] {
  const z = CAMERA_DEPTH_M;
  const [x, y] = [HALF_WIDTH * z, HALF_HEIGHT * z];
  const eye = [0, 0, 0];
  const corners = [[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z]];
  const tick = [[-x / 2, -1.15 * y, z], [0, -1.6 * y, z], [x / 2, -1.15 * y, z]];
  return [
    ...corners.flatMap((corner, i) => [...eye, ...corner, ...corner, ...corners[(i + 1) % 4]]),
    ...tick.flatMap((point, i) => [...point, ...tick[(i + 1) % 3]]),
  ];
}
