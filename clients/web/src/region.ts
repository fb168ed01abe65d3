// SPDX-License-Identifier: Apache-2.0
/**
 * A cube of blocks that is drawn with one call. It knows where each block lies in the region's two
 * buffers on the GPU and writes what changed, block by block; it packs them anew when holes grow.
 */
import { Extents, type Stretch } from "./extents";
import { INDEX_WORDS, type RegionPatches, VERTEX_WORDS } from "./patches";
import { BLOCK_SIZE_VOX, type MeshRow, VERTEX_STEPS } from "./rows";

/** Blocks along a region's edge: its vertex steps (≤ 5952) fit 13 bits. */
export const REGION_SIZE_BLOCKS = 24;
const BLOCK_STEPS = BLOCK_SIZE_VOX * VERTEX_STEPS;

/** A region as it is to be drawn after an update. */
export interface RegionChange {
  readonly id: number;
  /** World position of its steps' zero, in blocks. */
  readonly originBlocks: readonly [number, number, number];
  readonly vertexCapacity: number;
  readonly indexCapacity: number;
  /** To draw; some of the triangles are empty. */
  readonly indexCount: number;
  /** Around its blocks, in steps: x, y, z, radius. */
  readonly sphere: readonly [number, number, number, number];
}

interface Place {
  readonly vertices: Stretch;
  readonly indices: Stretch;
  /** Of `indices`, in use; what is behind is zero. */
  indexCount: number;
}

export class Region {
  readonly #originBlocks: readonly [number, number, number];
  /** Latest rows, and where those that are on the GPU lie there. */
  readonly #rows = new Map<string, MeshRow>();
  readonly #places = new Map<string, Place>();
  readonly #vertices = new Extents();
  readonly #indices = new Extents();
  readonly #low = [Infinity, Infinity, Infinity];
  readonly #high = [-Infinity, -Infinity, -Infinity];

  constructor(readonly id: number, x: number, y: number, z: number) {
    this.#originBlocks = [x * REGION_SIZE_BLOCKS, y * REGION_SIZE_BLOCKS, z * REGION_SIZE_BLOCKS];
  }

  /** Keep the row until `write`. */
  set(row: MeshRow): void {
    if (row.triangleCount === 0) this.#rows.delete(row.key);
    else this.#rows.set(row.key, row);
  }

  /** Bring one block up to date; return whether that wrote all of them. */
  write(key: string, patches: RegionPatches): boolean {
    const [row, place] = [this.#rows.get(key), this.#places.get(key)];
    if (row !== undefined && place !== undefined && fits(row, place)) {
      this.#writeRow(row, place, Math.max(place.indexCount, row.triangles.length), patches);
      return false;
    }
    if (place !== undefined) this.#remove(key, place, patches);
    if (row === undefined) return false;
    if (this.#isWorthPacking(row)) {
      this.#pack(patches);
      return true;
    }
    this.#append(row, patches);
    return false;
  }

  /** Nothing of it is on the GPU any more. Returns the blocks that are to be written again. */
  forget(): Set<string> {
    this.#vertices.clear();
    this.#indices.clear();
    this.#places.clear();
    this.#low.fill(Infinity);
    this.#high.fill(-Infinity);
    return new Set(this.#rows.keys());
  }

  #pack(patches: RegionPatches): void {
    this.forget();
    for (const row of this.#rows.values()) this.#append(row, patches);
  }

  change(): RegionChange {
    const center = this.#low.map((low, i) => (low + this.#high[i]) / 2);
    const radius = Math.hypot(...this.#low.map((low, i) => (this.#high[i] - low) / 2));
    return {
      id: this.id,
      originBlocks: this.#originBlocks,
      vertexCapacity: this.#vertices.capacity,
      indexCapacity: this.#indices.capacity,
      indexCount: this.#indices.end,
      sphere: [center[0], center[1], center[2], radius],
    };
  }

  #isWorthPacking(row: MeshRow): boolean {
    return (
      this.#vertices.isWorthPacking(row.vertexCount) ||
      this.#indices.isWorthPacking(row.triangles.length)
    );
  }

  #append(row: MeshRow, patches: RegionPatches): void {
    const place: Place = {
      vertices: this.#vertices.take(row.vertexCount),
      indices: this.#indices.take(row.triangles.length),
      indexCount: 0,
    };
    this.#places.set(row.key, place);
    this.#writeRow(row, place, place.indices.room, patches);
    [row.x, row.y, row.z].forEach((block, i) => {
      const steps = (block - this.#originBlocks[i]) * BLOCK_STEPS;
      this.#low[i] = Math.min(this.#low[i], steps);
      this.#high[i] = Math.max(this.#high[i], steps + BLOCK_STEPS);
    });
  }

  #remove(key: string, place: Place, patches: RegionPatches): void {
    this.#places.delete(key);
    this.#vertices.release(place.vertices);
    this.#indices.release(place.indices);
    patches.indices.add(this.id, INDEX_WORDS * place.indices.at, place.indexCount).fill(0);
  }

  /** Write vertices, all their room, and `indexCount` indices: the row's, then zeros. */
  #writeRow(row: MeshRow, place: Place, indexCount: number, patches: RegionPatches): void {
    const vertexWords = VERTEX_WORDS * place.vertices.room;
    const [x, y, z] = this.#originBlocks;
    packVertices(
      row,
      BLOCK_STEPS * (row.x - x),
      BLOCK_STEPS * (row.y - y),
      BLOCK_STEPS * (row.z - z),
      patches.vertices.add(this.id, VERTEX_WORDS * place.vertices.at, vertexWords),
    );
    const indices = patches.indices.add(this.id, INDEX_WORDS * place.indices.at, indexCount);
    const { triangles } = row;
    const first = place.vertices.at;
    for (let i = 0; i < triangles.length; i++) indices[i] = first + triangles[i];
    indices.fill(0, triangles.length);
    place.indexCount = triangles.length;
  }
}

function fits(row: MeshRow, place: Place): boolean {
  return row.vertexCount <= place.vertices.room && row.triangles.length <= place.indices.room;
}

/** Two words a vertex: 13 bits each of x, y, z in steps, then 8 bits each of r, g, b. */
function packVertices(row: MeshRow, x0: number, y0: number, z0: number, words: Uint32Array): void {
  const { vertices, colors } = row;
  for (let from = 0, to = 0; from < vertices.length; from += 3, to += VERTEX_WORDS) {
    const z = z0 + vertices[from + 2];
    words[to] = (x0 + vertices[from]) | ((y0 + vertices[from + 1]) << 13) | (z << 26);
    words[to + 1] =
      (z >> 6) | (colors[from] << 7) | (colors[from + 1] << 15) | (colors[from + 2] << 23);
  }
}
