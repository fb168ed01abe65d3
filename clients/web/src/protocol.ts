// SPDX-License-Identifier: Apache-2.0
/**
 * The wire: one self-contained Arrow IPC stream in, one typed delta out. No state, no sockets.
 * The layers are described in proto/mapcast/v1/MAP_DELTA.md; unknown columns, layers and
 * metadata are ignored.
 */
import {
  type Table,
  type Vector,
  CompressionType,
  compressionRegistry,
  tableFromIPC,
} from "apache-arrow";
import { decompress as decompressZstd } from "fzstd";
import * as lz4 from "lz4js";

import { MeshRow } from "./rows";

// Copies: a decoder may return a view of the message for a stored block, at an odd offset, and
// Arrow puts 64-bit arrays on it.
compressionRegistry.set(CompressionType.ZSTD, { decode: (data) => decompressZstd(data).slice() });
compressionRegistry.set(CompressionType.LZ4_FRAME, {
  decode: (data) => lz4.decompress(data).slice(),
});

const VERSION = "1";

/** `unscaled`: the map's own unit; how many metres it is, nobody knows. */
export type Units = "m" | "unscaled";

export interface Header {
  readonly session: string;
  readonly epoch: bigint;
  readonly revision: bigint;
  /** Every row of this layer that changed up to this revision has been sent. */
  readonly completeThrough: bigint;
  /** In `units`, as all lengths of the map. */
  readonly voxelSizeM: number;
  readonly units: Units;
  /** The newest frame that the map contains at `revision`; mesh only. */
  readonly captureNs: bigint | null;
  /** Of the server's whole mesh at `revision`. */
  readonly mapHash: bigint;
}

/** Where something is seen from somewhere; optical camera axes (+X right, +Y down, +Z forward). */
export interface Pose {
  readonly positionM: readonly [number, number, number];
  readonly quatXyzw: readonly [number, number, number, number];
}

/** A frame's pose, world_from_camera, as it was when the row was made. */
export interface TrajectoryRow extends Pose {
  /** When the frame was captured: which frame it is. */
  readonly captureNs: bigint;
  readonly keyframe: boolean;
  /** The keyframe that it moves with; null: none. */
  readonly hang: Hang | null;
}

/** keyframe_from_camera. */
export interface Hang extends Pose {
  readonly keyframeNs: bigint;
}

/** world_from_keyframe. */
export interface KeyframeRow extends Pose {
  readonly captureNs: bigint;
  /** What lengths seen from the keyframe are multiplied by. */
  readonly scale: number;
}

export interface Status {
  readonly state: string;
  readonly reason: string;
  readonly tracking: string;
  readonly frames: number;
  readonly dropped: number;
  readonly framesPerS: number;
  readonly latencyMs: number;
  readonly blocks: number;
  readonly triangles: number;
  readonly subscribers: number;
  readonly full: boolean;
}

export type Delta =
  | { readonly layer: "mesh"; readonly header: Header; readonly rows: readonly MeshRow[] }
  | {
      readonly layer: "trajectory";
      readonly header: Header;
      readonly rows: readonly TrajectoryRow[];
    }
  | { readonly layer: "keyframes"; readonly header: Header; readonly rows: readonly KeyframeRow[] }
  | { readonly layer: "status"; readonly header: Header; readonly status: Status }
  | { readonly layer: "unknown"; readonly header: Header };

/** A message that is not what the protocol promises. */
export class ProtocolError extends Error {}

/** Decode one binary message. Throws ProtocolError. */
export function decode(message: Uint8Array): Delta {
  try {
    return decodeTable(tableFromIPC(message));
  } catch (error) {
    if (error instanceof ProtocolError) throw error;
    throw new ProtocolError(`message of ${message.length} bytes: ${String(error)}`);
  }
}

function decodeTable(table: Table): Delta {
  const metadata = table.schema.metadata;
  const version = metadata.get("mapcast.version");
  if (version !== VERSION) {
    throw new ProtocolError(`protocol version ${version}, this viewer speaks ${VERSION}`);
  }
  const header = decodeHeader(metadata);
  switch (metadata.get("layer")) {
    case "mesh":
      return { layer: "mesh", header, rows: decodeMesh(table) };
    case "trajectory":
      return { layer: "trajectory", header, rows: decodeTrajectory(table) };
    case "keyframes":
      return { layer: "keyframes", header, rows: decodeKeyframes(table) };
    case "status":
      return { layer: "status", header, status: decodeStatus(table) };
    default:
      return { layer: "unknown", header };
  }
}

function decodeHeader(metadata: Map<string, string>): Header {
  const integer = (key: string): bigint => BigInt(metadata.get(key) ?? "0");
  return {
    session: metadata.get("session") ?? "",
    epoch: integer("epoch"),
    revision: integer("revision"),
    completeThrough: integer("complete_through"),
    voxelSizeM: Number(metadata.get("voxel_size_m") ?? "0"),
    units: metadata.get("units") === "unscaled" ? "unscaled" : "m",
    captureNs: metadata.has("capture_ns") ? integer("capture_ns") : null,
    mapHash: integer("map_hash"),
  };
}

function column(table: Table, name: string): Vector {
  const vector = table.getChild(name);
  if (vector === null) throw new ProtocolError(`column ${name} is missing`);
  return vector;
}

function decodeMesh(table: Table): MeshRow[] {
  const block = column(table, "block");
  const vertices = column(table, "vertices");
  const colors = column(table, "colors");
  const triangles = column(table, "triangles");
  const rows: MeshRow[] = [];
  for (let i = 0; i < table.numRows; i++) {
    const [x, y, z] = block.get(i).toArray() as Int32Array;
    rows.push(new MeshRow(x, y, z, vertices.get(i), colors.get(i), triangles.get(i)));
  }
  return rows;
}

function decodeTrajectory(table: Table): TrajectoryRow[] {
  const captureNs = column(table, "capture_ns");
  const poses = column(table, "world_from_camera");
  const keyframe = column(table, "keyframe");
  const keyframeNs = table.getChild("keyframe_ns");
  const hangs = table.getChild("keyframe_from_camera");
  const rows: TrajectoryRow[] = [];
  for (let i = 0; i < table.numRows; i++) {
    rows.push({
      captureNs: BigInt(captureNs.get(i)),
      ...pose(poses, i),
      keyframe: Boolean(keyframe.get(i)),
      hang: decodeHang(keyframeNs?.get(i) ?? null, hangs, i),
    });
  }
  return rows;
}

/** Earlier servers have no such columns. */
function decodeHang(keyframeNs: bigint | null, hangs: Vector | null, i: number): Hang | null {
  if (keyframeNs === null || hangs === null || !hangs.isValid(i)) return null;
  return { keyframeNs: BigInt(keyframeNs), ...pose(hangs, i) };
}

function decodeKeyframes(table: Table): KeyframeRow[] {
  const captureNs = column(table, "capture_ns");
  const poses = column(table, "world_from_keyframe");
  const scale = column(table, "scale");
  const rows: KeyframeRow[] = [];
  for (let i = 0; i < table.numRows; i++) {
    rows.push({
      captureNs: BigInt(captureNs.get(i)),
      ...pose(poses, i),
      scale: Number(scale.get(i)),
    });
  }
  return rows;
}

function pose(poses: Vector, i: number): Pose {
  const [tx, ty, tz, qx, qy, qz, qw] = poses.get(i).toArray() as Float64Array;
  return { positionM: [tx, ty, tz], quatXyzw: [qx, qy, qz, qw] };
}

function decodeStatus(table: Table): Status {
  if (table.numRows !== 1) throw new ProtocolError(`status has ${table.numRows} rows, not 1`);
  const value = (name: string): unknown => column(table, name).get(0);
  return {
    state: String(value("state")),
    reason: String(value("reason") ?? ""),
    tracking: String(value("tracking")),
    frames: Number(value("frames")),
    dropped: Number(value("dropped")),
    framesPerS: Number(value("frames_per_s")),
    latencyMs: Number(value("latency_ms")),
    blocks: Number(value("blocks")),
    triangles: Number(value("triangles")),
    subscribers: Number(value("subscribers")),
    full: Boolean(value("full")),
  };
}
