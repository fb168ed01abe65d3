// SPDX-License-Identifier: Apache-2.0
/** Lengths for readers, who shall not take a map without scale for metres. */
import type { Units } from "./protocol";

/** 1.234 → "1.23 m", or "1.23 units" in a map without scale. */
export function lengthWords(value: number, units: Units): string {
  const rounded = Math.abs(value) < 1e-9 ? 0 : Number(value.toPrecision(3));
  return `${rounded} ${units === "m" ? "m" : "units"}`;
}

/** A room's diagonal, metres: a map without scale is shown as if it were one. */
const ROOM_SIZE = 6;

/** The length that stands for a metre; in powers of two, so that a growing map does not wobble. */
export function sceneScale(units: Units, mapSize: number): number {
  if (units === "m" || mapSize <= 0) return 1;
  return 2 ** Math.round(Math.log2(mapSize / ROOM_SIZE));
}
