// SPDX-License-Identifier: Apache-2.0
/**
 * Points on the GPU that glide to where they belong, so that one sees a correction bend what they
 * draw. They may be sent elsewhere on their way. Only what changed is uploaded.
 */
import * as THREE from "three";

/** After it a third of the way is left. */
const GLIDE_S = 0.09;
/** So near (in metres, or what stands for them), a point has arrived. */
const ARRIVED = 5e-4;
const FIRST_CAPACITY = 256;

export class Gliding {
  #buffer = pointBuffer(new Float32Array(0));
  #shown = new Float32Array(0);
  #goals = new Float32Array(0);
  #count = 0;
  /** The first point that is not where it belongs; infinite: none. */
  #awayFrom = Infinity;

  /** Of 3 numbers a point, one point an instance. It is another one after more points came. */
  get buffer(): THREE.InstancedInterleavedBuffer {
    return this.#buffer;
  }

  get count(): number {
    return this.#count;
  }

  /** Where the last point is now. */
  last(to: THREE.Vector3): THREE.Vector3 {
    return to.fromArray(this.#shown, 3 * (this.#count - 1));
  }

  /** All points from `from` on: those that are new appear in their place, others set off. */
  set(from: number, points: Float32Array): void {
    const count = from + points.length / 3;
    if (3 * count > this.#shown.length) this.#grow(Math.max(FIRST_CAPACITY, 2 * count));
    this.#goals.set(points, 3 * from);
    const newFrom = Math.max(from, Math.min(this.#count, count));
    this.#shown.set(points.subarray(3 * (newFrom - from)), 3 * newFrom);
    this.#count = count;
    this.#upload(newFrom);
    if (from < newFrom) this.#awayFrom = Math.min(this.#awayFrom, from);
  }

  /** Move on, to the end if `elapsedS` is infinite; return whether a point moved. */
  advance(elapsedS: number, scale: number): boolean {
    if (this.#awayFrom === Infinity) return false;
    const [shown, goals] = [this.#shown, this.#goals];
    const [start, end] = [3 * this.#awayFrom, 3 * this.#count];
    const left = Math.exp(-elapsedS / GLIDE_S);
    let farthest = 0;
    for (let i = start; i < end; i++) {
      const way = left * (goals[i] - shown[i]);
      shown[i] = goals[i] - way;
      farthest = Math.max(farthest, Math.abs(way));
    }
    this.#upload(this.#awayFrom);
    if (farthest > ARRIVED * scale) return true;
    shown.set(goals.subarray(start, end), start);
    this.#awayFrom = Infinity;
    return true;
  }

  clear(): void {
    this.#count = 0;
    this.#awayFrom = Infinity;
  }

  /** One range for all since the last upload, which is when three.js empties their list. */
  #upload(from: number): void {
    const buffer = this.#buffer;
    const start = Math.min(3 * from, buffer.updateRanges[0]?.start ?? Infinity);
    buffer.clearUpdateRanges();
    buffer.addUpdateRange(start, Math.max(0, 3 * this.#count - start));
    buffer.needsUpdate = true;
  }

  #grow(capacity: number): void {
    const [shown, goals] = [new Float32Array(3 * capacity), new Float32Array(3 * capacity)];
    shown.set(this.#shown);
    goals.set(this.#goals);
    [this.#shown, this.#goals] = [shown, goals];
    this.#buffer = pointBuffer(shown);
  }
}

function pointBuffer(numbers: Float32Array): THREE.InstancedInterleavedBuffer {
  const buffer = new THREE.InstancedInterleavedBuffer(numbers, 3, 1);
  buffer.setUsage(THREE.DynamicDrawUsage);
  return buffer;
}
