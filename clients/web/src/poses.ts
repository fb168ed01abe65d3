// SPDX-License-Identifier: Apache-2.0
/** Poses as numbers, side by side in long arrays: position, then quaternion xyzw. */
import type { Pose } from "./protocol";

/** Numbers of a pose. */
export const POSE_NUMBERS = 7;

export function writePose(to: Float64Array, at: number, { positionM, quatXyzw }: Pose): void {
  to.set(positionM, at);
  to.set(quatXyzw, at + 3);
}

export function readPose(from: Float64Array, at: number): Pose {
  const [x, y, z, qx, qy, qz, qw] = from.subarray(at, at + POSE_NUMBERS);
  return { positionM: [x, y, z], quatXyzw: [qx, qy, qz, qw] };
}

/**
 * Write a ∘ b, where b's lengths count `scale` times: (t_a + s · R_a · t_b, R_a · R_b). Each pose
 * lies in its array from its place on. Allocates nothing.
 */
export function compose(
  to: Float64Array,
  toAt: number,
  a: Float64Array,
  aAt: number,
  scale: number,
  b: Float64Array,
  bAt: number,
): void {
  const ax = a[aAt + 3];
  const ay = a[aAt + 4];
  const az = a[aAt + 5];
  const aw = a[aAt + 6];
  const x = scale * b[bAt];
  const y = scale * b[bAt + 1];
  const z = scale * b[bAt + 2];
  // R t = t + 2 q × (q × t + w t)
  const cx = ay * z - az * y + aw * x;
  const cy = az * x - ax * z + aw * y;
  const cz = ax * y - ay * x + aw * z;
  to[toAt] = a[aAt] + x + 2 * (ay * cz - az * cy);
  to[toAt + 1] = a[aAt + 1] + y + 2 * (az * cx - ax * cz);
  to[toAt + 2] = a[aAt + 2] + z + 2 * (ax * cy - ay * cx);
  const bx = b[bAt + 3];
  const by = b[bAt + 4];
  const bz = b[bAt + 5];
  const bw = b[bAt + 6];
  to[toAt + 3] = aw * bx + ax * bw + ay * bz - az * by;
  to[toAt + 4] = aw * by - ax * bz + ay * bw + az * bx;
  to[toAt + 5] = aw * bz + ax * by - ay * bx + az * bw;
  to[toAt + 6] = aw * bw - ax * bx - ay * by - az * bz;
}
