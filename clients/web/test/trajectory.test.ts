// SPDX-License-Identifier: Apache-2.0
import * as THREE from "three";
import { expect, it } from "vitest";

import type { KeyframeRow, Pose, TrajectoryRow } from "../src/protocol";
import { Trajectory, type TrajectoryChange } from "../src/trajectory";

const IDENTITY: Pose = { positionM: [0, 0, 0], quatXyzw: [0, 0, 0, 1] };
const at = (x: number): Pose => ({ ...IDENTITY, positionM: [x, 0, 0] });

function frame(
  captureNs: number,
  world: Pose,
  keyframeNs?: number,
  seen = IDENTITY,
): TrajectoryRow {
  const hang = keyframeNs === undefined ? null : { keyframeNs: BigInt(keyframeNs), ...seen };
  const keyframe = captureNs === keyframeNs;
  return { captureNs: BigInt(captureNs), ...world, keyframe, hang };
}

function keyframe(captureNs: number, world: Pose, scale = 1): KeyframeRow {
  return { captureNs: BigInt(captureNs), ...world, scale };
}

function turned(position: [number, number, number], axis: [number, number, number]): Pose {
  const [x, y, z, w] = new THREE.Quaternion()
    .setFromAxisAngle(new THREE.Vector3(...axis).normalize(), 2.1)
    .toArray();
  return { positionM: position, quatXyzw: [x, y, z, w] };
}

function matrix({ positionM, quatXyzw }: Pose, scale = 1): THREE.Matrix4 {
  const position = new THREE.Vector3(...positionM).multiplyScalar(scale);
  const rotation = new THREE.Quaternion(...quatXyzw);
  return new THREE.Matrix4().compose(position, rotation, new THREE.Vector3(1, 1, 1));
}

function applied(trajectory: Trajectory, ...rows: TrajectoryRow[]): TrajectoryChange {
  for (const row of rows) trajectory.apply(row);
  const change = trajectory.take();
  if (change === null) throw new Error("nothing changed");
  return change;
}

const xs = ({ positions }: TrajectoryChange): number[] =>
  [...positions].filter((_, i) => i % 3 === 0);

it("a later row of the same frame replaces the earlier one, in the order of time", () => {
  const trajectory = new Trajectory();
  const rows = [0, 5, 3].map((x) => frame(x, at(x)));
  rows.push(frame(5, at(6)), frame(4, at(4)));
  expect(xs(applied(trajectory, ...rows))).toEqual([0, 3, 4, 6]);
  const change = applied(trajectory, frame(3, at(9)));
  expect(change).toMatchObject({ count: 4, from: 1, first: at(0), newest: at(6) });
  expect(xs(change)).toEqual([9, 4, 6]);
  expect(trajectory.take()).toBeNull();
});

it("a frame is where its keyframe has been moved to, turned and scaled", () => {
  const trajectory = new Trajectory();
  const seen = turned([0.3, -0.2, 0.9], [1, 2, 3]);
  trajectory.applyKeyframe(keyframe(1, at(1)));
  applied(trajectory, frame(1, at(1), 1), frame(2, at(1.1), 1, seen));

  const moved = turned([4, 5, 6], [-1, 0.5, 0.2]);
  trajectory.applyKeyframe(keyframe(1, moved, 1.25));
  const change = applied(trajectory);
  const truth = matrix(moved).multiply(matrix(seen, 1.25));
  const newest = matrix(change.newest!);
  truth.elements.forEach((value, i) => expect(newest.elements[i]).toBeCloseTo(value, 12));
  const position = new THREE.Vector3().setFromMatrixPosition(truth).toArray();
  position.forEach((value, i) => expect(change.positions[3 + i]).toBeCloseTo(value, 6));
});

it("until its keyframe's row comes, a frame is where its own row says", () => {
  const trajectory = new Trajectory();
  const change = applied(trajectory, frame(7, at(2), 6, at(1)));
  expect([xs(change), change.correction]).toEqual([[2], null]);
  expect(change.keyframes?.eyes).toHaveLength(0);
  trajectory.applyKeyframe(keyframe(6, at(10)));
  expect([xs(applied(trajectory)), trajectory.take()]).toEqual([[11], null]);
});

it("a correction tells from the first frame that moved, how many keyframes, and how far", () => {
  const trajectory = new Trajectory();
  for (let k = 0; k < 40; k++) {
    trajectory.applyKeyframe(keyframe(10 * k, at(k)));
    for (let i = 0; i < 10; i++) trajectory.apply(frame(10 * k + i, at(0), 10 * k, at(i / 10)));
  }
  expect(trajectory.take()?.correction).toBeNull();
  for (let k = 30; k < 40; k++) trajectory.applyKeyframe(keyframe(10 * k, at(k + (k - 29) / 100)));
  trajectory.applyKeyframe(keyframe(400, at(40)));
  const change = applied(trajectory);
  expect(change).toMatchObject({ count: 400, from: 300, correction: { keyframes: 10 } });
  expect(change.correction?.distance).toBeCloseTo(0.1);
  expect(xs(change).at(-1)).toBeCloseTo(39.1 + 0.9);
  trajectory.applyKeyframe(keyframe(10, at(1)));
  expect(trajectory.take()?.correction).toBeNull();
});

it("a frame goes with the keyframe that it hangs on now, and a deserted one is not drawn", () => {
  const trajectory = new Trajectory();
  for (const k of [0, 10]) trajectory.applyKeyframe(keyframe(k, at(k)));
  applied(trajectory, frame(0, at(0), 0), frame(10, at(10), 10), frame(11, at(11), 10, at(1)));
  const rehung = [frame(10, at(10), 0, at(10)), frame(11, at(11), 0, at(11))];
  expect([...applied(trajectory, ...rehung).keyframes!.turns]).toEqual([0, 0, 0, 1, 0, 0, 0, 0]);
  trajectory.applyKeyframe(keyframe(0, at(100)));
  trajectory.applyKeyframe(keyframe(10, at(-50)));
  expect(xs(applied(trajectory))).toEqual([100, 110, 111]);
});

it("keyframes of a server without a layer for them come from the frames' rows", () => {
  const trajectory = new Trajectory();
  const row = { ...frame(3, at(3)), keyframe: true };
  expect([...applied(trajectory, row, frame(4, at(4))).keyframes!.eyes]).toEqual([3, 0, 0]);
  const change = applied(trajectory, { ...row, ...at(3.5) });
  expect(change).toMatchObject({ from: 0, correction: { keyframes: 1, distance: 0.5 } });
  expect([...change.keyframes!.eyes]).toEqual([3.5, 0, 0]);
});

it("frames that come in any order hang on their own keyframes", () => {
  const trajectory = new Trajectory();
  for (let i = 3000; i-- > 0; ) {
    trajectory.apply(frame(i, at(-1), 100 * Math.floor(i / 100), at(i)));
  }
  for (let k = 0; k < 30; k++) trajectory.applyKeyframe(keyframe(100 * k, at(1e4 * k)));
  expect(xs(applied(trajectory))).toEqual(
    Array.from({ length: 3000 }, (_, i) => 1e4 * Math.floor(i / 100) + i),
  );
  trajectory.clear();
  trajectory.applyKeyframe(keyframe(0, at(5)));
  expect(xs(applied(trajectory, frame(1, at(0), 0, at(1))))).toEqual([6]);
});
