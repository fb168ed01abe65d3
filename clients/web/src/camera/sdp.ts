// SPDX-License-Identifier: Apache-2.0
/** The parts of WebRTC and WHIP (RFC 9725) that are text and numbers. */

/** Pictures of a size that a person can choose. */
export interface PictureSize {
  readonly widthPx: number;
  readonly heightPx: number;
}

/** What a pixel of a moving camera needs, at 30 frames a second, to keep its corners sharp. */
const BPS_PER_PIXEL = 8;
const LEAST_BPS = 600_000;
const MOST_BPS = 6_000_000;

/** The codecs that servers decode, best first: VP8 is everywhere and recovers fastest from loss. */
const PREFERRED = ["video/vp8", "video/h264"];
/** Not codecs of their own: retransmission. */
const REPAIR = "video/rtx";

export function bitrateBps({ widthPx, heightPx }: PictureSize): number {
  const wantedBps = widthPx * heightPx * BPS_PER_PIXEL;
  return Math.min(MOST_BPS, Math.max(LEAST_BPS, wantedBps));
}

/** VP8, then H.264, then what repairs them; the order within a kind is the browser's. */
export function preferredCodecs<T extends { readonly mimeType: string }>(
  codecs: readonly T[],
): T[] {
  const ofKind = (kind: string): T[] =>
    codecs.filter((codec) => codec.mimeType.toLowerCase() === kind);
  return [...PREFERRED, REPAIR].flatMap(ofKind);
}

/** The WHIP resource that a 201 names. Throws when it names none. */
export function resourceUrl(endpoint: string, location: string | null): string {
  if (location === null) throw new Error("the server's answer to the offer has no Location");
  return new URL(location, endpoint).href;
}
