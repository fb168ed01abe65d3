// SPDX-License-Identifier: Apache-2.0
import { expect, it } from "vitest";

import { Rate } from "../src/rate";
import { type SessionInfo, label, newestLiveFirst } from "../src/sessions";
import { compact, connectionWords, stateWords } from "../src/status";

it("live sessions come first, the newest of them on top", () => {
  const info = (session: string, state: string, created_ns: string): SessionInfo => ({
    session, name: "", state, created_ns, frames: "0",
  });
  const sessions = [
    info("a", "finished", "1763000000000000009"),
    info("b", "active", "1763000000000000001"),
    info("c", "waiting", "1763000000000000002"),
  ];
  expect(sessions.sort(newestLiveFirst).map((entry) => entry.session)).toEqual(["c", "b", "a"]);
  expect(label(sessions[2])).toBe("a (finished)");
});

it("states are told in words", () => {
  const status = {
    state: "active", reason: "", tracking: "TRACKING_STATE_LOST", frames: 0, dropped: 0,
    framesPerS: 0, latencyMs: 0, blocks: 0, triangles: 0, subscribers: 0, full: false,
  };
  expect(stateWords(status)[0]).toContain("Lost");
  expect(stateWords({ ...status, tracking: "tracking" })).toEqual(["Tracking", "good"]);
  const failed = { ...status, state: "failed", reason: "worker died" };
  expect(stateWords(failed)).toEqual(["Failed: the map so far stays (worker died)", "bad"]);
  expect(connectionWords({ kind: "lost", retryAtMs: 3500 }, 1000)).toContain("in 3 s");
});

it("numbers stay short", () => {
  expect([999, 9999, 12345, 1234567].map(compact)).toEqual(["999", "9,999", "12.3 k", "1.23 M"]);
});

it("the rate forgets what is older than its window", () => {
  const rate = new Rate();
  rate.add(4000, 0);
  rate.add(2000, 1500);
  expect([rate.perS(1600), rate.perS(2500), rate.perS(9000)]).toEqual([3000, 1000, 0]);
});
