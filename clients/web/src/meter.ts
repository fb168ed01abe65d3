// SPDX-License-Identifier: Apache-2.0
/** The last of many measured values, and their quantiles. Adding one allocates nothing. */

declare global {
  interface Window {
    /** Set by a bench that wraps the GPU's calls: how long they took so far. */
    mapcastDriverMs?: number;
  }
}

/** The main thread's own time: `performance.now`, less what was counted for the GPU's driver. */
export const ownMs = (): number => performance.now() - (window.mapcastDriverMs ?? 0);

export interface Quantiles {
  readonly samples: number;
  readonly p50: number;
  readonly p95: number;
}

export class Meter {
  readonly #values: Float64Array;
  #count = 0;

  constructor(capacity = 1024) {
    this.#values = new Float64Array(capacity);
  }

  /** The latest value; NaN: none. */
  get latest(): number {
    const { length } = this.#values;
    return this.#count === 0 ? NaN : this.#values[(this.#count - 1) % length];
  }

  add(value: number): void {
    this.#values[this.#count % this.#values.length] = value;
    this.#count += 1;
  }

  clear(): void {
    this.#count = 0;
  }

  quantiles(): Quantiles {
    const samples = Math.min(this.#count, this.#values.length);
    const sorted = this.#values.slice(0, samples).sort();
    const at = (share: number): number => sorted[Math.ceil(share * samples) - 1] ?? NaN;
    return { samples, p50: at(0.5), p95: at(0.95) };
  }
}
