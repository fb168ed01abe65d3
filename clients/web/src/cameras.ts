// SPDX-License-Identifier: Apache-2.0
/** The keyframes in the scene: a small pyramid for each, all with one draw call. */
import * as THREE from "three";

import { Gliding } from "./gliding";
import type { KeyframeMarks } from "./keyframes";

const COLOR = 0xffd479;
const SIZE = 0.5;

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
    vec3 point = size * dot(turn, turn) * position; // none without a turn
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
  readonly #eyes = new Gliding();
  #turns = new THREE.InstancedBufferAttribute(new Float32Array(0), 4);
  #scale = 1;

  constructor() {
    const material = new THREE.ShaderMaterial({
      glslVersion: THREE.GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      uniforms: { size: { value: SIZE }, tint: { value: new THREE.Color(COLOR) } },
    });
    this.lines = new THREE.LineSegments(pyramids(this.#eyes.buffer, this.#turns), material);
    this.lines.frustumCulled = false;
  }

  set scale(scale: number) {
    this.#scale = scale;
    this.lines.material.uniforms["size"].value = SIZE * scale;
  }

  /** All keyframes, each in the place it had before. */
  apply({ eyes, turns }: KeyframeMarks): void {
    const { buffer } = this.#eyes;
    this.#eyes.set(0, eyes);
    if (this.#eyes.buffer !== buffer) this.#grow();
    this.#turns.array.set(turns);
    this.#turns.needsUpdate = true;
    this.lines.geometry.instanceCount = this.#eyes.count;
  }

  /** Glide on to where they belong; return whether the picture changes. */
  advance(elapsedS: number): boolean {
    return this.#eyes.advance(elapsedS, this.#scale);
  }

  clear(): void {
    this.#eyes.clear();
    this.lines.geometry.instanceCount = 0;
  }

  #grow(): void {
    const { buffer } = this.#eyes;
    this.#turns = new THREE.InstancedBufferAttribute(new Float32Array(4 * buffer.count), 4);
    this.lines.geometry.dispose();
    this.lines.geometry = pyramids(buffer, this.#turns);
  }
}

function pyramids(
  eyes: THREE.InstancedInterleavedBuffer,
  turns: THREE.InstancedBufferAttribute,
): THREE.InstancedBufferGeometry {
  const geometry = new THREE.InstancedBufferGeometry();
  geometry.setAttribute("position", new THREE.Float32BufferAttribute(PYRAMID_SEGMENTS, 3));
  geometry.setAttribute("eye", new THREE.InterleavedBufferAttribute(eyes, 3, 0));
  geometry.setAttribute("turn", turns);
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
