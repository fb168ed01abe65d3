// SPDX-License-Identifier: Apache-2.0
/** A stand-in for the GPU: applies updates to plain arrays, and tells which triangles they draw. */
import type { Update } from "../src/mirror";
import { PATCH_FIELDS, type PatchData } from "../src/patches";
import type { RegionChange } from "../src/region";
import type { MeshRow } from "../src/rows";

const BLOCK_STEPS = 248;

interface Drawn {
  change: RegionChange;
  vertices: Uint32Array;
  indices: Uint32Array;
}

export class DrawnMap {
  readonly #regions = new Map<number, Drawn>();

  apply(update: Pick<Update, "regions" | "vertices" | "indices">): void {
    for (const change of update.regions) {
      const old = this.#regions.get(change.id);
      this.#regions.set(change.id, {
        change,
        vertices: grown(old?.vertices, 2 * change.vertexCapacity),
        indices: grown(old?.indices, change.indexCapacity),
      });
    }
    this.#write(update.vertices, "vertices");
    this.#write(update.indices, "indices");
  }

  clear(): void {
    this.#regions.clear();
  }

  get regions(): number {
    return this.#regions.size;
  }

  /** Each triangle as words: corners in steps of the world, and their colours; sorted. */
  triangles(): string[] {
    const found: string[] = [];
    for (const { change, vertices, indices } of this.#regions.values()) {
      const corner = (i: number): string => vertexWords(vertices, indices[i], change.originBlocks);
      for (let i = 0; i < change.indexCount; i += 3) {
        const isEmpty = indices[i] === indices[i + 1] && indices[i] === indices[i + 2];
        if (!isEmpty) found.push([corner(i), corner(i + 1), corner(i + 2)].join(" "));
      }
    }
    return found.sort();
  }

  #write(patches: PatchData, target: "vertices" | "indices"): void {
    const words = new Uint32Array(patches.words);
    for (let i = 0; i < patches.list.length; i += PATCH_FIELDS) {
      const [region, at, from, count] = patches.list.subarray(i, i + PATCH_FIELDS);
      this.#regions.get(region)![target].set(words.subarray(from, from + count), at);
    }
  }
}

/** What should be drawn, from the rows themselves; triangles of one point are left out. */
export function trianglesOf(rows: Iterable<MeshRow>): string[] {
  const found: string[] = [];
  for (const row of rows) {
    const { vertices, colors, triangles } = row;
    const corner = (i: number): string =>
      [
        BLOCK_STEPS * row.x + vertices[3 * i],
        BLOCK_STEPS * row.y + vertices[3 * i + 1],
        BLOCK_STEPS * row.z + vertices[3 * i + 2],
        ...colors.subarray(3 * i, 3 * i + 3),
      ].join();
    for (let i = 0; i < triangles.length; i += 3) {
      const [a, b, c] = triangles.subarray(i, i + 3);
      if (a !== b || a !== c) found.push([corner(a), corner(b), corner(c)].join(" "));
    }
  }
  return found.sort();
}

function grown(words: Uint32Array | undefined, count: number): Uint32Array {
  if (words !== undefined && words.length >= count) return words;
  const larger = new Uint32Array(count);
  if (words !== undefined) larger.set(words);
  return larger;
}

/** As the vertex shader reads them. */
function vertexWords(words: Uint32Array, i: number, origin: RegionChange["originBlocks"]): string {
  const [first, second] = [words[2 * i], words[2 * i + 1]];
  const steps = [first & 8191, (first >>> 13) & 8191, (first >>> 26) | ((second & 127) << 6)];
  const world = steps.map((step, axis) => BLOCK_STEPS * origin[axis] + step);
  return [...world, (second >>> 7) & 255, (second >>> 15) & 255, (second >>> 23) & 255].join();
}
