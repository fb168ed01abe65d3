// SPDX-License-Identifier: Apache-2.0
import { expect, it } from "vitest";

import { Extents } from "../src/extents";
import { RegionPatches } from "../src/patches";
import { nearestHit } from "../src/pick";
import { MeshRow } from "../src/rows";
import { Surface } from "../src/surface";
import { DrawnMap, trianglesOf } from "./drawn";

const BUDGET_BYTES = 1 << 14;

/** Numbers from 0 to `below`, the same with each run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

function randomRow(random: (below: number) => number): MeshRow {
  const [x, y, z] = [random(60) - 30, random(4) - 2, random(2)];
  const vertexCount = random(5) === 0 ? 0 : 3 + random(60);
  const bytes = (count: number, below: number): Uint8Array =>
    Uint8Array.from({ length: count }, () => random(below));
  const indexCount = 3 * random(vertexCount + 1);
  const indices = Uint16Array.from({ length: indexCount }, () => random(vertexCount));
  const [vertices, colors] = [bytes(3 * vertexCount, 249), bytes(3 * vertexCount, 256)];
  return new MeshRow(x, y, z, vertices, colors, new Uint8Array(indices.buffer));
}

function counts(triangles: readonly string[]): Map<string, number> {
  const found = new Map<string, number>();
  for (const triangle of triangles) found.set(triangle, (found.get(triangle) ?? 0) + 1);
  return found;
}

/** Whether all triangles of a block are drawn, as often as it has them. */
const isIn = (triangles: readonly string[], picture: ReadonlyMap<string, number>): boolean =>
  [...counts(triangles)].every(([triangle, count]) => (picture.get(triangle) ?? 0) >= count);

it("draws the latest rows, whatever changed in which order", () => {
  const random = numbers(7);
  const [surface, drawn] = [new Surface(), new DrawnMap()];
  const rows = new Map<string, MeshRow>();
  let reused: RegionPatches["vertices"] | undefined;
  for (let round = 0; round < 100; round++) {
    for (let i = 0; i < 40; i++) {
      const row = randomRow(random);
      surface.apply(row);
      if (row.triangleCount === 0) rows.delete(row.key);
      else rows.set(row.key, row);
    }
    do {
      const patches = new RegionPatches(reused?.data().words);
      const regions = surface.write(patches, BUDGET_BYTES);
      drawn.apply({ regions, vertices: patches.vertices.data(), indices: patches.indices.data() });
      reused = patches.vertices;
    } while (surface.pending > 0);
    if (round % 20 === 9) expect(drawn.triangles()).toEqual(trianglesOf(rows.values()));
  }
  expect(drawn.regions).toBeGreaterThan(3);
});

it("a block that moves on is drawn as it was or as it is, never as neither", () => {
  const random = numbers(23);
  const [surface, drawn] = [new Surface(), new DrawnMap()];
  const rows = new Map<string, MeshRow>();
  const change = (row: MeshRow): void => {
    surface.apply(row);
    rows.set(row.key, row);
  };
  const write = (budgetBytes: number): void => {
    const patches = new RegionPatches();
    const regions = surface.write(patches, budgetBytes);
    drawn.apply({ regions, vertices: patches.vertices.data(), indices: patches.indices.data() });
  };
  for (let i = 0; i < 60; i++) change(randomRow(random));
  write(Infinity);
  for (let round = 0; round < 6; round++) {
    const before = new Map(rows);
    for (let i = 0; i < 40; i++) change(randomRow(random));
    while (surface.pending > 0) {
      write(1 << 12);
      const found = drawn.triangles();
      const [old, now] = [before, rows].map((all) => new Set(trianglesOf(all.values())));
      expect(found.every((triangle) => old.has(triangle) || now.has(triangle))).toBe(true);
      const picture = counts(found);
      for (const [key, row] of before) {
        const states = [row, rows.get(key)!].map((state) => trianglesOf([state]));
        expect(states.some((state) => isIn(state, picture))).toBe(true);
      }
    }
  }
});

it("draws all again after the GPU has lost it", () => {
  const random = numbers(11);
  const surface = new Surface();
  const rows = new Map<string, MeshRow>();
  for (let i = 0; i < 300; i++) {
    const row = randomRow(random);
    surface.apply(row);
    if (row.triangleCount === 0) rows.delete(row.key);
    else rows.set(row.key, row);
  }
  surface.write(new RegionPatches(), Infinity);
  surface.forget();
  const [patches, drawn] = [new RegionPatches(), new DrawnMap()];
  const regions = surface.write(patches, Infinity);
  drawn.apply({ regions, vertices: patches.vertices.data(), indices: patches.indices.data() });
  expect(drawn.triangles()).toEqual(trianglesOf(rows.values()));
});

it("stretches do not overlap, and their buffer grows by more than one of them", () => {
  const extents = new Extents();
  let end = 0;
  const capacities = new Set<number>();
  for (let count = 1; count < 400; count++) {
    const { at, room } = extents.take(count);
    expect([at, at % 3, room >= count]).toEqual([end, 0, true]);
    end = at + room;
    expect(extents.capacity).toBeGreaterThanOrEqual(end);
    capacities.add(extents.capacity);
  }
  expect(capacities.size).toBeLessThan(20);
});

it("a ray hits the nearest triangle", () => {
  const square = (x: number): MeshRow =>
    new MeshRow(
      x, 0, 0,
      Uint8Array.from([100, 0, 0, 100, 248, 0, 100, 0, 248, 100, 248, 248]),
      new Uint8Array(12),
      new Uint8Array(Uint16Array.from([0, 1, 2, 1, 3, 2]).buffer),
    );
  const rows = [square(5), square(2), square(-4)];
  expect(nearestHit(rows, [0, 100, 90], [1, 0, 0])).toBeCloseTo(2 * 248 + 100);
  expect(nearestHit(rows, [0, 100, 90], [-1, 0, 0])).toBeCloseTo(4 * 248 - 100);
  expect(nearestHit(rows, [0, 300, 90], [1, 0, 0])).toBeNull();
});
