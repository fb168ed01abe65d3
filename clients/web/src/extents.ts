// SPDX-License-Identifier: Apache-2.0
/** Who has which stretch of a growing buffer. They have slack, so that changes stay in place. */

const SLACK = 1.25;
/** Stretches begin at multiples of it: of three, so that triangles stay whole. */
const GRAIN = 24;
const FIRST_CAPACITY = 1024;
const GROWTH = 1.5;
/** Of what is in use; more than that is worth packing anew instead of growing. */
const TOLERATED_WASTE = 0.25;

export interface Stretch {
  readonly at: number;
  readonly room: number;
}

export class Extents {
  #capacity = 0;
  #end = 0;
  #waste = 0;

  /** Elements that the buffer has to hold. */
  get capacity(): number {
    return this.#capacity;
  }

  /** Behind the last stretch. */
  get end(): number {
    return this.#end;
  }

  /** The room that `count` elements get. */
  static room(count: number): number {
    return Math.ceil((SLACK * count) / GRAIN) * GRAIN;
  }

  /** Whether `count` more elements are better placed after packing all stretches anew. */
  isWorthPacking(count: number): boolean {
    const isFull = this.#end + Extents.room(count) > this.#capacity;
    return isFull && this.#waste > TOLERATED_WASTE * this.#end;
  }

  /** A stretch for `count` elements at the end; the capacity grows where it must. */
  take(count: number): Stretch {
    const stretch = { at: this.#end, room: Extents.room(count) };
    this.#end += stretch.room;
    if (this.#end > this.#capacity) {
      this.#capacity = Math.max(FIRST_CAPACITY, this.#end, Math.ceil(GROWTH * this.#capacity));
    }
    return stretch;
  }

  release(stretch: Stretch): void {
    this.#waste += stretch.room;
  }

  /** Release everything; the capacity stays. */
  clear(): void {
    this.#end = 0;
    this.#waste = 0;
  }
}
