// SPDX-License-Identifier: Apache-2.0
/** The server's time, asked for over HTTP. */
import { get } from "./api";
import { type ClockOffset, best, exchange, pageTimeMs } from "./clock";

const EXCHANGES = 5;
const REPEAT_MS = 60_000;

export class ServerClock {
  #offset: ClockOffset | null = null;

  /** Measure now, and again every minute. */
  start(): void {
    void this.#measure();
    window.setInterval(() => void this.#measure(), REPEAT_MS);
  }

  /** The server's present time; null: not known yet, or the server does not tell. */
  nowMs(): number | null {
    return this.#offset === null ? null : pageTimeMs() + this.#offset.offsetMs;
  }

  async #measure(): Promise<void> {
    const exchanges: ClockOffset[] = [];
    try {
      while (exchanges.length < EXCHANGES) {
        const sentMs = pageTimeMs();
        const body = (await (await get("v1/server")).json()) as { time_ms?: number };
        if (typeof body.time_ms !== "number") return;
        exchanges.push(exchange(sentMs, body.time_ms, pageTimeMs()));
      }
      this.#offset = best(exchanges);
    } catch (error) {
      console.debug("mapcast: the server's clock was not read:", error);
    }
  }
}
