// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from "vitest";

import { type Situation, hint, notice } from "../src/notices";
import type { Status } from "../src/protocol";

const status: Status = {
  state: "active", reason: "", tracking: "tracking", frames: 10, dropped: 0,
  framesPerS: 30, latencyMs: 80, blocks: 0, triangles: 0, subscribers: 1, full: false,
};
const fine: Situation = {
  server: "ok", session: "a", connection: { kind: "live" }, status, blocks: 12,
};

describe("the card in the middle", () => {
  it("is not there when there is a map", () => {
    expect(notice(fine)).toBeNull();
    expect(hint(fine)).toBe("");
  });

  it("says how to start, and offers a phone", () => {
    const none = { ...fine, session: null, connection: null, status: null, blocks: 0 };
    expect(notice(none)?.title).toBe("No session yet");
    expect(notice(none)?.offers).toEqual(["phone", "here", "commands"]);
    expect(notice({ ...none, server: "silent" })?.title).toContain("does not answer");
  });

  it("asks for a token, by whichever way it was refused", () => {
    const denied = { kind: "denied", access: "no-token" } as const;
    expect(notice({ ...fine, connection: denied })?.offers).toEqual(["token"]);
    const forbidden = notice({ ...fine, server: "forbidden", session: null });
    expect(forbidden?.title).toContain("does not open");
  });

  it("tells an ended session without a map from a lost connection", () => {
    const empty = { ...fine, blocks: 0 };
    const ended = { ...empty, status: { ...status, state: "finished" } };
    expect(notice(ended)?.title).toBe("Nothing was mapped");
    const lost = { kind: "lost", retryAtMs: 0 } as const;
    expect(notice({ ...ended, connection: lost })).toBeNull();
    expect(notice({ ...ended, connection: { kind: "gone" } })?.offers).toEqual(["others"]);
  });

  it("waits for the camera only until its first frame", () => {
    const waiting = { ...fine, blocks: 0, status: { ...status, state: "waiting", frames: 0 } };
    expect(notice(waiting)?.title).toBe("Waiting for a camera");
    expect(notice({ ...waiting, status: { ...status, state: "waiting" } })).toBeNull();
  });
});

describe("the line below the map", () => {
  it.each([
    ["TRACKING_STATE_INITIALIZING", "slowly sideways"],
    ["lost", "on the map already"],
    ["reset", "Go back"],
  ])("has advice while tracking is %s", (tracking, words) => {
    expect(hint({ ...fine, status: { ...status, tracking } })).toContain(words);
  });

  it("says nothing of tracking once the session is over", () => {
    expect(hint({ ...fine, status: { ...status, state: "finished", tracking: "lost" } })).toBe("");
    expect(hint({ ...fine, status: { ...status, state: "failed" } })).toContain("downloaded");
  });
});
