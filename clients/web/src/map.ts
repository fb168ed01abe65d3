// SPDX-License-Identifier: Apache-2.0
/** The client's copy of the map: the latest row of each block, and the hash of it all. */
import { Levels } from "./levels";
import { BLOCK_SIZE_VOX, type MeshRow } from "./rows";

/** XXH64 with seed 0. */
export type Hash64 = (bytes: Uint8Array) => bigint;

interface Entry {
  readonly row: MeshRow;
  readonly hash: bigint;
}

/** A box around the map's blocks. Steadier than their bounds, which one stray block blows up. */
export interface Spread {
  readonly low: readonly [number, number, number];
  readonly high: readonly [number, number, number];
}

export class MapState {
  readonly #hash64: Hash64;
  readonly #entries = new Map<string, Entry>();
  #hash = 0n;
  #triangles = 0;
  readonly #levels = [new Levels(), new Levels(), new Levels()] as const;

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

  /** Latest rows of all blocks. */
  *rows(): Generator<MeshRow> {
    for (const entry of this.#entries.values()) yield entry.row;
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
    for (const levels of this.#levels) levels.clear();
  }

  /** Null while the map is empty. */
  spread(voxelSizeM: number): Spread | null {
    const [x, y, z] = this.#levels.map((levels) => levels.range());
    if (x === null || y === null || z === null) return null;
    const edge = BLOCK_SIZE_VOX * voxelSizeM;
    return {
      low: [x[0] * edge, y[0] * edge, z[0] * edge],
      high: [x[1] * edge, y[1] * edge, z[1] * edge],
    };
  }

  #count({ row, hash }: Entry, sign: 1 | -1): void {
    this.#hash = BigInt.asUintN(64, this.#hash + BigInt(sign) * hash);
    this.#triangles += sign * row.triangleCount;
    [row.x, row.y, row.z].forEach((block, i) => this.#levels[i].add(block, sign));
  }
}
