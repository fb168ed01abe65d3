// SPDX-License-Identifier: Apache-2.0
/** What tests, benches and the curious may ask the page: `window.mapcast`. */
import type { Quantiles } from "./meter";
import type { Viewer } from "./viewer";

/** How much the page costs. The main thread's time has the GPU driver's, unless that is counted. */
export interface Stats {
  readonly drawCalls: number;
  readonly drawnTriangles: number;
  readonly triangles: number;
  /** Applying an update, from its messages' arrival to its buffers' on the GPU. */
  readonly messageMs: Quantiles;
  /** A drawn frame. */
  readonly frameMs: Quantiles;
  /** From a frame's capture to the screen. */
  readonly latencyMs: Quantiles;
}

export interface Inspection {
  hash(): string;
  serverHash(): string;
  blocks(): number;
  triangles(): number;
  poses(): number;
  revision(): string;
  connected(): boolean;
  exact(): boolean;
  /** Whether the picture shows all that was received. */
  settled(): boolean;
  stats(): Stats;
  /** Begin the statistics anew. */
  resetStats(): void;
}

export function inspection(viewer: Viewer): Inspection {
  const { scene, messageMs, latency } = viewer;
  return {
    hash: () => viewer.summary.hash.toString(),
    serverHash: () => viewer.summary.serverHash.toString(),
    blocks: () => viewer.summary.blocks,
    triangles: () => viewer.summary.triangles,
    poses: () => viewer.summary.poses,
    revision: () => viewer.summary.revision.toString(),
    connected: () => viewer.connection?.kind === "live",
    exact: () => viewer.summary.verdict === "exact",
    settled: () => viewer.settled,
    stats: () => ({
      drawCalls: scene.drawCalls,
      drawnTriangles: scene.drawnTriangles,
      triangles: viewer.summary.triangles,
      messageMs: messageMs.quantiles(),
      frameMs: scene.frameMs.quantiles(),
      latencyMs: latency.meter.quantiles(),
    }),
    resetStats: () => [messageMs, scene.frameMs, latency.meter].forEach((meter) => meter.clear()),
  };
}
