// SPDX-License-Identifier: Apache-2.0
/**
 * The client's copy of a session: messages in, updates for the picture out. It runs in a worker of
 * its own, so that decoding and packing never hold up the page; it knows neither sockets nor GPU.
 */
import { type Hash64, MapState, type Spread } from "./map";
import { type PatchData, RegionPatches } from "./patches";
import { nearestHit } from "./pick";
import { Progress, type Verdict } from "./progress";
import { type Delta, type Header, type Status, type Units, decode } from "./protocol";
import type { RegionChange } from "./region";
import { VERTEX_STEPS } from "./rows";
import { Surface } from "./surface";
import { Trajectory, type TrajectoryChange } from "./trajectory";

/** Of one update; a region that is packed anew may exceed it. */
const UPDATE_BYTES = 2 << 20;

/** How the copy stands. */
export interface Summary {
  readonly epoch: bigint;
  readonly revision: bigint;
  /** Where to go on after a lost connection. */
  readonly since: bigint;
  readonly hash: bigint;
  readonly serverHash: bigint;
  readonly verdict: Verdict;
  readonly blocks: number;
  readonly triangles: number;
  readonly poses: number;
  readonly spread: Spread | null;
  readonly voxelSizeM: number;
  readonly units: Units;
}

/** What the picture has to change. */
export interface Update {
  /** Counts the page's `clear`: an update from before the last one is void. */
  readonly generation: number;
  /** Another epoch began: drop all that is drawn, then apply this. */
  readonly isNewEpoch: boolean;
  /** Messages applied so far, since the beginning. */
  readonly messages: number;
  /** Whether the picture then shows all of them. */
  readonly isWhole: boolean;
  /** The newest frame that the picture then contains; null: not known. */
  readonly captureNs: bigint | null;
  readonly summary: Summary;
  readonly status: Status | null;
  readonly trajectory: TrajectoryChange | null;
  readonly regions: readonly RegionChange[];
  readonly vertices: PatchData;
  readonly indices: PatchData;
}

export class Mirror {
  readonly #map: MapState;
  readonly #progress = new Progress();
  readonly #trajectory = new Trajectory();
  readonly #surface = new Surface();
  #status: Status | null = null;
  #header: Header | null = null;
  #captureNs: bigint | null = null;
  #generation = 0;
  #isNewEpoch = false;
  #messages = 0;
  #brokenConnection = -1;
  #hasNews = false;

  constructor(hash64: Hash64) {
    this.#map = new MapState(hash64);
  }

  /** Whether there is something to `take`. */
  get hasNews(): boolean {
    return this.#hasNews;
  }

  /**
   * Apply a message of the connection with this number. Throws ProtocolError when it cannot be
   * used; what else comes from that connection is then ignored, since rows are missing before it.
   */
  receive(connection: number, message: Uint8Array): void {
    this.#messages += 1;
    this.#hasNews = true;
    if (connection === this.#brokenConnection) return;
    this.#brokenConnection = connection;
    const delta = decode(message);
    if (this.#progress.isNewEpoch(delta)) {
      this.#empty();
      this.#isNewEpoch = true;
    }
    this.#apply(delta);
    this.#progress.record(delta, this.#map.hash);
    this.#brokenConnection = -1;
  }

  /** The page has dropped everything. */
  clear(generation: number): void {
    this.#generation = generation;
    this.#isNewEpoch = false;
    this.#status = null;
    this.#empty();
    this.#hasNews = true;
  }

  /** The GPU has lost everything. */
  forget(): void {
    this.#surface.forget();
    this.#trajectory.forget();
    this.#hasNews = true;
  }

  /** The next update, in memory that came back from an earlier one. */
  take(verticesWords?: ArrayBuffer, indicesWords?: ArrayBuffer): Update {
    const patches = new RegionPatches(verticesWords, indicesWords);
    const regions = this.#surface.write(patches, UPDATE_BYTES);
    const isWhole = this.#surface.pending === 0;
    this.#hasNews = !isWhole;
    const update: Update = {
      generation: this.#generation,
      isNewEpoch: this.#isNewEpoch,
      messages: this.#messages,
      isWhole,
      captureNs: isWhole ? this.#captureNs : null,
      summary: this.#summary(),
      status: this.#status,
      trajectory: this.#trajectory.take(),
      regions,
      vertices: patches.vertices.data(),
      indices: patches.indices.data(),
    };
    this.#isNewEpoch = false;
    return update;
  }

  /** The nearest surface along a ray; a point in the map's units, null if it hits nothing. */
  pick(
    origin: readonly [number, number, number],
    direction: readonly [number, number, number],
  ): [number, number, number] | null {
    const step = this.#voxelSizeM / VERTEX_STEPS;
    const [x, y, z] = origin;
    const distance = nearestHit(this.#map.rows(), [x / step, y / step, z / step], direction);
    if (distance === null) return null;
    const [dx, dy, dz] = direction.map((value) => value * distance * step);
    return [x + dx, y + dy, z + dz];
  }

  get #voxelSizeM(): number {
    return this.#header?.voxelSizeM ?? 0;
  }

  #apply(delta: Delta): void {
    if (delta.layer === "mesh") {
      this.#header = delta.header;
      for (const row of delta.rows) {
        this.#map.apply(row);
        this.#surface.apply(row);
      }
      const { completeThrough, revision, captureNs } = delta.header;
      this.#captureNs = completeThrough < revision ? null : captureNs;
    } else if (delta.layer === "trajectory") {
      for (const row of delta.rows) this.#trajectory.apply(row);
    } else if (delta.layer === "keyframes") {
      for (const row of delta.rows) this.#trajectory.applyKeyframe(row);
    } else if (delta.layer === "status") this.#status = delta.status;
  }

  #empty(): void {
    this.#map.clear();
    this.#surface.clear();
    this.#trajectory.clear();
    this.#progress.reset();
    this.#header = null;
    this.#captureNs = null;
  }

  #summary(): Summary {
    const { epoch, revision, since, serverHash, verdict } = this.#progress;
    const { hash, blocks, triangles } = this.#map;
    return {
      epoch,
      revision,
      since,
      hash,
      serverHash,
      verdict,
      blocks,
      triangles,
      poses: this.#trajectory.count,
      spread: this.#map.spread(this.#voxelSizeM),
      voxelSizeM: this.#voxelSizeM,
      units: this.#header?.units ?? "m",
    };
  }
}

/** What the page says to its worker. */
export type ToMirror =
  | { readonly kind: "message"; readonly connection: number; readonly bytes: ArrayBuffer }
  | { readonly kind: "clear"; readonly generation: number }
  | { readonly kind: "forget" }
  | {
      readonly kind: "applied";
      readonly verticesWords: ArrayBuffer;
      readonly indicesWords: ArrayBuffer;
    }
  | {
      readonly kind: "pick";
      readonly origin: readonly [number, number, number];
      readonly direction: readonly [number, number, number];
    };

/** What the worker says. */
export type FromMirror =
  | { readonly kind: "update"; readonly update: Update }
  | { readonly kind: "failed"; readonly connection: number; readonly reason: string }
  | { readonly kind: "picked"; readonly point: readonly [number, number, number] };

