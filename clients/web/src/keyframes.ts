// SPDX-License-Identifier: Apache-2.0
/**
 * Where the keyframes are, and which of them moved. Each has a slot from when it is first heard of
 * on: frames may hang on a keyframe whose row is still to come.
 */
import { POSE_NUMBERS, compose, writePose } from "./poses";
import type { KeyframeRow } from "./protocol";

const FIRST_CAPACITY = 64;

/** Keyframes that were in one place and now are in another. */
export interface Correction {
  readonly keyframes: number;
  /** The longest way that one of them moved, in the map's units. */
  readonly distance: number;
}

/** Where keyframes are to be drawn, each in the same place of the arrays as ever. */
export interface KeyframeMarks {
  /** 3 numbers each. */
  readonly eyes: Float32Array<ArrayBuffer>;
  /** Quaternions xyzw; all zero: it is not to be drawn. */
  readonly turns: Float32Array<ArrayBuffer>;
}

export class Keyframes {
  readonly #slots = new Map<bigint, number>();
  #poses = new Float64Array(0);
  /** 0: its row has not come yet. */
  #scales = new Float64Array(0);
  /** How many frames hang on each. */
  #hanging = new Uint32Array(0);
  /** Positions when `settle` was last called; NaN: unknown then. */
  #settled = new Float64Array(0);
  readonly #moved = new Set<number>();
  /** Slots in the order in which their rows came. */
  readonly #known: number[] = [];
  #marksChanged = true;

  get hasMoved(): boolean {
    return this.#moved.size > 0;
  }

  slot(captureNs: bigint): number {
    let slot = this.#slots.get(captureNs);
    if (slot === undefined) {
      slot = this.#slots.size;
      if (slot === this.#scales.length) this.#grow(Math.max(FIRST_CAPACITY, 2 * slot));
      this.#slots.set(captureNs, slot);
    }
    return slot;
  }

  apply(row: KeyframeRow): void {
    const slot = this.slot(row.captureNs);
    if (!this.isKnown(slot)) this.#known.push(slot);
    writePose(this.#poses, POSE_NUMBERS * slot, row);
    this.#scales[slot] = row.scale;
    this.#moved.add(slot);
    this.#marksChanged = true;
  }

  isKnown(slot: number): boolean {
    return this.#scales[slot] > 0;
  }

  isMoved(slot: number): boolean {
    return this.#moved.has(slot);
  }

  /** Count a frame that hangs on it, or no longer does. */
  hang(slot: number, count: 1 | -1): void {
    const before = this.#hanging[slot];
    this.#hanging[slot] = before + count;
    const isOther = before === 0 || before + count === 0;
    this.#marksChanged ||= isOther && this.isKnown(slot);
  }

  /** Write where a frame is that is seen from this keyframe at `relative`. */
  place(slot: number, to: Float64Array, at: number, relative: Float64Array, from: number): void {
    compose(to, at, this.#poses, POSE_NUMBERS * slot, this.#scales[slot], relative, from);
  }

  /** What moved since the last call; null: nothing that was known then. */
  settle(): Correction | null {
    let [keyframes, distance] = [0, 0];
    for (const slot of this.#moved) {
      const position = this.#poses.subarray(POSE_NUMBERS * slot, POSE_NUMBERS * slot + 3);
      const before = this.#settled.subarray(3 * slot, 3 * slot + 3);
      const [dx, dy, dz] = position;
      const way = Math.hypot(dx - before[0], dy - before[1], dz - before[2]);
      before.set(position);
      if (!(way > 0)) continue;
      keyframes += 1;
      distance = Math.max(distance, way);
    }
    this.#moved.clear();
    return keyframes === 0 ? null : { keyframes, distance };
  }

  /** Those with frames, which are all that the tracker has not dropped; null: as before. */
  marks(): KeyframeMarks | null {
    if (!this.#marksChanged) return null;
    this.#marksChanged = false;
    const count = this.#known.length;
    const marks = { eyes: new Float32Array(3 * count), turns: new Float32Array(4 * count) };
    this.#known.forEach((slot, i) => {
      const at = POSE_NUMBERS * slot;
      marks.eyes.set(this.#poses.subarray(at, at + 3), 3 * i);
      if (this.#hanging[slot] === 0) return;
      marks.turns.set(this.#poses.subarray(at + 3, at + POSE_NUMBERS), 4 * i);
    });
    return marks;
  }

  /** Tell all marks again. */
  forget(): void {
    this.#marksChanged = true;
  }

  clear(): void {
    this.#slots.clear();
    this.#scales.fill(0);
    this.#hanging.fill(0);
    this.#settled.fill(NaN);
    this.#moved.clear();
    this.#known.length = 0;
    this.forget();
  }

  #grow(capacity: number): void {
    const [poses, scales, hanging, settled] = [
      new Float64Array(POSE_NUMBERS * capacity),
      new Float64Array(capacity),
      new Uint32Array(capacity),
      new Float64Array(3 * capacity).fill(NaN),
    ];
    poses.set(this.#poses);
    scales.set(this.#scales);
    hanging.set(this.#hanging);
    settled.set(this.#settled);
    [this.#poses, this.#scales, this.#hanging, this.#settled] = [poses, scales, hanging, settled];
  }
}
