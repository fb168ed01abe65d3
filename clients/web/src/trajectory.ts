// SPDX-License-Identifier: Apache-2.0
/** The poses of all frames, in order; a later row of the same frame replaces the earlier one. */
import type { TrajectoryRow } from "./protocol";

/** Numbers of a pose: position, quaternion xyzw. */
export const POSE_NUMBERS = 7;

/** What changed since the last `take`. */
export interface TrajectoryChange {
  /** Frames. */
  readonly count: number;
  /** Positions (3 numbers each) of the frames from `from` on. */
  readonly from: number;
  readonly positions: Float32Array<ArrayBuffer>;
  /** POSE_NUMBERS of each keyframe; null: as before. */
  readonly keyframes: Float32Array<ArrayBuffer> | null;
  readonly first: TrajectoryRow | undefined;
  readonly newest: TrajectoryRow | undefined;
}

export class Trajectory {
  #rows: TrajectoryRow[] = [];
  #sorted = true;
  readonly #slots = new Map<bigint, number>();
  /** The first frame whose position is to be told; infinite: none. */
  #changedFrom = 0;
  #keyframesChanged = true;

  /** In order of time. */
  get rows(): readonly TrajectoryRow[] {
    if (!this.#sorted) this.#sort();
    return this.#rows;
  }

  apply(row: TrajectoryRow): void {
    this.#keyframesChanged ||= row.keyframe;
    const slot = this.#slots.get(row.captureNs);
    if (slot !== undefined) {
      this.#replace(slot, row);
      return;
    }
    const last = this.#rows.at(-1);
    this.#sorted &&= last === undefined || last.captureNs < row.captureNs;
    this.#changedFrom = Math.min(this.#changedFrom, this.#rows.length);
    this.#slots.set(row.captureNs, this.#rows.length);
    this.#rows.push(row);
  }

  /** What is to be drawn anew; null: nothing. */
  take(): TrajectoryChange | null {
    const rows = this.rows;
    if (this.#changedFrom === Infinity && !this.#keyframesChanged) return null;
    const from = Math.min(this.#changedFrom, rows.length);
    const positions = new Float32Array(3 * (rows.length - from));
    for (let i = from; i < rows.length; i++) positions.set(rows[i].positionM, 3 * (i - from));
    const keyframes = this.#keyframesChanged ? poses(rows.filter((row) => row.keyframe)) : null;
    this.#changedFrom = Infinity;
    this.#keyframesChanged = false;
    const [first, newest] = [rows.at(0), rows.at(-1)];
    return { count: rows.length, from, positions, keyframes, first, newest };
  }

  /** Tell all of it with the next `take`. */
  forget(): void {
    this.#changedFrom = 0;
    this.#keyframesChanged = true;
  }

  clear(): void {
    this.#rows = [];
    this.#sorted = true;
    this.#slots.clear();
    this.forget();
  }

  #replace(slot: number, row: TrajectoryRow): void {
    const old = this.#rows[slot];
    this.#keyframesChanged ||= old.keyframe;
    if (old.positionM.some((value, i) => value !== row.positionM[i])) {
      this.#changedFrom = Math.min(this.#changedFrom, slot);
    }
    this.#rows[slot] = row;
  }

  #sort(): void {
    this.#rows.sort((a, b) => (a.captureNs < b.captureNs ? -1 : 1));
    this.#rows.forEach((row, slot) => this.#slots.set(row.captureNs, slot));
    this.#sorted = true;
    this.#changedFrom = 0;
  }
}

function poses(rows: readonly TrajectoryRow[]): Float32Array<ArrayBuffer> {
  const numbers = new Float32Array(POSE_NUMBERS * rows.length);
  rows.forEach((row, i) => numbers.set([...row.positionM, ...row.quatXyzw], POSE_NUMBERS * i));
  return numbers;
}
