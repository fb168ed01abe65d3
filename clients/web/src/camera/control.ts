// SPDX-License-Identifier: Apache-2.0
/**
 * The data channel `status`: the clocks are compared now and then, and the server tells how its
 * tracking goes. Knows messages, not channels: `send` is given, text comes in by `receive`.
 */
import { type ClockOffset, best, exchange } from "../clock";

/** So many are compared; the one with the shortest way says most. */
const EXCHANGES = 8;
const REPEAT_MS = 10_000;

/** What the server tells the publisher, about five times a second. */
export interface PublishStatus {
  readonly session: string;
  readonly state: string;
  readonly reason: string;
  readonly tracking: string;
  /** Words for the person who holds the camera; empty: all is well. */
  readonly guidance: string;
  readonly frames: number;
  readonly fused: number;
  readonly dropped: number;
  readonly fps: number;
  readonly latency_ms: number;
}

type Message =
  | { type: "clock"; sent_ms: number; server_ms: number }
  | ({ type: "status" } & PublishStatus);

export class Control {
  /** Called with each status. */
  statusChanged: (status: PublishStatus) => void = () => {};
  readonly #send: (message: string) => void;
  readonly #nowMs: () => number;
  #exchanges: ClockOffset[] = [];
  #offset: ClockOffset | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(send: (message: string) => void, nowMs: () => number) {
    this.#send = send;
    this.#nowMs = nowMs;
  }

  /** The server's clock against the page's; null until the first exchanges are done. */
  get offset(): ClockOffset | null {
    return this.#offset;
  }

  /** Compare the clocks, and again every ten seconds until `stop`. */
  start(): void {
    this.stop();
    this.#exchanges = [];
    this.#ask();
    this.#timer = setTimeout(() => this.start(), REPEAT_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  /** One message of the server. What is not known is passed over. */
  receive(text: string): void {
    const message = JSON.parse(text) as Message;
    if (message.type === "status") this.statusChanged(message);
    else if (message.type === "clock") this.#answered(message.sent_ms, message.server_ms);
  }

  #ask(): void {
    this.#send(JSON.stringify({ type: "clock", sent_ms: this.#nowMs() }));
  }

  #answered(sentMs: number, serverMs: number): void {
    this.#exchanges.push(exchange(sentMs, serverMs, this.#nowMs()));
    if (this.#exchanges.length < EXCHANGES) {
      this.#ask();
      return;
    }
    if (this.#exchanges.length > EXCHANGES) return; // of a round that is over
    this.#offset = best(this.#exchanges);
    const { offsetMs, roundTripMs } = this.#offset;
    this.#send(
      JSON.stringify({ type: "offset", offset_ms: offsetMs, round_trip_ms: roundTripMs }),
    );
  }
}
