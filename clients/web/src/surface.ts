// SPDX-License-Identifier: Apache-2.0
/**
 * The map's surface as the GPU has it: blocks gathered in regions, and which of them changed since.
 * Level-triggered, as the server's hub: what is written is always a block's latest state.
 */
import type { RegionPatches } from "./patches";
import { REGION_SIZE_BLOCKS, Region, type RegionChange } from "./region";
import type { MeshRow } from "./rows";

const regionIndex = (block: number): number => Math.floor(block / REGION_SIZE_BLOCKS);

export class Surface {
  readonly #regions = new Map<string, Region>();
  /** Blocks that are newer here than on the GPU, by region. */
  readonly #dirty = new Map<Region, Set<string>>();

  /** Regions that are newer here than on the GPU. */
  get pending(): number {
    return this.#dirty.size;
  }

  apply(row: MeshRow): void {
    const [x, y, z] = [regionIndex(row.x), regionIndex(row.y), regionIndex(row.z)];
    const key = `${x},${y},${z}`;
    let region = this.#regions.get(key);
    if (region === undefined) {
      if (row.triangleCount === 0) return;
      region = new Region(this.#regions.size, x, y, z);
      this.#regions.set(key, region);
    }
    region.set(row);
    const blocks = this.#dirty.get(region);
    if (blocks === undefined) this.#dirty.set(region, new Set([row.key]));
    else blocks.add(row.key);
  }

  /** Write changed blocks, longest waiting regions first, for about `budgetBytes`. */
  write(patches: RegionPatches, budgetBytes: number): RegionChange[] {
    const changed: RegionChange[] = [];
    for (const [region, blocks] of this.#dirty) {
      if (patches.usedBytes >= budgetBytes) break;
      for (const key of blocks) {
        if (patches.usedBytes >= budgetBytes) break;
        blocks.delete(key);
        if (region.write(key, patches)) blocks.clear();
      }
      if (blocks.size === 0) this.#dirty.delete(region);
      changed.push(region.change());
    }
    return changed;
  }

  /** Write everything again: the GPU has lost it. */
  forget(): void {
    this.#dirty.clear();
    for (const region of this.#regions.values()) this.#dirty.set(region, region.forget());
  }

  clear(): void {
    this.#regions.clear();
    this.#dirty.clear();
  }
}
