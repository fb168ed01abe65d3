// SPDX-License-Identifier: Apache-2.0
/** From a frame's capture to the screen, where the frame's clock is one that can be compared. */
import { Meter } from "./meter";

/** A recording's frames were captured long ago: older than this is no latency. */
const LONGEST_MS = 60_000;
/** Clocks agree only so well. */
const CLOCK_ERROR_MS = 50;

export class Latency {
  readonly meter = new Meter();
  #newestNs = 0n;

  /**
   * The frame of this capture time came to the screen at that server time, in a subscription that
   * is so old. What was captured before it waited for the viewer, not on its way.
   */
  shown(captureNs: bigint, serverNowMs: number | null, subscribedMs: number): void {
    if (captureNs === this.#newestNs || serverNowMs === null) return;
    this.#newestNs = captureNs;
    const latencyMs = serverNowMs - Number(captureNs / 1000n) / 1000;
    if (latencyMs < -CLOCK_ERROR_MS || latencyMs > Math.min(LONGEST_MS, subscribedMs)) return;
    this.meter.add(Math.max(0, latencyMs));
  }

  clear(): void {
    this.meter.clear();
    this.#newestNs = 0n;
  }
}
