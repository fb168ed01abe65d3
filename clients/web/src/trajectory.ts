// SPDX-License-Identifier: Apache-2.0
/** The poses of all frames, in order; a later row of the same frame replaces the earlier one. */
import type { TrajectoryRow } from "./protocol";

export class Trajectory {
  #rows: TrajectoryRow[] = [];
  #sorted = true;
  readonly #slots = new Map<bigint, number>();
  /** Counts changes, so that a drawing knows whether it is stale. */
  version = 0;

  /** In order of time. */
  get rows(): readonly TrajectoryRow[] {
    if (!this.#sorted) this.#sort();
    return this.#rows;
  }

  get first(): TrajectoryRow | undefined {
    return this.rows[0];
  }

  get newest(): TrajectoryRow | undefined {
    return this.rows.at(-1);
  }

  apply(row: TrajectoryRow): void {
    this.version += 1;
    const slot = this.#slots.get(row.captureNs);
    if (slot !== undefined) {
      this.#rows[slot] = row;
      return;
    }
    const last = this.#rows.at(-1);
    this.#sorted &&= last === undefined || last.captureNs < row.captureNs;
    this.#slots.set(row.captureNs, this.#rows.length);
    this.#rows.push(row);
  }

  clear(): void {
    this.version += 1;
    this.#rows = [];
    this.#sorted = true;
    this.#slots.clear();
  }

  #sort(): void {
    this.#rows.sort((a, b) => (a.captureNs < b.captureNs ? -1 : 1));
    this.#rows.forEach((row, slot) => this.#slots.set(row.captureNs, slot));
    this.#sorted = true;
  }
}
