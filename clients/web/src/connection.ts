// SPDX-License-Identifier: Apache-2.0
/** One session's subscription: a WebSocket that comes back after it was lost. */

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 10_000;
const CLOSE_BAD_PARAMETER = 4400;
const CLOSE_NO_SESSION = 4404;

export type ConnectionState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  | { readonly kind: "lost"; readonly retryAtMs: number }
  | { readonly kind: "gone" }
  | { readonly kind: "refused"; readonly reason: string };

/** What the owner of the map tells and hears. */
export interface Follower {
  /** Where to go on: the epoch that is here, and the revision up to which it is complete. */
  resume(): { since: bigint; epoch: bigint };
  /** One binary message. Throws when it cannot be used; the connection then starts anew. */
  receive(message: Uint8Array): void;
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
  sendViewpoint(positionM: readonly [number, number, number]): void {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ viewpoint: positionM }));
    }
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
    socket.onmessage = (event: MessageEvent<ArrayBuffer | string>) => this.#receive(event.data);
    socket.onclose = (event) => this.#lost(event);
    this.#socket = socket;
  }

  #address(): string {
    const { since, epoch } = this.#follower.resume();
    const path = `v1/sessions/${encodeURIComponent(this.#session)}/subscribe`;
    const address = new URL(path, document.baseURI);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    address.search = new URLSearchParams({
      layers: "mesh,trajectory,status",
      since: since.toString(),
      epoch: epoch.toString(),
      compression: "zstd",
    }).toString();
    return address.href;
  }

  #receive(data: ArrayBuffer | string): void {
    if (typeof data === "string") return;
    try {
      this.#follower.receive(new Uint8Array(data));
    } catch (error) {
      console.error("mapcast: message dropped, subscribing again:", error);
      this.#drop();
      this.#retryLater();
    }
  }

  #lost(event: CloseEvent): void {
    this.#socket = null;
    if (event.code === CLOSE_NO_SESSION) this.#become({ kind: "gone" });
    else if (event.code === CLOSE_BAD_PARAMETER) {
      this.#become({ kind: "refused", reason: event.reason });
    } else this.#retryLater();
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
