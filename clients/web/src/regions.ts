// SPDX-License-Identifier: Apache-2.0
/**
 * The map's surface as few meshes: blocks are gathered in cubic regions, one buffer each, so that
 * a map of tens of thousands of blocks needs some hundred draw calls. A changed block marks its
 * region; `update` rebuilds marked regions within a time budget.
 */
import * as THREE from "three";

import { BLOCK_SIZE_VOX, type MeshRow, VERTEX_STEPS } from "./rows";

/** Blocks along a region's edge: 64 voxels, whose vertex steps (≤ 1984) fit 16 bits. */
const REGION_SIZE_BLOCKS = 8;
const BLOCK_STEPS = BLOCK_SIZE_VOX * VERTEX_STEPS;
const REGION_STEPS = REGION_SIZE_BLOCKS * BLOCK_STEPS;
const GROWTH = 1.5;

const regionIndex = (block: number): number => Math.floor(block / REGION_SIZE_BLOCKS);

export class Regions {
  readonly group = new THREE.Group();
  readonly #material: THREE.Material;
  readonly #regions = new Map<string, Region>();
  readonly #dirty = new Set<Region>();
  #voxelSizeM = 0;

  constructor(material: THREE.Material) {
    this.#material = material;
    this.group.matrixAutoUpdate = false;
  }

  /** Regions whose mesh is older than their blocks. */
  get pending(): number {
    return this.#dirty.size;
  }

  /** The edge of a voxel; it is the same for a whole epoch. */
  set voxelSizeM(voxelSizeM: number) {
    if (voxelSizeM === this.#voxelSizeM) return;
    this.#voxelSizeM = voxelSizeM;
    for (const region of this.#regions.values()) region.place(voxelSizeM);
  }

  apply(row: MeshRow): void {
    const [x, y, z] = [regionIndex(row.x), regionIndex(row.y), regionIndex(row.z)];
    const key = `${x},${y},${z}`;
    let region = this.#regions.get(key);
    if (region === undefined) {
      if (row.triangleCount === 0) return;
      region = new Region(x, y, z, this.#material);
      region.place(this.#voxelSizeM);
      this.#regions.set(key, region);
      this.group.add(region.mesh);
    }
    region.set(row);
    this.#dirty.add(region);
  }

  /** Rebuild marked regions, longest waiting first, for about `budgetMs`; return whether any. */
  update(budgetMs: number): boolean {
    if (this.#dirty.size === 0) return false;
    const endMs = performance.now() + budgetMs;
    for (const region of this.#dirty) {
      region.rebuild();
      this.#dirty.delete(region);
      if (performance.now() >= endMs) break;
    }
    return true;
  }

  clear(): void {
    for (const region of this.#regions.values()) region.dispose();
    this.group.clear();
    this.#regions.clear();
    this.#dirty.clear();
  }
}

class Region {
  readonly mesh: THREE.Mesh;
  readonly #geometry = new THREE.BufferGeometry();
  readonly #rows = new Map<string, MeshRow>();
  readonly #origin: readonly [number, number, number];
  // Four components each: 16-bit attributes of three would not be aligned to four bytes.
  #positions = new THREE.BufferAttribute(new Uint16Array(0), 4);
  #colors = new THREE.BufferAttribute(new Uint8Array(0), 4, true);
  #triangles = new THREE.BufferAttribute(new Uint32Array(0), 1);

  constructor(x: number, y: number, z: number, material: THREE.Material) {
    this.#origin = [x * REGION_SIZE_BLOCKS, y * REGION_SIZE_BLOCKS, z * REGION_SIZE_BLOCKS];
    const center = new THREE.Vector3().setScalar(REGION_STEPS / 2);
    this.#geometry.boundingSphere = new THREE.Sphere(center, center.length());
    this.mesh = new THREE.Mesh(this.#geometry, material);
    this.mesh.matrixAutoUpdate = false;
    this.mesh.visible = false;
  }

  /** Set where the region's steps lie in the world. */
  place(voxelSizeM: number): void {
    const stepM = voxelSizeM / VERTEX_STEPS;
    const [x, y, z] = this.#origin.map((block) => block * BLOCK_SIZE_VOX * voxelSizeM);
    this.mesh.matrix.makeScale(stepM, stepM, stepM).setPosition(x, y, z);
    this.mesh.matrixWorldNeedsUpdate = true;
  }

  set(row: MeshRow): void {
    if (row.triangleCount === 0) this.#rows.delete(row.key);
    else this.#rows.set(row.key, row);
  }

  rebuild(): void {
    let vertexCount = 0;
    let triangleCount = 0;
    for (const row of this.#rows.values()) {
      vertexCount += row.vertexCount;
      triangleCount += row.triangleCount;
    }
    this.mesh.visible = triangleCount > 0;
    this.#reserve(vertexCount, 3 * triangleCount);
    this.#write();
    this.#geometry.setDrawRange(0, 3 * triangleCount);
    upload(this.#positions, 4 * vertexCount);
    upload(this.#colors, 4 * vertexCount);
    upload(this.#triangles, 3 * triangleCount);
  }

  dispose(): void {
    this.#geometry.dispose();
  }

  #reserve(vertices: number, indices: number): void {
    if (vertices <= this.#positions.count && indices <= this.#triangles.count) return;
    // Frees the old buffers on the GPU; the geometry comes back with its new ones.
    this.#geometry.dispose();
    const [v, t] = [Math.ceil(GROWTH * vertices), Math.ceil(GROWTH * indices)];
    this.#positions = new THREE.BufferAttribute(new Uint16Array(4 * v), 4);
    this.#colors = new THREE.BufferAttribute(new Uint8Array(4 * v).fill(255), 4, true);
    this.#triangles = new THREE.BufferAttribute(new Uint32Array(t), 1);
    this.#geometry.setAttribute("position", this.#positions.setUsage(THREE.DynamicDrawUsage));
    this.#geometry.setAttribute("color", this.#colors.setUsage(THREE.DynamicDrawUsage));
    this.#geometry.setIndex(this.#triangles.setUsage(THREE.DynamicDrawUsage));
  }

  #write(): void {
    const triangles = this.#triangles.array;
    let vertexAt = 0;
    let indexAt = 0;
    for (const row of this.#rows.values()) {
      this.#writeVertices(row, vertexAt);
      const indices = row.triangles;
      for (let i = 0; i < indices.length; i++) triangles[indexAt + i] = vertexAt + indices[i];
      vertexAt += row.vertexCount;
      indexAt += indices.length;
    }
  }

  #writeVertices(row: MeshRow, at: number): void {
    const positions = this.#positions.array;
    const colors = this.#colors.array;
    const { vertices, colors: rgb } = row;
    const x = (row.x - this.#origin[0]) * BLOCK_STEPS;
    const y = (row.y - this.#origin[1]) * BLOCK_STEPS;
    const z = (row.z - this.#origin[2]) * BLOCK_STEPS;
    for (let from = 0, to = 4 * at; from < vertices.length; from += 3, to += 4) {
      positions[to] = x + vertices[from];
      positions[to + 1] = y + vertices[from + 1];
      positions[to + 2] = z + vertices[from + 2];
      colors[to] = rgb[from];
      colors[to + 1] = rgb[from + 1];
      colors[to + 2] = rgb[from + 2];
    }
  }
}

/** Send the first `count` elements to the GPU with the next drawing. */
function upload(attribute: THREE.BufferAttribute, count: number): void {
  attribute.clearUpdateRanges();
  attribute.addUpdateRange(0, count);
  attribute.needsUpdate = true;
}
