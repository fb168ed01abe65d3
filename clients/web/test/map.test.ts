// SPDX-License-Identifier: Apache-2.0
import { beforeAll, describe, expect, it } from "vitest";
import xxhash from "xxhash-wasm";

import { type Hash64, MapState } from "../src/map";
import { Progress } from "../src/progress";
import { type Delta, decode } from "../src/protocol";
import { MeshRow } from "../src/rows";
import { type Name, message } from "./deltas";

let hash64: Hash64;
beforeAll(async () => {
  hash64 = (await xxhash()).h64Raw;
});

function applied(names: readonly Name[]): { map: MapState; progress: Progress } {
  const [map, progress] = [new MapState(hash64), new Progress()];
  for (const name of names) {
    const delta = decode(message("zstd", name));
    if (delta.layer === "mesh") delta.rows.forEach((row) => map.apply(row));
    progress.record(delta, map.hash);
  }
  return { map, progress };
}

describe("the map", () => {
  it("has the server's hash after a complete message", () => {
    const { map, progress } = applied(["mesh"]);
    expect(map.hash).toBe(progress.serverHash);
    expect([map.blocks, map.triangles, progress.verdict]).toEqual([3, 24, "exact"]);
  });

  it("keeps its hash when the same rows come again", () => {
    const { map, progress } = applied(["mesh", "mesh"]);
    expect([map.hash, map.blocks]).toEqual([progress.serverHash, 3]);
  });

  it("has the server's hash after a block was removed", () => {
    const { map, progress } = applied(["mesh", "removal"]);
    expect([map.blocks, map.triangles, progress.verdict]).toEqual([2, 16, "exact"]);
  });

  it("is found wrong when rows are missing", () => {
    expect(applied(["removal"]).progress.verdict).toBe("wrong");
  });

  it("is empty after clear, and has no middle", () => {
    const { map } = applied(["mesh"]);
    map.clear();
    expect([map.hash, map.blocks, map.triangles, map.spread(0.02)]).toEqual([0n, 0, 0, null]);
  });

  it("knows the box around it, without strays, also after changes", () => {
    const map = new MapState(hash64);
    const triangle = [new Uint8Array(9), new Uint8Array(9), new Uint8Array(6)] as const;
    const none = [new Uint8Array(), new Uint8Array(), new Uint8Array()] as const;
    for (let i = 0; i < 100; i++) {
      map.apply(new MeshRow(i % 10, -2, Math.floor(i / 10), ...triangle));
    }
    map.apply(new MeshRow(1000, -2, 3, ...triangle));
    for (let i = 0; i < 10; i++) map.apply(new MeshRow(9, -2, i, ...none));
    expect(map.spread(0.25)).toEqual({ low: [0, -4, 0], high: [18, -2, 20] });
  });
});

describe("the progress", () => {
  it("goes on where both keyed layers are complete", () => {
    expect(applied(["mesh"]).progress.since).toBe(0n);
    const { progress } = applied(["mesh", "earlier", "removal"]);
    expect([progress.since, progress.epoch, progress.revision]).toEqual([9n, 5n, 10n]);
  });

  it("goes on before what keyframes have not said yet, or the status for them", () => {
    const { progress } = applied(["mesh", "trajectory"]);
    expect(progress.since).toBe(0n);
    progress.record(decode(message("lz4", "keyframes")), 0n);
    expect(progress.since).toBe(9n);
    const later = (name: Name): Delta => {
      const delta = decode(message("none", name));
      return { ...delta, header: { ...delta.header, completeThrough: 20n } };
    };
    for (const name of ["mesh", "trajectory"] as const) progress.record(later(name), 0n);
    expect(progress.since).toBe(9n);
    progress.record(later("status"), 0n);
    expect(progress.since).toBe(20n);
  });

  it("notices another epoch", () => {
    const { progress } = applied(["mesh"]);
    const delta = decode(message("none", "status"));
    const other: Delta = { ...delta, header: { ...delta.header, epoch: 6n } };
    expect([progress.isNewEpoch(delta), progress.isNewEpoch(other)]).toEqual([false, true]);
    progress.reset();
    expect(progress.isNewEpoch(other)).toBe(false);
  });
});

it("a row whose parts do not fit is refused", () => {
  const refused = () => new MeshRow(0, 0, 0, new Uint8Array(6), new Uint8Array(3), new Uint8Array(6));
  expect(refused).toThrow("6 bytes of vertices, 3 of colours");
});
