// SPDX-License-Identifier: Apache-2.0
/** The word on the newest correction, for some seconds. No DOM, no clock here. */
import type { Correction } from "./keyframes";
import type { Units } from "./protocol";
import { lengthWords } from "./units";

const TOLD_MS = 6000;

/** "map corrected: 42 keyframes, up to 8 cm". */
export function correctionWords({ keyframes, distance }: Correction, units: Units): string {
  const count = keyframes === 1 ? "1 keyframe" : `${keyframes} keyframes`;
  const isShort = units === "m" && distance < 1;
  const centimetres = Number((100 * distance).toPrecision(2));
  const length = isShort ? `${centimetres} cm` : lengthWords(distance, units);
  return `map corrected: ${count}, up to ${length}`;
}

export class CorrectionNews {
  #told: Correction | null = null;
  #toldAtMs = -Infinity;

  /**
   * Hear of a correction. The tracker moves keyframes by millimetres all the time: what does not
   * move the surface by a voxel is no news, and what is smaller than the one just told neither.
   */
  hear(correction: Correction, voxelSize: number, nowMs: number): void {
    if (correction.distance < voxelSize) return;
    const told = this.current(nowMs);
    if (told !== null && told.distance > correction.distance) return;
    this.#told = correction;
    this.#toldAtMs = nowMs;
  }

  /** What is to be told now; null: nothing. */
  current(nowMs: number): Correction | null {
    return nowMs - this.#toldAtMs < TOLD_MS ? this.#told : null;
  }

  clear(): void {
    this.#told = null;
  }
}
