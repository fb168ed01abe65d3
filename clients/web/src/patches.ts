// SPDX-License-Identifier: Apache-2.0
/**
 * Changes to the regions' buffers on the GPU, as 32-bit words: what to write lies side by side in
 * one transferable array, where it goes in a list. Neighbours become one patch.
 */

export const VERTEX_WORDS = 2;
export const INDEX_WORDS = 1;

/** Numbers per entry of the list: region, first word there, first word here, words. */
export const PATCH_FIELDS = 4;

const FIRST_WORDS = 1 << 17;

/** As it travels between threads. */
export interface PatchData {
  readonly list: Int32Array<ArrayBuffer>;
  readonly words: ArrayBuffer;
}

export class Patches {
  readonly #list: number[] = [];
  #words: Uint32Array<ArrayBuffer>;
  #used = 0;

  /** `words`: those that came back, to be used again. */
  constructor(words?: ArrayBuffer) {
    this.#words = words === undefined ? new Uint32Array(FIRST_WORDS) : new Uint32Array(words);
  }

  get usedBytes(): number {
    return 4 * this.#used;
  }

  /** `count` words to be filled at once: the next call may move them. They are not cleared. */
  add(region: number, at: number, count: number): Uint32Array {
    const from = this.#used;
    this.#used += count;
    if (this.#used > this.#words.length) this.#grow();
    const list = this.#list;
    const last = list.length - PATCH_FIELDS;
    if (list[last] === region && list[last + 1] + list[last + 3] === at) list[last + 3] += count;
    else list.push(region, at, from, count);
    return this.#words.subarray(from, this.#used);
  }

  data(): PatchData {
    return { list: Int32Array.from(this.#list), words: this.#words.buffer };
  }

  #grow(): void {
    const grown = new Uint32Array(Math.max(this.#used, 2 * this.#words.length));
    grown.set(this.#words);
    this.#words = grown;
  }
}

/** Both kinds of buffers. */
export class RegionPatches {
  readonly vertices: Patches;
  readonly indices: Patches;

  constructor(verticesWords?: ArrayBuffer, indicesWords?: ArrayBuffer) {
    this.vertices = new Patches(verticesWords);
    this.indices = new Patches(indicesWords);
  }

  get usedBytes(): number {
    return this.vertices.usedBytes + this.indices.usedBytes;
  }
}
