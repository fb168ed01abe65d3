// SPDX-License-Identifier: Apache-2.0
declare module "lz4js" {
  /** Decompress one LZ4 frame. */
  export function decompress(frame: Uint8Array): Uint8Array;
}
