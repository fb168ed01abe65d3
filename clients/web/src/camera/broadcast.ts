// SPDX-License-Identifier: Apache-2.0
/** Sending until told to stop: picks the transport, and comes back after the network dropped. */
import type { ClockOffset } from "../clock";
import type { SessionInfo } from "../sessions";
import type { PublishStatus } from "./control";
import type { MotionSample } from "./motion";
import { type Problem, overProblem, serverProblem } from "./problems";
import { type Publisher, type PublisherEvents, type Transport, Unsupported } from "./publisher";
import { Refused } from "./server";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8000;
/** A server takes so long at most to notice that our last connection, or another's, is gone. */
const BUSY_PATIENCE_MS = 14_000;

export type BroadcastState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live"; readonly transport: Transport }
  | { readonly kind: "retrying"; readonly why: string }
  | { readonly kind: "failed"; readonly problem: Problem }
  | { readonly kind: "over" };

export interface BroadcastEvents {
  changed(state: BroadcastState): void;
  status(status: PublishStatus): void;
}

/** The world outside: how to publish, and what the server says about the session. */
export interface Outside {
  publisher(transport: Transport, events: PublisherEvents): Publisher;
  session(): Promise<Pick<SessionInfo, "state" | "reason">>;
}

export const isOver = (state: string): boolean => ["finished", "failed"].includes(state);

export class Broadcast {
  readonly #outside: Outside;
  readonly #events: BroadcastEvents;
  #transport: Transport;
  #publisher: Publisher | null = null;
  #state: BroadcastState = { kind: "connecting" };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #retryMs = FIRST_RETRY_MS;
  #busySinceMs: number | null = null;
  #wasLive = false;

  constructor(outside: Outside, events: BroadcastEvents, transport: Transport) {
    this.#outside = outside;
    this.#events = events;
    this.#transport = transport;
  }

  get state(): BroadcastState {
    return this.#state;
  }

  get offset(): ClockOffset | null {
    return this.#publisher?.offset ?? null;
  }

  /** Connect; `changed` tells how it goes. */
  async start(): Promise<void> {
    clearTimeout(this.#timer);
    this.#become({ kind: "connecting" });
    let publisher: Publisher | null = null;
    try {
      publisher = this.#outside.publisher(this.#transport, this.#hear());
      this.#publisher = publisher;
      await publisher.open();
    } catch (error) {
      publisher?.close(); // also what came up after `stop`
      this.#publisher = null;
      if (!this.#isOver) await this.#failed(error);
      return;
    }
    if (this.#isOver) this.#drop();
    else this.#opened();
  }

  /** Do not wait for the next attempt. */
  retryNow(): void {
    if (this.#state.kind === "retrying") void this.start();
  }

  sendMotion(sample: MotionSample): boolean {
    return this.#state.kind === "live" && (this.#publisher?.sendMotion(sample) ?? false);
  }

  stop(): void {
    this.#end({ kind: "over" });
  }

  get #isOver(): boolean {
    return this.#state.kind === "over" || this.#state.kind === "failed";
  }

  #hear(): PublisherEvents {
    return {
      status: (status) => {
        if (this.#isOver) return;
        this.#events.status(status);
        if (isOver(status.state)) this.#fail(overProblem(status.state, status.reason));
      },
      lost: (why) => {
        if (!this.#isOver) this.#retryLater(why);
      },
    };
  }

  #opened(): void {
    this.#retryMs = FIRST_RETRY_MS;
    this.#busySinceMs = null;
    this.#wasLive = true;
    this.#become({ kind: "live", transport: this.#transport });
  }

  async #failed(error: unknown): Promise<void> {
    if (error instanceof Refused && error.status === 409) await this.#busy(error);
    else if (error instanceof Refused) this.#fail(serverProblem(error));
    else if (error instanceof Unsupported && this.#transport === "webrtc" && !this.#wasLive) {
      console.warn("mapcast: no WebRTC, sending single pictures instead:", error.message);
      this.#transport = "websocket";
      await this.start();
    } else this.#retryLater(error instanceof Error ? error.message : String(error));
  }

  /** 409: the session ended, or somebody streams into it: perhaps our own last connection. */
  async #busy(error: Refused): Promise<void> {
    try {
      const info = await this.#outside.session();
      if (isOver(info.state)) this.#fail(overProblem(info.state, info.reason ?? ""));
    } catch (secondError) {
      if (secondError instanceof Refused) this.#fail(serverProblem(secondError));
    }
    if (this.#isOver) return;
    this.#busySinceMs ??= performance.now();
    const waitedMs = performance.now() - this.#busySinceMs;
    if (waitedMs > BUSY_PATIENCE_MS) this.#fail(serverProblem(error));
    else this.#retryLater("another camera still has this session");
  }

  #retryLater(why: string): void {
    this.#drop();
    this.#timer = setTimeout(() => void this.start(), this.#retryMs);
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
    this.#become({ kind: "retrying", why });
  }

  #fail(problem: Problem): void {
    this.#end({ kind: "failed", problem });
  }

  #end(state: BroadcastState): void {
    clearTimeout(this.#timer);
    this.#become(state);
    this.#drop();
  }

  #drop(): void {
    this.#publisher?.close();
    this.#publisher = null;
  }

  #become(state: BroadcastState): void {
    this.#state = state;
    this.#events.changed(state);
  }
}
