// SPDX-License-Identifier: Apache-2.0
/** One session's subscription: a WebSocket that comes back after it was lost. */

import { socketAddress } from "./api";
import { sessionPath } from "./sessions";

/** Numbers connections of all sessions, so that none is mistaken for another. */
let nextNumber = 0;

const LAYERS = ["mesh", "keyframes", "trajectory", "status"];
const FIRST_RETRY_MS = 1000;
const LONGEST_RETRY_MS = 10_000;
const CLOSE_BAD_PARAMETER = 4400;
const CLOSE_NO_TOKEN = 4401;
const CLOSE_FORBIDDEN = 4403;
const CLOSE_NO_SESSION = 4404;

export type ConnectionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly retryAtMs: number }
  | { readonly kind: "gone" }
  | { readonly kind: "denied"; readonly access: "no-token" | "forbidden" }
  | { readonly kind: "refused"; readonly reason: string };

/** What the owner of the map tells and hears. */
export interface Follower {
  /** Where to go on: the epoch that is here, and the revision up to which it is complete. */
  resume(): { since: bigint; epoch: bigint };
  /** One binary message of the connection with this number. */
  receive(connection: number, message: ArrayBuffer): void;
  changed(state: ConnectionState): void;
}

export class Connection {
  readonly #session: string;
  readonly #follower: Follower;
  #socket: WebSocket | null = null;
  #timer: number | undefined;
  #retryMs = FIRST_RETRY_MS;
  #openedAtMs = 0;
  #closed = false;
  #number = -1;
  #wantsKeyframes = true;
  #state: ConnectionState = { kind: "connecting" };
  readonly #retryNow = (): void => {
    if (this.#state.kind === "lost" && document.visibilityState === "visible") this.#open();
  };

  constructor(session: string, follower: Follower) {
    this.#session = session;
    this.#follower = follower;
    window.addEventListener("online", this.#retryNow);
    document.addEventListener("visibilitychange", this.#retryNow);
    this.#open();
  }

  get state(): ConnectionState {
    return this.#state;
  }

  /** Tell the server where the viewer looks from; it sends the nearest blocks first. */
  sendViewpoint(position: readonly [number, number, number]): void {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ viewpoint: position }));
    }
  }

  /** A message of that connection cannot be used: leave it, and subscribe again later. */
  fail(connection: number, reason: string): void {
    if (connection !== this.#number || this.#socket === null) return;
    console.error("mapcast: message dropped, subscribing again:", reason);
    this.#drop();
    this.#retryLater();
  }

  /** While it is lost: try now. */
  retry(): void {
    if (this.#state.kind === "lost") this.#open();
  }

  /** Subscribe again at once, from what `resume` says then. */
  restart(): void {
    this.#drop();
    this.#open();
  }

  close(): void {
    this.#closed = true;
    window.removeEventListener("online", this.#retryNow);
    document.removeEventListener("visibilitychange", this.#retryNow);
    this.#drop();
  }

  #open(): void {
    window.clearTimeout(this.#timer);
    this.#become({ kind: "connecting" });
    const socket = new WebSocket(this.#address());
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#openedAtMs = performance.now();
      this.#become({ kind: "live" });
    };
    const number = (this.#number = nextNumber++);
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => {
      if (typeof event.data !== "string") this.#follower.receive(number, event.data);
    };
    socket.onclose = (event) => this.#lost(event);
    this.#socket = socket;
  }

  #address(): string {
    const { since, epoch } = this.#follower.resume();
    return socketAddress(`${sessionPath(this.#session)}/subscribe`, {
      layers: LAYERS.filter((layer) => this.#wantsKeyframes || layer !== "keyframes").join(),
      since: since.toString(),
      epoch: epoch.toString(),
      compression: "zstd",
    });
  }

  #lost(event: CloseEvent): void {
    this.#socket = null;
    if (event.code === CLOSE_NO_SESSION) this.#become({ kind: "gone" });
    else if (event.code === CLOSE_NO_TOKEN) this.#become({ kind: "denied", access: "no-token" });
    else if (event.code === CLOSE_FORBIDDEN) this.#become({ kind: "denied", access: "forbidden" });
    else if (event.code === CLOSE_BAD_PARAMETER) {
      this.#refused(event.reason);
    } else this.#retryLater();
  }

  /** Earlier servers have no layer of keyframes, and say so. */
  #refused(reason: string): void {
    if (!this.#wantsKeyframes || !reason.includes("keyframes")) {
      this.#become({ kind: "refused", reason });
      return;
    }
    this.#wantsKeyframes = false;
    this.#open();
  }

  #retryLater(): void {
    const lastedMs = this.#openedAtMs === 0 ? 0 : performance.now() - this.#openedAtMs;
    if (lastedMs > LONGEST_RETRY_MS) this.#retryMs = FIRST_RETRY_MS;
    this.#openedAtMs = 0;
    // Up to a quarter longer, so that many viewers do not return in the same instant.
    const delayMs = this.#retryMs * (1 + Math.random() / 4);
    this.#retryMs = Math.min(2 * this.#retryMs, LONGEST_RETRY_MS);
    this.#timer = window.setTimeout(() => this.#open(), delayMs);
    this.#become({ kind: "lost", retryAtMs: performance.now() + delayMs });
  }

  #drop(): void {
    window.clearTimeout(this.#timer);
    if (this.#socket === null) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #become(state: ConnectionState): void {
    this.#state = state;
    if (!this.#closed) this.#follower.changed(state);
  }
}
