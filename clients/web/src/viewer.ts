// SPDX-License-Identifier: Apache-2.0
/** One session on the screen: its messages become map, trajectory and picture. */
import { Connection, type ConnectionState, type Follower } from "./connection";
import { type Hash64, MapState } from "./map";
import { Progress } from "./progress";
import { type Delta, type Status, decode } from "./protocol";
import { Rate } from "./rate";
import { Scene } from "./scene";
import { Trajectory } from "./trajectory";

const VIEWPOINT_PERIOD_MS = 500;
const VIEWPOINT_STEP_M = 0.05;

export class Viewer implements Follower {
  readonly map: MapState;
  readonly progress = new Progress();
  readonly trajectory = new Trajectory();
  readonly scene: Scene;
  readonly received = new Rate();
  status: Status | null = null;
  /** Called when the connection's state changes. */
  connectionChanged: (state: ConnectionState) => void = () => {};
  #connection: Connection | null = null;
  #session: string | null = null;
  #sentViewpointM: readonly [number, number, number] = [NaN, NaN, NaN];
  #trusted = true;

  /** Throws when the browser has no WebGL 2. */
  constructor(canvas: HTMLCanvasElement, hash64: Hash64) {
    this.map = new MapState(hash64);
    this.scene = new Scene(canvas, this.map, this.trajectory);
    window.setInterval(() => this.#tellViewpoint(), VIEWPOINT_PERIOD_MS);
  }

  get session(): string | null {
    return this.#session;
  }

  get connection(): ConnectionState | null {
    return this.#connection?.state ?? null;
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

  resume(): { since: bigint; epoch: bigint } {
    this.#sentViewpointM = [NaN, NaN, NaN];
    return { since: this.progress.since, epoch: this.progress.epoch };
  }

  receive(message: Uint8Array): void {
    this.received.add(message.length, performance.now());
    const delta = decode(message);
    if (this.progress.isNewEpoch(delta)) this.#clear();
    this.#apply(delta);
    this.progress.record(delta, this.map.hash);
    if (delta.layer === "mesh") this.#judge();
  }

  changed(state: ConnectionState): void {
    this.connectionChanged(state);
  }

  #apply(delta: Delta): void {
    if (delta.layer === "mesh") {
      this.scene.voxelSizeM = delta.header.voxelSizeM;
      for (const row of delta.rows) {
        this.map.apply(row);
        this.scene.regions.apply(row);
      }
    } else if (delta.layer === "trajectory") {
      for (const row of delta.rows) this.trajectory.apply(row);
    } else if (delta.layer === "status") this.status = delta.status;
  }

  /** A copy that differs from the server's is thrown away once; if it differs again, shown so. */
  #judge(): void {
    if (this.progress.verdict === "exact") this.#trusted = true;
    if (this.progress.verdict !== "wrong" || !this.#trusted) return;
    console.warn("mapcast: the map's hash is not the server's, fetching all of it again");
    this.#trusted = false;
    this.#clear();
    this.#connection?.restart();
  }

  #clear(): void {
    this.map.clear();
    this.trajectory.clear();
    this.progress.reset();
    this.scene.clear();
  }

  #tellViewpoint(): void {
    if (this.#connection?.state.kind !== "live") return;
    const positionM = this.scene.viewpointM;
    const movedM = Math.hypot(...positionM.map((value, i) => value - this.#sentViewpointM[i]));
    if (movedM < VIEWPOINT_STEP_M) return;
    this.#connection.sendViewpoint(positionM);
    this.#sentViewpointM = positionM;
  }
}
