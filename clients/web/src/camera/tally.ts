// SPDX-License-Identifier: Apache-2.0
/** What `/ws/stream` answers, added up to the status that WebRTC publishers are told. */
import type { PublishStatus } from "./control";

/** The server's messages, as far as a camera reads them. */
export type StreamAnswer =
  | { readonly type: "opened"; readonly session: string }
  | {
      readonly type: "progress";
      readonly status: string;
      readonly reason: string;
      readonly tracking: string;
      readonly latency_ms: number;
    }
  | {
      readonly type: "partial_result";
      readonly frames: number;
      readonly fused: number;
      readonly dropped: number;
    }
  | { readonly type: "error"; readonly message: string; readonly fatal: boolean }
  | { readonly type: "final_result" };

const WINDOW_MS = 2000;

export class Tally {
  readonly #session: string;
  #answeredMs: number[] = [];
  #counts = { frames: 0, fused: 0, dropped: 0 };

  constructor(session: string) {
    this.#session = session;
  }

  /** Take one answer; null when it says nothing of how the pictures fare. */
  take(answer: StreamAnswer, nowMs: number): PublishStatus | null {
    if (answer.type === "partial_result") {
      const { frames, fused, dropped } = answer;
      this.#counts = { frames, fused, dropped };
    }
    if (answer.type !== "progress") return null;
    this.#count(answer.status);
    this.#answeredMs = this.#answeredMs.filter((atMs) => atMs > nowMs - WINDOW_MS);
    this.#answeredMs.push(nowMs);
    return {
      ...this.#counts,
      session: this.#session,
      state: "active",
      reason: "",
      tracking: answer.tracking,
      guidance: answer.status === "rejected" ? `the picture is refused: ${answer.reason}` : "",
      fps: this.#answeredMs.length / (WINDOW_MS / 1000),
      latency_ms: answer.latency_ms,
    };
  }

  /** The server's own counts come every ten pictures; between them these are. */
  #count(status: string): void {
    this.#counts.frames += 1;
    if (status === "fused") this.#counts.fused += 1;
    if (status === "dropped") this.#counts.dropped += 1;
  }
}
