// SPDX-License-Identifier: Apache-2.0
/** Bytes per second over the last moments. */

const WINDOW_MS = 2000;

export class Rate {
  #entries: { readonly atMs: number; readonly bytes: number }[] = [];

  add(bytes: number, nowMs: number): void {
    this.#entries.push({ atMs: nowMs, bytes });
    this.#forget(nowMs);
  }

  perS(nowMs: number): number {
    this.#forget(nowMs);
    const sum = this.#entries.reduce((total, entry) => total + entry.bytes, 0);
    return sum / (WINDOW_MS / 1000);
  }

  #forget(nowMs: number): void {
    const gone = this.#entries.findIndex((entry) => entry.atMs > nowMs - WINDOW_MS);
    if (gone !== 0) this.#entries.splice(0, gone < 0 ? this.#entries.length : gone);
  }
}
