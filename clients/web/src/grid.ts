// SPDX-License-Identifier: Apache-2.0
/** A level grid below the map: cells of one unit, every fifth line stronger, fading far away. */
import * as THREE from "three";

const REACH_CELLS = 40;

const VERTEX = /* glsl */ `
  out vec2 cell;
  void main() {
    vec4 world = modelMatrix * vec4(position, 1.0);
    cell = world.xy / length(modelMatrix[0].xyz);
    gl_Position = projectionMatrix * viewMatrix * world;
  }
`;

const FRAGMENT = /* glsl */ `
  uniform vec2 middle;
  in vec2 cell;
  out vec4 color;

  float line(vec2 at) {
    vec2 width = fwidth(at);
    vec2 pixels = abs(fract(at - 0.5) - 0.5) / width;
    // Lines closer than a few pixels would only shimmer.
    float dense = max(width.x, width.y);
    return (1.0 - min(1.0, min(pixels.x, pixels.y))) * smoothstep(0.5, 0.1, dense);
  }

  void main() {
    float strength = max(0.35 * line(cell), line(cell / 5.0));
    float far = length(cell - middle) / ${REACH_CELLS.toFixed(1)};
    color = vec4(vec3(0.62, 0.70, 0.78), 0.26 * strength * smoothstep(1.0, 0.2, far));
  }
`;

export class Grid {
  readonly group = new THREE.Group();
  readonly #mesh: THREE.Mesh;
  readonly #middle = new THREE.Vector2();

  constructor() {
    const material = new THREE.ShaderMaterial({
      glslVersion: THREE.GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      uniforms: { middle: { value: this.#middle } },
      side: THREE.DoubleSide,
      transparent: true,
      depthWrite: false,
    });
    const size = 2 * REACH_CELLS;
    this.#mesh = new THREE.Mesh(new THREE.PlaneGeometry(size, size), material);
    this.#mesh.frustumCulled = false;
    this.#mesh.visible = false;
    this.group.add(this.#mesh);
  }

  /** Put it below a map around (x, y), with cells of this size. */
  place(x: number, y: number, z: number, cellSize: number): void {
    this.#mesh.visible = true;
    this.#mesh.position.set(x, y, z);
    this.#mesh.scale.setScalar(cellSize);
    this.#middle.set(x / cellSize, y / cellSize);
  }

  clear(): void {
    this.#mesh.visible = false;
  }
}
