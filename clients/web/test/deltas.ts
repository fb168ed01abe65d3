// SPDX-License-Identifier: Apache-2.0
/** Messages of the Python encoder (make_deltas.py), by compression and layer. */
import document from "./deltas.json";

export const COMPRESSIONS = ["none", "lz4", "zstd"] as const;
export type Compression = (typeof COMPRESSIONS)[number];
export type Name =
  | "mesh"
  | "removal"
  | "trajectory"
  | "earlier"
  | "keyframes"
  | "correction"
  | "status";

export const expectedRows = document.rows;
/** Of the frames in `trajectory`, as Python's client has them. */
export const expectedPoses = document.poses;

export function message(compression: Compression, name: Name): Uint8Array {
  const text = atob(document.messages[compression][name]);
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
