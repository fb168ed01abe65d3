// SPDX-License-Identifier: Apache-2.0
/**
 * One session on the screen. Messages go from the socket to the mirror's thread as they are; what
 * comes back is ready for the GPU. This thread copies bytes and draws, nothing else.
 */
import { Connection, type ConnectionState, type Follower } from "./connection";
import { CorrectionNews } from "./correction";
import { Latency } from "./latency";
import { Meter, ownMs } from "./meter";
import type { FromMirror, Summary, ToMirror, Update } from "./mirror";
import type { Status } from "./protocol";
import { Rate } from "./rate";
import { Scene } from "./scene";
import { ServerClock } from "./server_clock";

const VIEWPOINT_PERIOD_MS = 500;
const VIEWPOINT_STEP = 0.05;

const NOTHING: Summary = {
  epoch: 0n,
  revision: 0n,
  since: 0n,
  hash: 0n,
  serverHash: 0n,
  verdict: "behind",
  blocks: 0,
  triangles: 0,
  poses: 0,
  spread: null,
  voxelSizeM: 0,
  units: "m",
};

export class Viewer implements Follower {
  readonly scene: Scene;
  readonly received = new Rate();
  readonly latency = new Latency();
  readonly corrections = new CorrectionNews();
  /** Main-thread time of each update with all its messages, ms. */
  readonly messageMs = new Meter();
  status: Status | null = null;
  summary: Summary = NOTHING;
  /** When the map last changed, by `performance.now`; null: not yet. */
  changedAtMs: number | null = null;
  /** Called when the connection's state changes. */
  connectionChanged: (state: ConnectionState) => void = () => {};
  /** Called when the page's worker has died: nothing new comes any more. */
  failed: (reason: string) => void = () => {};
  readonly #mirror = new Worker(new URL("./mirror_worker.ts", import.meta.url), { type: "module" });
  readonly #clock = new ServerClock();
  #connection: Connection | null = null;
  #session: string | null = null;
  #subscribedAtMs = Infinity;
  #generation = 0;
  #sentMessages = 0;
  #isWhole = true;
  #handledMs = 0;
  #sentViewpoint: readonly [number, number, number] = [NaN, NaN, NaN];
  #trusted = true;

  /** Throws when the browser has no WebGL 2. */
  constructor(canvas: HTMLCanvasElement) {
    this.scene = new Scene(canvas);
    this.scene.shown = (captureNs) => {
      const subscribedMs = performance.now() - this.#subscribedAtMs;
      this.latency.shown(captureNs, this.#clock.nowMs(), subscribedMs);
    };
    this.scene.lost = () => this.#tell({ kind: "forget" });
    canvas.addEventListener("dblclick", (event) => this.#pick(event));
    this.#mirror.onmessage = (event: MessageEvent<FromMirror>) => this.#hear(event.data);
    this.#mirror.onerror = (event) => this.failed(event.message || "a part of it did not load");
    this.#clock.start();
    window.setInterval(() => this.#tellViewpoint(), VIEWPOINT_PERIOD_MS);
  }

  get session(): string | null {
    return this.#session;
  }

  get connection(): ConnectionState | null {
    return this.#connection?.state ?? null;
  }

  /** Whether the picture shows all that was received. */
  get settled(): boolean {
    return this.#isWhole && this.scene.settled;
  }

  /** Leave what is shown and follow another session. */
  open(session: string): void {
    this.close();
    this.#session = session;
    this.#connection = new Connection(session, this);
  }

  close(): void {
    this.#connection?.close();
    this.#connection = null;
    this.#session = null;
    this.status = null;
    this.#clear();
  }

  /** While the connection is lost: try now. */
  retry(): void {
    this.#connection?.retry();
  }

  resume(): { since: bigint; epoch: bigint } {
    this.#sentViewpoint = [NaN, NaN, NaN];
    return this.summary;
  }

  receive(connection: number, bytes: ArrayBuffer): void {
    const startMs = ownMs();
    this.received.add(bytes.byteLength, performance.now());
    this.#sentMessages += 1;
    this.#isWhole = false;
    this.#tell({ kind: "message", connection, bytes }, [bytes]);
    this.#handledMs += ownMs() - startMs;
  }

  changed(state: ConnectionState): void {
    if (state.kind === "live") this.#subscribedAtMs = performance.now();
    this.connectionChanged(state);
  }

  #hear(message: FromMirror): void {
    if (message.kind === "update") this.#apply(message.update);
    else if (message.kind === "failed") this.#connection?.fail(message.connection, message.reason);
    else this.scene.focus(message.point);
  }

  #apply(update: Update): void {
    const startMs = ownMs();
    if (update.generation === this.#generation) {
      if (update.isNewEpoch) this.scene.clear();
      const isNews = update.summary.revision !== this.summary.revision;
      if (isNews) this.changedAtMs = performance.now();
      this.summary = update.summary;
      this.status = update.status;
      this.scene.apply(update);
      const correction = update.trajectory?.correction ?? null;
      const voxelSize = update.summary.voxelSizeM;
      if (correction !== null) this.corrections.hear(correction, voxelSize, performance.now());
      this.#isWhole = update.isWhole && update.messages === this.#sentMessages;
    }
    const [verticesWords, indicesWords] = [update.vertices.words, update.indices.words];
    this.#tell({ kind: "applied", verticesWords, indicesWords }, [verticesWords, indicesWords]);
    this.#judge();
    this.messageMs.add(this.#handledMs + ownMs() - startMs);
    this.#handledMs = 0;
  }

  /** A copy that differs from the server's is thrown away once; if it differs again, shown so. */
  #judge(): void {
    const { verdict } = this.summary;
    if (verdict === "exact") this.#trusted = true;
    if (verdict !== "wrong" || !this.#trusted) return;
    console.warn("mapcast: the map's hash is not the server's, fetching all of it again");
    this.#trusted = false;
    this.#clear();
    this.#connection?.restart();
  }

  #clear(): void {
    this.#generation += 1;
    this.#tell({ kind: "clear", generation: this.#generation });
    this.summary = NOTHING;
    this.changedAtMs = null;
    this.latency.clear();
    this.corrections.clear();
    this.scene.clear();
  }

  #pick(event: MouseEvent): void {
    const { origin, direction } = this.scene.ray(event.offsetX, event.offsetY);
    this.#tell({ kind: "pick", origin: origin.toArray(), direction: direction.toArray() });
  }

  #tellViewpoint(): void {
    if (this.#connection?.state.kind !== "live") return;
    const viewpoint = this.scene.viewpoint;
    const moved = Math.hypot(...viewpoint.map((value, i) => value - this.#sentViewpoint[i]));
    if (moved < VIEWPOINT_STEP) return;
    this.#connection.sendViewpoint(viewpoint);
    this.#sentViewpoint = viewpoint;
  }

  #tell(message: ToMirror, transfer: Transferable[] = []): void {
    this.#mirror.postMessage(message, transfer);
  }
}
