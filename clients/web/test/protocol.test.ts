// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";

import { ProtocolError, decode } from "../src/protocol";
import { COMPRESSIONS, expectedPoses, expectedRows, message } from "./deltas";

describe.each(COMPRESSIONS)("messages with compression %s", (compression) => {
  it("give mesh rows with their very bytes", () => {
    const delta = decode(message(compression, "mesh"));
    if (delta.layer !== "mesh") throw new Error(delta.layer);
    expect(delta.header).toMatchObject({ session: "room", epoch: 5n, revision: 9n });
    expect(delta.header).toMatchObject({ completeThrough: 9n, voxelSizeM: 0.02 });
    const rows = delta.rows.map((row) => ({
      block: [row.x, row.y, row.z],
      vertices: [...row.vertices],
      colors: [...row.colors],
      triangles: [...row.triangles],
    }));
    expect(rows).toEqual(expectedRows);
  });

  it("give a row without triangles for a removed block", () => {
    const delta = decode(message(compression, "removal"));
    if (delta.layer !== "mesh") throw new Error(delta.layer);
    expect(delta.rows.map((row) => [row.key, row.triangleCount])).toEqual([["0,0,0", 0]]);
  });

  it("give poses, and what they hang on", () => {
    const delta = decode(message(compression, "trajectory"));
    if (delta.layer !== "trajectory") throw new Error(delta.layer);
    const rows = delta.rows.map((row) => [...row.positionM, ...row.quatXyzw]);
    expect(rows).toEqual(expectedPoses.tracked);
    expect(delta.rows.map((row) => row.captureNs)).toEqual([0n, 33n, 66n]);
    expect(delta.rows.map((row) => row.keyframe)).toEqual([false, true, false]);
    const seen = { positionM: [1, -0.125, 0.75], quatXyzw: [0.8, 0, 0, 0.6] };
    expect(delta.rows[2].hang).toEqual({ keyframeNs: 33n, ...seen });
  });

  it("give poses of servers that hang frames on nothing", () => {
    const delta = decode(message(compression, "earlier"));
    if (delta.layer !== "trajectory") throw new Error(delta.layer);
    expect(delta.rows.map((row) => row.hang)).toEqual([null, null, null]);
  });

  it("give keyframes", () => {
    const delta = decode(message(compression, "correction"));
    if (delta.layer !== "keyframes") throw new Error(delta.layer);
    const pose = { positionM: [0.25, 1.5, 2], quatXyzw: [0.48, 0, 0.64, 0.6] };
    expect(delta.rows).toEqual([{ captureNs: 33n, ...pose, scale: 1.125 }]);
  });

  it("give the status", () => {
    const delta = decode(message(compression, "status"));
    if (delta.layer !== "status") throw new Error(delta.layer);
    expect(delta.status).toMatchObject({ state: "active", tracking: "tracking", frames: 41 });
    expect(delta.status).toMatchObject({ framesPerS: 29.5, latencyMs: 83.25, full: false });
  });

  it("are refused when cut short", () => {
    const whole = message(compression, "mesh");
    expect(() => decode(whole.subarray(0, whole.length >> 1))).toThrow(ProtocolError);
  });
});

it("noise is refused", () => {
  expect(() => decode(new Uint8Array([1, 2, 3]))).toThrow(ProtocolError);
});
