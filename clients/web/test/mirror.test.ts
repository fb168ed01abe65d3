// SPDX-License-Identifier: Apache-2.0
import { beforeAll, expect, it } from "vitest";
import xxhash from "xxhash-wasm";

import type { Hash64 } from "../src/map";
import { Mirror } from "../src/mirror";
import { decode } from "../src/protocol";
import { expectedPoses, message } from "./deltas";
import { DrawnMap, trianglesOf } from "./drawn";

let hash64: Hash64;
beforeAll(async () => {
  hash64 = (await xxhash()).h64Raw;
});

it("an update has all that came since the last one", () => {
  const mirror = new Mirror(hash64);
  expect(mirror.hasNews).toBe(false);
  const names = ["mesh", "earlier", "status"] as const;
  for (const name of names) mirror.receive(0, message("lz4", name));
  const update = mirror.take();
  expect(update).toMatchObject({ messages: 3, isWhole: true, isNewEpoch: false });
  expect(update.summary).toMatchObject({ blocks: 3, triangles: 24, poses: 3, verdict: "exact" });
  expect(update.summary).toMatchObject({ epoch: 5n, since: 9n, units: "m", voxelSizeM: 0.02 });
  expect(update.status?.frames).toBe(41);
  expect(update.trajectory?.keyframes?.eyes).toHaveLength(3);
  expect(mirror.hasNews).toBe(false);
});

it("a correction moves the frames to where Python's client has them", () => {
  const mirror = new Mirror(hash64);
  const positions = (poses: number[][]): number[] => poses.flatMap((pose) => pose.slice(0, 3));
  for (const name of ["keyframes", "trajectory"] as const) mirror.receive(0, message("zstd", name));
  const before = mirror.take().trajectory!;
  expect(before).toMatchObject({ count: 3, correction: null });
  positions(expectedPoses.tracked).forEach((value, i) => {
    expect(before.positions[i]).toBeCloseTo(value, 6);
  });

  mirror.receive(0, message("zstd", "correction"));
  const after = mirror.take().trajectory!;
  expect(after).toMatchObject({ count: 3, from: 0, correction: { keyframes: 1 } });
  expect(after.correction?.distance).toBeCloseTo(Math.hypot(0.25, 0.5));
  positions(expectedPoses.corrected).forEach((value, i) => {
    expect(after.positions[i]).toBeCloseTo(value, 6);
  });
  expect([...after.keyframes!.eyes]).toEqual([0.25, 1.5, 2]);
});

it("with an earlier server the frames are where their rows say", () => {
  const mirror = new Mirror(hash64);
  mirror.receive(0, message("lz4", "earlier"));
  const { positions, keyframes } = mirror.take().trajectory!;
  expect(positions[6]).toBeCloseTo(expectedPoses.tracked[2][0], 6);
  expect([...keyframes!.eyes]).toEqual([0.5, 1, 2]);
});

it("what is drawn follows a removal", () => {
  const [mirror, drawn] = [new Mirror(hash64), new DrawnMap()];
  mirror.receive(0, message("none", "mesh"));
  const first = mirror.take();
  drawn.apply(first);
  const delta = decode(message("none", "mesh"));
  if (delta.layer !== "mesh") throw new Error(delta.layer);
  expect(drawn.triangles()).toEqual(trianglesOf(delta.rows));
  mirror.receive(0, message("none", "removal"));
  drawn.apply(mirror.take(first.vertices.words, first.indices.words));
  expect(drawn.triangles()).toEqual(trianglesOf(delta.rows.filter((row) => row.key !== "0,0,0")));
});

it("after a broken message nothing of its connection counts", () => {
  const mirror = new Mirror(hash64);
  const whole = message("zstd", "mesh");
  expect(() => mirror.receive(4, whole.subarray(0, whole.length >> 1))).toThrow();
  mirror.receive(4, message("zstd", "removal"));
  expect(mirror.take().summary).toMatchObject({ since: 0n, blocks: 0, revision: 0n });
  mirror.receive(5, whole);
  expect(mirror.take()).toMatchObject({ messages: 3, summary: { blocks: 3, verdict: "exact" } });
});

it("begins anew when the page has dropped everything", () => {
  const mirror = new Mirror(hash64);
  mirror.receive(0, message("zstd", "mesh"));
  mirror.clear(1);
  const update = mirror.take();
  expect(update).toMatchObject({ generation: 1, regions: [], status: null });
  expect(update.summary).toMatchObject({ blocks: 0, hash: 0n, since: 0n, spread: null });
});

it("finds what a ray hits, in the map's units", () => {
  const mirror = new Mirror(hash64);
  mirror.receive(0, message("zstd", "mesh"));
  expect(mirror.pick([0, 0, 50], [0, 0, 1])).toBeNull();
});
