// SPDX-License-Identifier: Apache-2.0
/** The overlay's words and numbers. It reads the viewer and writes text; it decides nothing. */
import type { ConnectionState } from "./connection";
import type { Verdict } from "./progress";
import type { Status } from "./protocol";
import type { Viewer } from "./viewer";

/** How a state looks; the style sheet has a colour for each. */
type Tone = "good" | "busy" | "bad" | "idle";

const TRACKING_WORDS: Record<string, [string, Tone]> = {
  initializing: ["Finding its feet", "busy"],
  tracking: ["Tracking", "good"],
  lost: ["Lost: show it a known place", "bad"],
  relocalized: ["Found itself again", "good"],
  reset: ["Started a new map", "busy"],
};
const SESSION_WORDS: Record<string, [string, Tone]> = {
  waiting: ["Waiting for frames", "idle"],
  paused: ["Paused", "idle"],
  finished: ["Finished", "idle"],
  failed: ["Failed: the map so far stays", "bad"],
};
const VERDICT_WORDS: Record<Verdict, string> = {
  exact: "✓ exact",
  behind: "… catching up",
  wrong: "✗ differs",
};

export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** `TRACKING_STATE_LOST` and `lost` are the same to a reader. */
const plainName = (name: string): string => name.replace(/^TRACKING_STATE_/, "").toLowerCase();

export function stateWords(status: Status): [string, Tone] {
  const session = SESSION_WORDS[status.state];
  if (session !== undefined) {
    const [words, tone] = session;
    return [status.reason ? `${words} (${status.reason})` : words, tone];
  }
  if (status.full) return ["Tracking, but the map is full", "bad"];
  return TRACKING_WORDS[plainName(status.tracking)] ?? ["Active", "good"];
}

export function connectionWords(state: ConnectionState, nowMs: number): string {
  switch (state.kind) {
    case "connecting":
      return "Connecting…";
    case "live":
      return "";
    case "lost": {
      const seconds = Math.max(0, Math.ceil((state.retryAtMs - nowMs) / 1000));
      return `Connection lost. Trying again in ${seconds} s…`;
    }
    case "gone":
      return "This session is no longer on the server.";
    case "refused":
      return `The server refused the subscription: ${state.reason}`;
  }
}

/** 1234567 → "1.23 M"; three digits that matter. */
export function compact(value: number): string {
  if (value < 10_000) return Math.round(value).toLocaleString("en");
  if (value < 1_000_000) return `${(value / 1000).toPrecision(3)} k`;
  return `${(value / 1_000_000).toPrecision(3)} M`;
}

export class StatusLine {
  readonly #pill = element("state");
  readonly #pillText = element("state-text");
  readonly #banner = element("banner");

  /** Bring every word up to date. */
  show(viewer: Viewer): void {
    const nowMs = performance.now();
    this.#showState(viewer);
    const { status, map, progress } = viewer;
    put("frames-per-s", status ? status.framesPerS.toFixed(1) : "–");
    put("frames", status ? compact(status.frames) : "–");
    put("dropped", status ? compact(status.dropped) : "–");
    put("latency", status ? `${Math.round(status.latencyMs)} ms` : "–");
    put("blocks", compact(map.blocks));
    put("triangles", compact(map.triangles));
    put("rate", `${(viewer.received.perS(nowMs) / 1e6).toFixed(2)} MB/s`);
    put("hash", progress.revision === 0n ? "–" : VERDICT_WORDS[progress.verdict]);
    element("hash").dataset["verdict"] = progress.verdict;
    element("hash").title = `map hash ${map.hash}, revision ${progress.revision}`;
    this.#showBanner(viewer.connection ? connectionWords(viewer.connection, nowMs) : "");
  }

  #showState(viewer: Viewer): void {
    const live = viewer.connection?.kind === "live";
    const [words, tone]: [string, Tone] =
      live && viewer.status ? stateWords(viewer.status) : [live ? "Connected" : "Offline", "idle"];
    if (this.#pillText.textContent !== words) this.#pillText.textContent = words;
    this.#pill.dataset["tone"] = tone;
  }

  #showBanner(words: string): void {
    if (this.#banner.textContent !== words) this.#banner.textContent = words;
    this.#banner.hidden = words === "";
  }
}

function put(id: string, text: string): void {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}
