// SPDX-License-Identifier: Apache-2.0
/**
 * The map's surface on the GPU: one mesh per region, whose two buffers grow and are patched in
 * place. The page keeps no copy of them. three.js draws and culls; the buffers are written beside
 * it, through the COPY_WRITE binding, which no vertex array remembers.
 */
import * as THREE from "three";

import type { Update } from "./mirror";
import { PATCH_FIELDS, type PatchData, VERTEX_WORDS } from "./patches";
import type { RegionChange } from "./region";
import { BLOCK_SIZE_VOX, VERTEX_STEPS } from "./rows";

const WORD_BYTES = 4;

export class Regions {
  readonly group = new THREE.Group();
  readonly #gl: WebGL2RenderingContext;
  readonly #material: THREE.Material;
  readonly #regions = new Map<number, DrawnRegion>();
  #voxelSize = 0;

  constructor(gl: WebGL2RenderingContext, material: THREE.Material) {
    this.#gl = gl;
    this.#material = material;
    this.group.matrixAutoUpdate = false;
  }

  /** Bring the GPU up to date. */
  apply(update: Update): void {
    this.#place(update.summary.voxelSizeM);
    for (const change of update.regions) this.#region(change.id).reshape(change, this.#voxelSize);
    this.#write(update.vertices, "vertices");
    this.#write(update.indices, "indices");
  }

  clear(): void {
    for (const region of this.#regions.values()) region.dispose();
    this.group.clear();
    this.#regions.clear();
  }

  #write(patches: PatchData, target: "vertices" | "indices"): void {
    const { list } = patches;
    const words = new Uint32Array(patches.words);
    for (let i = 0; i < list.length; i += PATCH_FIELDS) {
      this.#region(list[i])[target].write(list[i + 1], words, list[i + 2], list[i + 3]);
    }
  }

  /** The edge of a voxel is the same for a whole epoch. */
  #place(voxelSize: number): void {
    if (voxelSize === this.#voxelSize) return;
    this.#voxelSize = voxelSize;
    for (const region of this.#regions.values()) region.place(voxelSize);
  }

  #region(id: number): DrawnRegion {
    let region = this.#regions.get(id);
    if (region === undefined) {
      region = new DrawnRegion(this.#gl, this.#material);
      this.#regions.set(id, region);
      this.group.add(region.mesh);
    }
    return region;
  }
}

class DrawnRegion {
  readonly mesh: THREE.Mesh;
  readonly #gl: WebGL2RenderingContext;
  readonly #geometry = new THREE.BufferGeometry();
  readonly vertices: GrowingBuffer;
  readonly indices: GrowingBuffer;
  #originBlocks: readonly [number, number, number] = [0, 0, 0];

  constructor(gl: WebGL2RenderingContext, material: THREE.Material) {
    this.#gl = gl;
    this.vertices = new GrowingBuffer(gl, gl.ARRAY_BUFFER);
    this.indices = new GrowingBuffer(gl, gl.ELEMENT_ARRAY_BUFFER);
    this.#geometry.boundingSphere = new THREE.Sphere();
    this.mesh = new THREE.Mesh(this.#geometry, material);
    this.mesh.matrixAutoUpdate = false;
  }

  reshape(change: RegionChange, voxelSize: number): void {
    this.#originBlocks = change.originBlocks;
    this.place(voxelSize);
    const [x, y, z, radius] = change.sphere;
    const sphere = this.#geometry.boundingSphere as THREE.Sphere;
    sphere.center.set(x, y, z);
    sphere.radius = radius;
    this.mesh.visible = change.indexCount > 0;
    this.#reserve(change);
    this.#geometry.setDrawRange(0, change.indexCount);
  }

  /** Set where the region's steps lie in the world. */
  place(voxelSize: number): void {
    const step = voxelSize / VERTEX_STEPS;
    const [x, y, z] = this.#originBlocks;
    const edge = BLOCK_SIZE_VOX * voxelSize;
    this.mesh.matrix.makeScale(step, step, step).setPosition(x * edge, y * edge, z * edge);
    this.mesh.matrixWorldNeedsUpdate = true;
  }

  dispose(): void {
    this.#geometry.dispose();
    this.vertices.dispose();
    this.indices.dispose();
  }

  /**
   * three.js notices another buffer only by another attribute. It draws by bare buffers as well as
   * by its own attributes; its types do not say so.
   */
  #reserve({ vertexCapacity, indexCapacity }: RegionChange): void {
    const type = this.#gl.UNSIGNED_INT as THREE.AttributeGPUType;
    if (this.vertices.reserve(VERTEX_WORDS * vertexCapacity)) {
      const { buffer } = this.vertices;
      const corner = new THREE.GLBufferAttribute(
        buffer, type, VERTEX_WORDS, WORD_BYTES, vertexCapacity,
      );
      this.#geometry.setAttribute("corner", corner as unknown as THREE.BufferAttribute);
    }
    if (this.indices.reserve(indexCapacity)) {
      const { buffer } = this.indices;
      const index = new THREE.GLBufferAttribute(buffer, type, 1, WORD_BYTES, indexCapacity);
      this.#geometry.setIndex(index as unknown as THREE.BufferAttribute);
    }
  }
}

/** Words on the GPU; what is there stays when it grows. */
class GrowingBuffer {
  readonly #gl: WebGL2RenderingContext;
  readonly #target: GLenum;
  #buffer: WebGLBuffer;
  #words = 0;

  constructor(gl: WebGL2RenderingContext, target: GLenum) {
    this.#gl = gl;
    this.#target = target;
    this.#buffer = gl.createBuffer();
  }

  get buffer(): WebGLBuffer {
    return this.#buffer;
  }

  /** Return whether it is another buffer now. */
  reserve(words: number): boolean {
    if (words <= this.#words) return false;
    const gl = this.#gl;
    const grown = this.#create();
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, grown);
    gl.bufferData(gl.COPY_WRITE_BUFFER, WORD_BYTES * words, gl.DYNAMIC_DRAW);
    if (this.#words > 0) {
      gl.bindBuffer(gl.COPY_READ_BUFFER, this.#buffer);
      const bytes = WORD_BYTES * this.#words;
      gl.copyBufferSubData(gl.COPY_READ_BUFFER, gl.COPY_WRITE_BUFFER, 0, 0, bytes);
    }
    gl.deleteBuffer(this.#buffer);
    this.#buffer = grown;
    this.#words = words;
    return true;
  }

  write(at: number, words: Uint32Array, from: number, count: number): void {
    if (count === 0) return; // WebGL would take it for "all that is left"
    const gl = this.#gl;
    gl.bindBuffer(gl.COPY_WRITE_BUFFER, this.#buffer);
    gl.bufferSubData(gl.COPY_WRITE_BUFFER, WORD_BYTES * at, words, from, count);
  }

  dispose(): void {
    this.#gl.deleteBuffer(this.#buffer);
  }

  /** WebGL wants to know from the first binding on whether it is one of indices. */
  #create(): WebGLBuffer {
    const gl = this.#gl;
    const buffer = gl.createBuffer();
    const bound = gl.getParameter(gl.VERTEX_ARRAY_BINDING) as WebGLVertexArrayObject | null;
    gl.bindVertexArray(null); // it would remember the indices
    gl.bindBuffer(this.#target, buffer);
    gl.bindBuffer(this.#target, null);
    gl.bindVertexArray(bound);
    return buffer;
  }
}
