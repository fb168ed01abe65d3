// SPDX-License-Identifier: Apache-2.0
/** How far the server's clock is ahead of this page's. */
import { get } from "./api";

const SAMPLES = 5;
const REPEAT_MS = 60_000;

export interface ClockSample {
  readonly sentMs: number;
  readonly receivedMs: number;
  readonly serverMs: number;
}

/** Server minus page, by the quickest answer: it leaves the least to guess. Null: no samples. */
export function offsetMs(samples: readonly ClockSample[]): number | null {
  let best: ClockSample | null = null;
  for (const sample of samples) {
    if (best === null || roundTripMs(sample) < roundTripMs(best)) best = sample;
  }
  return best === null ? null : best.serverMs - (best.sentMs + best.receivedMs) / 2;
}

const roundTripMs = (sample: ClockSample): number => sample.receivedMs - sample.sentMs;

/** Milliseconds since 1970 that never jump. */
export const pageMs = (): number => performance.timeOrigin + performance.now();

export class ServerClock {
  #offsetMs: number | null = null;

  /** Measure now, and again every minute. */
  start(): void {
    void this.#measure();
    window.setInterval(() => void this.#measure(), REPEAT_MS);
  }

  /** The server's present time; null: not known yet, or the server does not tell. */
  nowMs(): number | null {
    return this.#offsetMs === null ? null : pageMs() + this.#offsetMs;
  }

  async #measure(): Promise<void> {
    const samples: ClockSample[] = [];
    try {
      for (let i = 0; i < SAMPLES; i++) {
        const sentMs = pageMs();
        const body = (await (await get("v1/server")).json()) as { time_ms?: number };
        if (typeof body.time_ms !== "number") return;
        samples.push({ sentMs, receivedMs: pageMs(), serverMs: body.time_ms });
      }
    } catch (error) {
      console.debug("mapcast: the server's clock was not read:", error);
    }
    this.#offsetMs = offsetMs(samples) ?? this.#offsetMs;
  }
}
