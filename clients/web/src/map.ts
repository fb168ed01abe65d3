// SPDX-License-Identifier: Apache-2.0
/** The client's copy of the map: the latest row of each block, and the hash of it all. */
import { BLOCK_SIZE_VOX, type MeshRow } from "./rows";

/** XXH64 with seed 0. */
export type Hash64 = (bytes: Uint8Array) => bigint;

interface Entry {
  readonly row: MeshRow;
  readonly hash: bigint;
}

/** Where the map's blocks are: their mean and their standard deviation around it. */
export interface Spread {
  readonly centerM: readonly [number, number, number];
  readonly deviationM: number;
}

export class MapState {
  readonly #hash64: Hash64;
  readonly #entries = new Map<string, Entry>();
  #hash = 0n;
  #triangles = 0;
  // Sums of block coordinates and of their squares: integers, so removal is exact.
  readonly #sum = [0, 0, 0];
  #squares = 0;

  constructor(hash64: Hash64) {
    this.#hash64 = hash64;
  }

  /** Sum modulo 2⁶⁴ of the content hashes of all blocks with triangles. */
  get hash(): bigint {
    return this.#hash;
  }

  get blocks(): number {
    return this.#entries.size;
  }

  get triangles(): number {
    return this.#triangles;
  }

  /** Replace the row's block, or remove it if the row has no triangles. */
  apply(row: MeshRow): void {
    const old = this.#entries.get(row.key);
    if (old !== undefined) {
      this.#entries.delete(row.key);
      this.#count(old, -1);
    }
    if (row.triangleCount === 0) return;
    const entry = { row, hash: this.#hash64(row.bytes) };
    this.#entries.set(row.key, entry);
    this.#count(entry, 1);
  }

  clear(): void {
    this.#entries.clear();
    this.#hash = 0n;
    this.#triangles = 0;
    this.#sum.fill(0);
    this.#squares = 0;
  }

  /** Null while the map is empty. Steadier than a bounding box, which one stray block blows up. */
  spread(voxelSizeM: number): Spread | null {
    const count = this.#entries.size;
    if (count === 0) return null;
    const blockSizeM = BLOCK_SIZE_VOX * voxelSizeM;
    const [x, y, z] = this.#sum.map((sum) => sum / count);
    const variance = Math.max(0, this.#squares / count - (x * x + y * y + z * z));
    return {
      centerM: [(x + 0.5) * blockSizeM, (y + 0.5) * blockSizeM, (z + 0.5) * blockSizeM],
      deviationM: Math.sqrt(variance) * blockSizeM,
    };
  }

  #count({ row, hash }: Entry, sign: 1 | -1): void {
    this.#hash = BigInt.asUintN(64, this.#hash + BigInt(sign) * hash);
    this.#triangles += sign * row.triangleCount;
    this.#sum[0] += sign * row.x;
    this.#sum[1] += sign * row.y;
    this.#sum[2] += sign * row.z;
    this.#squares += sign * (row.x * row.x + row.y * row.y + row.z * row.z);
  }
}
