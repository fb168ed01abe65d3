// SPDX-License-Identifier: Apache-2.0
/** How much of the server's map is here, and whether the copy is exact. */
import type { Delta } from "./protocol";

/** `behind`: rows are still to come, so that nothing can be said. */
export type Verdict = "behind" | "exact" | "wrong";

export class Progress {
  #epoch: bigint | null = null;
  #revision = 0n;
  #serverHash = 0n;
  #verdict: Verdict = "behind";
  /** By layer; `status` speaks for all of them, where the server has a layer of keyframes. */
  readonly #completeThrough = new Map<string, bigint>();
  #hasKeyframes = false;

  get epoch(): bigint {
    return this.#epoch ?? 0n;
  }

  get revision(): bigint {
    return this.#revision;
  }

  get serverHash(): bigint {
    return this.#serverHash;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** Where to go on after a lost connection: 0 until every keyed layer has said how far it is. */
  get since(): bigint {
    const through = (layer: string): bigint => this.#completeThrough.get(layer) ?? 0n;
    const layers = [through("mesh"), through("trajectory")];
    // Keyframes that stand still are not heard of for long.
    if (this.#hasKeyframes) layers.push(largest(through("keyframes"), through("status")));
    return layers.reduce((least, value) => (value < least ? value : least));
  }

  /** Whether the message belongs to another epoch than what is here: then drop that first. */
  isNewEpoch(delta: Delta): boolean {
    return this.#epoch !== null && delta.header.epoch !== this.#epoch;
  }

  /** Record a message after its rows were applied; `hash` is the client's own. */
  record(delta: Delta, hash: bigint): void {
    const { epoch, revision, completeThrough, mapHash } = delta.header;
    this.#epoch = epoch;
    this.#completeThrough.set(delta.layer, completeThrough);
    this.#hasKeyframes ||= hasKeyframes(delta);
    if (delta.layer !== "mesh") return;
    this.#revision = revision;
    this.#serverHash = mapHash;
    if (completeThrough < revision) this.#verdict = "behind";
    else this.#verdict = hash === mapHash ? "exact" : "wrong";
  }

  reset(): void {
    this.#epoch = null;
    this.#revision = 0n;
    this.#serverHash = 0n;
    this.#verdict = "behind";
    this.#completeThrough.clear();
    this.#hasKeyframes = false;
  }
}

/** Whether it shows that the server has a layer of keyframes. */
function hasKeyframes(delta: Delta): boolean {
  if (delta.layer !== "trajectory") return delta.layer === "keyframes";
  return delta.rows.some(({ hang, captureNs }) => hang !== null && hang.keyframeNs !== captureNs);
}

const largest = (a: bigint, b: bigint): bigint => (a > b ? a : b);
