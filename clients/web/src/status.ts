// SPDX-License-Identifier: Apache-2.0
/** The overlay's words and numbers. It reads the viewer and writes text; it decides nothing. */
import type { ConnectionState } from "./connection";
import { correctionWords } from "./correction";
import { trackingName } from "./notices";
import { element, put } from "./page";
import type { Verdict } from "./progress";
import type { Status } from "./protocol";
import type { SessionInfo } from "./sessions";
import { lengthWords } from "./units";
import type { Viewer } from "./viewer";

/** How a state looks; the style sheet has a colour for each. */
type Tone = "good" | "busy" | "bad" | "idle";

const TRACKING_WORDS: Record<string, [string, Tone]> = {
  initializing: ["Finding its feet", "busy"],
  tracking: ["Tracking", "good"],
  lost: ["Lost", "bad"],
  relocalized: ["Found itself again", "good"],
  reset: ["Started a new map", "busy"],
};
const SESSION_WORDS: Record<string, [string, Tone]> = {
  waiting: ["Waiting for frames", "idle"],
  paused: ["Paused", "idle"],
  finishing: ["Finishing", "busy"],
  finished: ["Finished", "idle"],
  failed: ["Failed: the map so far stays", "bad"],
};
const VERDICT_WORDS: Record<Verdict, string> = {
  exact: "✓ exact",
  behind: "… catching up",
  wrong: "✗ differs",
};
const SCALE_WORDS: Record<string, string> = {
  sensor: "Metres: from the depth sensor.",
  given: "Metres: from the given poses.",
  imu: "Metres: from the motion sensors.",
  network: "Metres: a depth network's estimate.",
  declared: "Metres: as declared by who streams.",
};

export function stateWords(status: Status): [string, Tone] {
  const session = SESSION_WORDS[status.state];
  if (session !== undefined) {
    const [words, tone] = session;
    return [status.reason ? `${words} (${status.reason})` : words, tone];
  }
  if (status.full) return ["Tracking, but the map is full", "bad"];
  return TRACKING_WORDS[trackingName(status.tracking)] ?? ["Active", "good"];
}

export function connectionWords(state: ConnectionState, nowMs: number): string {
  switch (state.kind) {
    case "connecting":
      return "Connecting…";
    case "lost": {
      const seconds = Math.max(0, Math.ceil((state.retryAtMs - nowMs) / 1000));
      return `Connection lost. Trying again in ${seconds} s…`;
    }
    case "refused":
      return `The server refused the subscription: ${state.reason}`;
    case "live":
    case "gone": // a notice says these
    case "denied":
      return "";
  }
}

/** 1234567 → "1.23 M"; three digits that matter. */
export function compact(value: number): string {
  if (value < 10_000) return Math.round(value).toLocaleString("en");
  if (value < 1_000_000) return `${(value / 1000).toPrecision(3)} k`;
  return `${(value / 1_000_000).toPrecision(3)} M`;
}

/** How long ago; tenths of a second while it matters. */
export function agoWords(elapsedMs: number): string {
  const seconds = elapsedMs / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s ago`;
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  return `${Math.round(seconds / 3600)} h ago`;
}

export class StatusLine {
  readonly #pill = element("state");
  readonly #pillText = element("state-text");
  readonly #banner = element("banner");
  readonly #readouts = new Map<string, HTMLElement>();

  /** Bring every word up to date. */
  show(viewer: Viewer, info: SessionInfo | null): void {
    const nowMs = performance.now();
    const { summary } = viewer;
    this.#showState(viewer);
    this.#showSender(viewer);
    const ago = viewer.changedAtMs === null ? "–" : agoWords(nowMs - viewer.changedAtMs);
    this.#put("updated", ago);
    this.#put("blocks", compact(summary.blocks));
    this.#put("triangles", compact(summary.triangles));
    this.#put("rate", `${(viewer.received.perS(nowMs) / 1e6).toFixed(2)} MB/s`);
    const verdict = summary.revision === 0n ? "–" : VERDICT_WORDS[summary.verdict];
    const copy = this.#put("hash", verdict);
    copy.dataset["verdict"] = summary.verdict;
    copy.title = `map hash ${summary.hash}, revision ${summary.revision}`;
    this.#showHonesty(viewer, info);
    this.#showCorrection(viewer, nowMs);
    this.#showBanner(viewer.connection ? connectionWords(viewer.connection, nowMs) : "");
    this.#showHeights(viewer);
  }

  #showSender({ status, latency }: Viewer): void {
    this.#put("frames-per-s", status ? status.framesPerS.toFixed(1) : "–");
    const dropped = status?.dropped ? ` −${compact(status.dropped)}` : "";
    const frames = this.#put("frames", status ? `${compact(status.frames)}${dropped}` : "–");
    frames.title = status ? `${status.frames} frames, ${status.dropped} of them dropped` : "";
    const measuredMs = latency.meter.latest;
    const shown = this.#put(
      "latency",
      Number.isNaN(measuredMs)
        ? status ? `${Math.round(status.latencyMs)} ms` : "–"
        : `${Math.round(measuredMs)} ms`,
    );
    shown.title = Number.isNaN(measuredMs)
      ? "in the server: from a frame's arrival to its pose"
      : "from a frame's capture to this screen";
  }

  /** What is not known about the scale and the camera is said, not hidden. */
  #showHonesty({ summary }: Viewer, info: SessionInfo | null): void {
    const isUnscaled = summary.units === "unscaled";
    const scale = element("chip-scale");
    scale.hidden = !isUnscaled;
    scale.title = "Lengths are in a unit of the map's own: one camera alone does not tell metres.";
    element("chip-calibration").hidden = !info?.camera_guessed;
    element("chip-calibration").title =
      "The camera's field of view is a typical one: the map may be stretched or bent a little.";
    const source = isUnscaled ? "" : (SCALE_WORDS[info?.scale_source ?? ""] ?? "");
    this.#readout("blocks").title =
      summary.voxelSizeM === 0
        ? ""
        : `8³ voxels of ${lengthWords(summary.voxelSizeM, summary.units)}. ${source}`;
  }

  #showCorrection({ corrections, summary }: Viewer, nowMs: number): void {
    const correction = corrections.current(nowMs);
    const words = correction === null ? "" : correctionWords(correction, summary.units);
    this.#put("chip-correction", words);
  }

  #showHeights({ summary }: Viewer): void {
    if (summary.spread === null) return;
    const { low, high } = summary.spread;
    this.#put("height-low", lengthWords(low[2], summary.units));
    this.#put("height-high", lengthWords(high[2], summary.units));
  }

  #showState(viewer: Viewer): void {
    const live = viewer.connection?.kind === "live";
    const without = viewer.session === null ? "No session" : live ? "Connected" : "Offline";
    const [words, tone]: [string, Tone] =
      live && viewer.status ? stateWords(viewer.status) : [without, "idle"];
    put(this.#pillText, words);
    this.#pill.dataset["tone"] = tone;
  }

  #showBanner(words: string): void {
    this.#put("banner-text", words);
    this.#banner.hidden = words === "";
    element("button-retry").hidden = !words.startsWith("Connection lost");
  }

  #put(id: string, text: string): HTMLElement {
    const target = this.#readout(id);
    put(target, text);
    return target;
  }

  #readout(id: string): HTMLElement {
    let found = this.#readouts.get(id);
    if (found === undefined) this.#readouts.set(id, (found = element(id)));
    return found;
  }
}
