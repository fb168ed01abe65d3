// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, expect, it, vi } from "vitest";

import { Broadcast, type BroadcastState } from "../src/camera/broadcast";
import type { PublishStatus } from "../src/camera/control";
import {
  LinkLost, type Publisher, type PublisherEvents, type Transport, Unsupported,
} from "../src/camera/publisher";
import { Refused } from "../src/camera/server";

const FAILED: PublishStatus = {
  session: "s", state: "failed", reason: "worker died", tracking: "tracking", guidance: "",
  frames: 10, fused: 5, dropped: 0, fps: 30, latency_ms: 20,
};

/** Publishers that open as scripted: an error, or success by null. */
class Script {
  readonly transports: Transport[] = [];
  readonly states: BroadcastState[] = [];
  sessionState = "active";
  closed = 0;
  events: PublisherEvents | null = null;
  readonly broadcast: Broadcast;

  constructor(outcomes: (Error | null)[]) {
    const publisher = (transport: Transport, events: PublisherEvents): Publisher => {
      this.transports.push(transport);
      this.events = events;
      const outcome = outcomes.shift() ?? null;
      return {
        transport,
        offset: null,
        open: () => (outcome === null ? Promise.resolve() : Promise.reject(outcome)),
        sendMotion: () => true,
        close: () => void (this.closed += 1),
      };
    };
    const info = () => ({ state: this.sessionState });
    this.broadcast = new Broadcast(
      { publisher, session: () => Promise.resolve(info()) },
      { changed: (state) => this.states.push(state), status: () => {} },
      "webrtc",
    );
  }

  get kinds(): string[] {
    return this.states.map(({ kind }) => kind);
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("without WebRTC the pictures go by WebSocket", async () => {
  vi.spyOn(console, "warn").mockImplementation(() => {});
  const script = new Script([new Unsupported("no ICE")]);
  await script.broadcast.start();
  expect(script.transports).toEqual(["webrtc", "websocket"]);
  expect(script.states.at(-1)).toEqual({ kind: "live", transport: "websocket" });
});

it("a link that drops is built anew, ever slower, and by WebRTC again", async () => {
  const script = new Script([null, new LinkLost("away"), new LinkLost("away"), null]);
  await script.broadcast.start();
  script.events?.lost("the network dropped");
  await vi.advanceTimersByTimeAsync(499);
  expect(script.transports).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(script.transports).toHaveLength(2);
  await vi.advanceTimersByTimeAsync(1000 + 2000);
  expect(script.kinds.filter((kind) => kind === "retrying")).toHaveLength(3);
  expect(script.states.at(-1)).toEqual({ kind: "live", transport: "webrtc" });
  expect(script.closed).toBe(3);
});

it("a session that another camera has is waited for, then given up", async () => {
  const script = new Script(Array.from({ length: 20 }, () => new Refused(409, "busy")));
  await script.broadcast.start();
  expect(script.broadcast.state.kind).toBe("retrying");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(script.broadcast.state).toMatchObject({
    kind: "failed", problem: { title: "Another camera is streaming", detail: "busy" },
  });
});

it("a session that is over is not waited for", async () => {
  const script = new Script([new Refused(409, "it is finished")]);
  script.sessionState = "finished";
  await script.broadcast.start();
  expect(script.broadcast.state).toMatchObject({ problem: { remedy: "new session" } });
});

it("a session that fails while streaming ends the stream", async () => {
  const script = new Script([null]);
  await script.broadcast.start();
  script.events?.status(FAILED);
  expect(script.broadcast.state).toMatchObject({ problem: { detail: "worker died" } });
  expect([script.broadcast.sendMotion({} as never), script.closed]).toEqual([false, 1]);
});

it("after stop nothing is tried any more", async () => {
  const script = new Script([null]);
  await script.broadcast.start();
  script.events?.lost("away");
  script.broadcast.stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect([script.transports.length, script.kinds.at(-1)]).toEqual([1, "over"]);
});
