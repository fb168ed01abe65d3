// SPDX-License-Identifier: Apache-2.0
/**
 * The poses of all frames, in order; a later row of the same frame replaces the earlier one. A
 * frame hangs on its keyframe and moves with it.
 */
import { POSE_NUMBERS, readPose, writePose } from "./poses";
import { type Correction, type KeyframeMarks, Keyframes } from "./keyframes";
import type { KeyframeRow, Pose, TrajectoryRow } from "./protocol";

/** Of each frame: where it is, where it is seen from its keyframe, and that one's slot. */
const FRAME_NUMBERS = 2 * POSE_NUMBERS + 1;
const HANG_AT = POSE_NUMBERS;
const SLOT_AT = 2 * POSE_NUMBERS;
const FREE = -1;
const FIRST_CAPACITY = 1024;
const IDENTITY: Pose = { positionM: [0, 0, 0], quatXyzw: [0, 0, 0, 1] };

/** What changed since the last `take`. */
export interface TrajectoryChange {
  /** Frames. */
  readonly count: number;
  /** Positions (3 numbers each) of the frames from `from` on. */
  readonly from: number;
  readonly positions: Float32Array<ArrayBuffer>;
  /** Null: as before. */
  readonly keyframes: KeyframeMarks | null;
  readonly correction: Correction | null;
  readonly first: Pose | undefined;
  readonly newest: Pose | undefined;
}

export class Trajectory {
  readonly #keyframes = new Keyframes();
  #captureNs: bigint[] = [];
  /** FRAME_NUMBERS each. */
  #numbers = new Float64Array(0);
  #sorted = true;
  readonly #slots = new Map<bigint, number>();
  /** The first frame whose position is to be told; infinite: none. */
  #changedFrom = 0;

  /** Frames. */
  get count(): number {
    return this.#captureNs.length;
  }

  apply(row: TrajectoryRow): void {
    let slot = this.#slots.get(row.captureNs);
    if (slot === undefined) slot = this.#append(row.captureNs);
    else this.#leave(slot);
    writePose(this.#numbers, FRAME_NUMBERS * slot, row);
    this.#hang(slot, row);
    this.#changedFrom = Math.min(this.#changedFrom, slot);
  }

  applyKeyframe(row: KeyframeRow): void {
    this.#keyframes.apply(row);
  }

  /** What is to be drawn anew; null: nothing. */
  take(): TrajectoryChange | null {
    if (!this.#sorted) this.#sort();
    this.#follow();
    const correction = this.#keyframes.settle();
    const keyframes = this.#keyframes.marks();
    if (this.#changedFrom === Infinity && keyframes === null) return null;
    const { count } = this;
    const from = Math.min(this.#changedFrom, count);
    const positions = new Float32Array(3 * (count - from));
    const numbers = this.#numbers;
    for (let i = from, to = 0; i < count; i++) {
      const at = FRAME_NUMBERS * i;
      positions[to++] = numbers[at];
      positions[to++] = numbers[at + 1];
      positions[to++] = numbers[at + 2];
    }
    this.#changedFrom = Infinity;
    const [first, newest] = [this.#pose(0), this.#pose(count - 1)];
    return { count, from, positions, keyframes, correction, first, newest };
  }

  /** Tell all of it with the next `take`. */
  forget(): void {
    this.#changedFrom = 0;
    this.#keyframes.forget();
  }

  clear(): void {
    this.#keyframes.clear();
    this.#captureNs = [];
    this.#sorted = true;
    this.#slots.clear();
    this.forget();
  }

  #pose(slot: number): Pose | undefined {
    if (slot < 0 || slot >= this.count) return undefined;
    return readPose(this.#numbers, FRAME_NUMBERS * slot);
  }

  #append(captureNs: bigint): number {
    const slot = this.count;
    const last = this.#captureNs.at(-1);
    this.#sorted &&= last === undefined || last < captureNs;
    if (FRAME_NUMBERS * slot === this.#numbers.length) {
      const grown = new Float64Array(FRAME_NUMBERS * Math.max(FIRST_CAPACITY, 2 * slot));
      grown.set(this.#numbers);
      this.#numbers = grown;
    }
    this.#slots.set(captureNs, slot);
    this.#captureNs.push(captureNs);
    return slot;
  }

  #hang(slot: number, row: TrajectoryRow): void {
    const at = FRAME_NUMBERS * slot;
    const hang = row.hang ?? (row.keyframe ? { keyframeNs: row.captureNs, ...IDENTITY } : null);
    if (hang === null) {
      this.#numbers[at + SLOT_AT] = FREE;
      return;
    }
    const keyframe = this.#keyframes.slot(hang.keyframeNs);
    if (row.keyframe && hang.keyframeNs === row.captureNs) this.#stand(keyframe, row);
    this.#numbers[at + SLOT_AT] = keyframe;
    writePose(this.#numbers, at + HANG_AT, hang);
    this.#keyframes.hang(keyframe, 1);
    this.#place(at, keyframe);
  }

  /** A keyframe without a row of its own, as with servers that have no such layer. */
  #stand(keyframe: number, row: TrajectoryRow): void {
    const isAlone = row.hang === null || !this.#keyframes.isKnown(keyframe);
    if (isAlone) this.#keyframes.apply({ ...row, scale: 1 });
  }

  #leave(slot: number): void {
    const keyframe = this.#numbers[FRAME_NUMBERS * slot + SLOT_AT];
    if (keyframe !== FREE) this.#keyframes.hang(keyframe, -1);
  }

  /** While its keyframe's row has not come, a frame is where its own row said. */
  #place(at: number, keyframe: number): void {
    if (!this.#keyframes.isKnown(keyframe)) return;
    this.#keyframes.place(keyframe, this.#numbers, at, this.#numbers, at + HANG_AT);
  }

  /** Place the frames of keyframes that moved anew. */
  #follow(): void {
    if (!this.#keyframes.hasMoved) return;
    const { count } = this;
    for (let slot = 0; slot < count; slot++) {
      const at = FRAME_NUMBERS * slot;
      const keyframe = this.#numbers[at + SLOT_AT];
      if (keyframe === FREE || !this.#keyframes.isMoved(keyframe)) continue;
      this.#place(at, keyframe);
      this.#changedFrom = Math.min(this.#changedFrom, slot);
    }
  }

  #sort(): void {
    const before = this.#captureNs;
    const order = Uint32Array.from(before.keys()).sort((a, b) => (before[a] < before[b] ? -1 : 1));
    const numbers = new Float64Array(this.#numbers.length);
    order.forEach((from, to) => {
      const frame = this.#numbers.subarray(FRAME_NUMBERS * from, FRAME_NUMBERS * (from + 1));
      numbers.set(frame, FRAME_NUMBERS * to);
    });
    this.#numbers = numbers;
    this.#captureNs = Array.from(order, (from) => before[from]);
    this.#captureNs.forEach((captureNs, slot) => this.#slots.set(captureNs, slot));
    this.#sorted = true;
    this.#changedFrom = 0;
  }
}
