// SPDX-License-Identifier: Apache-2.0
/** Where the map's blocks lie along one axis: counts by coordinate, without outliers. */

const OUTLIERS = 0.02;

export class Levels {
  readonly #counts = new Map<number, number>();
  #total = 0;

  add(coordinate: number, count: 1 | -1): void {
    this.#total += count;
    const left = (this.#counts.get(coordinate) ?? 0) + count;
    if (left === 0) this.#counts.delete(coordinate);
    else this.#counts.set(coordinate, left);
  }

  /** Lower edge of the lowest and upper edge of the highest block, but for a few; null: none. */
  range(): [number, number] | null {
    if (this.#total === 0) return null;
    const levels = [...this.#counts.keys()].sort((a, b) => a - b);
    return [this.#reach(levels), this.#reach(levels.reverse()) + 1];
  }

  clear(): void {
    this.#counts.clear();
    this.#total = 0;
  }

  /** The first level that has more than the outliers up to it. */
  #reach(levels: readonly number[]): number {
    let passed = 0;
    for (const level of levels) {
      passed += this.#counts.get(level) ?? 0;
      if (passed > OUTLIERS * this.#total) return level;
    }
    return levels[0];
  }
}
