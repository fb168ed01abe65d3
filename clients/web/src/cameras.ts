// SPDX-License-Identifier: Apache-2.0
/** The keyframes in the scene: a small pyramid for each, all with one draw call. */
import * as THREE from "three";

import { POSE_NUMBERS } from "./trajectory";

const COLOR = 0xffd479;
const SIZE = 0.5;
const FIRST_CAPACITY = 256;

/** A pyramid's depth; its opening is that of a common camera, 57° × 43°. */
const DEPTH = 0.18;
const HALF_WIDTH = Math.tan((57 / 2) * (Math.PI / 180));
const HALF_HEIGHT = Math.tan((43 / 2) * (Math.PI / 180));

/** Segments of a camera that looks along +Z with +Y down; a small tick marks its upper edge. */
export const PYRAMID_SEGMENTS: number[] = pyramid();

const VERTEX = /* glsl */ `
  uniform float size;
  in vec3 eye;
  in vec4 turn;
  void main() {
    vec3 point = size * position;
    // q p q*, without the products that are zero.
    point += 2.0 * cross(turn.xyz, cross(turn.xyz, point) + turn.w * point);
    gl_Position = projectionMatrix * viewMatrix * vec4(eye + point, 1.0);
  }
`;

const FRAGMENT = /* glsl */ `
  uniform vec3 tint;
  out vec4 color;
  void main() {
    color = vec4(tint, 1.0);
  }
`;

export class Cameras {
  readonly lines: THREE.LineSegments<THREE.InstancedBufferGeometry, THREE.ShaderMaterial>;
  #poses = new THREE.InstancedInterleavedBuffer(new Float32Array(0), POSE_NUMBERS, 1);

  constructor() {
    const material = new THREE.ShaderMaterial({
      glslVersion: THREE.GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      uniforms: { size: { value: SIZE }, tint: { value: new THREE.Color(COLOR) } },
    });
    this.lines = new THREE.LineSegments(pyramids(this.#poses), material);
    this.lines.frustumCulled = false;
  }

  set scale(scale: number) {
    this.lines.material.uniforms["size"].value = SIZE * scale;
  }

  /** POSE_NUMBERS each: world_from_camera as position and quaternion xyzw. */
  apply(poses: Float32Array): void {
    const count = poses.length / POSE_NUMBERS;
    if (count > this.#poses.count) this.#grow(Math.max(FIRST_CAPACITY, 2 * count));
    this.#poses.array.set(poses);
    this.#poses.needsUpdate = true;
    this.lines.geometry.instanceCount = count;
  }

  clear(): void {
    this.lines.geometry.instanceCount = 0;
  }

  #grow(capacity: number): void {
    const numbers = new Float32Array(POSE_NUMBERS * capacity);
    this.#poses = new THREE.InstancedInterleavedBuffer(numbers, POSE_NUMBERS, 1);
    this.lines.geometry.dispose();
    this.lines.geometry = pyramids(this.#poses);
  }
}

function pyramids(poses: THREE.InstancedInterleavedBuffer): THREE.InstancedBufferGeometry {
  const geometry = new THREE.InstancedBufferGeometry();
  geometry.setAttribute("position", new THREE.Float32BufferAttribute(PYRAMID_SEGMENTS, 3));
  geometry.setAttribute("eye", new THREE.InterleavedBufferAttribute(poses, 3, 0));
  geometry.setAttribute("turn", new THREE.InterleavedBufferAttribute(poses, 4, 3));
  geometry.instanceCount = 0;
  return geometry;
}

function pyramid(): number[] {
  const z = DEPTH;
  const [x, y] = [HALF_WIDTH * z, HALF_HEIGHT * z];
  const eye = [0, 0, 0];
  const corners = [[-x, -y, z], [x, -y, z], [x, y, z], [-x, y, z]];
  const tick = [[-x / 2, -1.15 * y, z], [0, -1.6 * y, z], [x / 2, -1.15 * y, z]];
  return [
    ...corners.flatMap((corner, i) => [...eye, ...corner, ...corner, ...corners[(i + 1) % 4]]),
    ...tick.flatMap((point, i) => [...point, ...tick[(i + 1) % 3]]),
  ];
}
