// SPDX-License-Identifier: Apache-2.0
import { expect, it } from "vitest";

import { CorrectionNews, correctionWords } from "../src/correction";
import { Gliding } from "../src/gliding";

const points = (...xs: number[]): Float32Array => Float32Array.from(xs.flatMap((x) => [x, 0, 0]));
const shown = (gliding: Gliding): number[] =>
  [...gliding.buffer.array.subarray(0, 3 * gliding.count)].filter((_, i) => i % 3 === 0);

it("new points appear in their place, and known ones glide to theirs", () => {
  const gliding = new Gliding();
  gliding.set(0, points(0, 1, 2));
  expect([shown(gliding), gliding.advance(0.02, 1)]).toEqual([[0, 1, 2], false]);

  gliding.set(1, points(1.5, 3, 4));
  expect(shown(gliding)).toEqual([0, 1, 2, 4]);
  const ways: number[] = [];
  while (gliding.advance(0.05, 1)) ways.push(shown(gliding)[2]);
  expect(ways.every((x, i) => x > (ways[i - 1] ?? 2))).toBe(true);
  expect([ways.length > 4, ways.length < 20, shown(gliding)]).toEqual([true, true, [0, 1.5, 3, 4]]);
});

it("a point that is sent elsewhere on its way goes on from where it is", () => {
  const gliding = new Gliding();
  gliding.set(0, points(0, 0));
  gliding.set(1, points(1));
  gliding.advance(0.05, 1);
  const [, before] = shown(gliding);
  gliding.set(1, points(-1));
  expect(shown(gliding)[1]).toBe(before);
  gliding.advance(Infinity, 1);
  expect([shown(gliding), gliding.advance(1, 1)]).toEqual([[0, -1], false]);
});

it("uploads what changed since the last time, in one range", () => {
  const gliding = new Gliding();
  gliding.set(0, points(...Array(200).keys()));
  const { buffer } = gliding;
  buffer.clearUpdateRanges();
  for (let i = 200; i < 220; i++) gliding.set(i, points(i));
  expect(buffer.updateRanges).toEqual([{ start: 600, count: 60 }]);
  gliding.set(150, points(...Array(70).keys()));
  gliding.advance(0.05, 1);
  expect(buffer.updateRanges).toEqual([{ start: 450, count: 210 }]);
  gliding.set(0, points(...Array(2000).keys()));
  expect([gliding.buffer === buffer, gliding.count]).toEqual([false, 2000]);
});

it("what was cleared does not glide to what comes then", () => {
  const gliding = new Gliding();
  gliding.set(0, points(1, 2));
  gliding.clear();
  gliding.set(0, points(7));
  expect([shown(gliding), gliding.advance(0.05, 1)]).toEqual([[7], false]);
});

it("a correction is told for some seconds, and no smaller one takes its place", () => {
  const news = new CorrectionNews();
  news.hear({ keyframes: 9, distance: 0.004 }, 0.01, 0);
  expect(news.current(1)).toBeNull();
  news.hear({ keyframes: 42, distance: 0.08 }, 0.01, 1000);
  news.hear({ keyframes: 3, distance: 0.02 }, 0.01, 2000);
  expect(news.current(5000)?.keyframes).toBe(42);
  news.hear({ keyframes: 50, distance: 0.3 }, 0.01, 5000);
  expect([news.current(10_000)?.keyframes, news.current(11_001)]).toEqual([50, null]);
});

it("a correction's words have its size", () => {
  const words = (keyframes: number, distance: number): string =>
    correctionWords({ keyframes, distance }, "m");
  expect(words(42, 0.0801)).toBe("map corrected: 42 keyframes, up to 8 cm");
  expect(words(1, 1.234)).toBe("map corrected: 1 keyframe, up to 1.23 m");
  expect(correctionWords({ keyframes: 2, distance: 0.5 }, "unscaled")).toContain("0.5 units");
});
