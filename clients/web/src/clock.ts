// SPDX-License-Identifier: Apache-2.0
/** How far the server's clock is from a page's, as NTP finds it. */

/** `server = page + offset`. */
export interface ClockOffset {
  readonly offsetMs: number;
  readonly roundTripMs: number;
}

/** The page's clock, milliseconds since 1970, with the fraction that `Date.now` lacks. */
export const pageTimeMs = (): number => performance.timeOrigin + performance.now();

/** One exchange; the server is taken to have answered half-way. */
export function exchange(sentMs: number, serverMs: number, receivedMs: number): ClockOffset {
  return {
    offsetMs: serverMs - (sentMs + receivedMs) / 2,
    roundTripMs: receivedMs - sentMs,
  };
}

/** Of some exchanges the one with the shortest round trip: its error is at most half of that. */
export function best(exchanges: readonly ClockOffset[]): ClockOffset {
  return exchanges.reduce((one, other) => (other.roundTripMs < one.roundTripMs ? other : one));
}
