// SPDX-License-Identifier: Apache-2.0
/** What a ray hits first. */
import { BLOCK_SIZE_VOX, type MeshRow, VERTEX_STEPS } from "./rows";

type Vec3 = readonly [number, number, number];
const BLOCK_STEPS = BLOCK_SIZE_VOX * VERTEX_STEPS;

/** Distance along the ray, in steps of 1/31 voxel as are its arguments, to the nearest surface. */
export function nearestHit(rows: Iterable<MeshRow>, origin: Vec3, direction: Vec3): number | null {
  let nearest = Infinity;
  for (const row of rows) {
    const corner: Vec3 = [row.x * BLOCK_STEPS, row.y * BLOCK_STEPS, row.z * BLOCK_STEPS];
    if (entry(corner, origin, direction) >= nearest) continue;
    nearest = Math.min(nearest, hitInBlock(row, corner, origin, direction));
  }
  return Number.isFinite(nearest) ? nearest : null;
}

/** Where the ray enters the block; infinite if it passes by. */
function entry(corner: Vec3, origin: Vec3, direction: Vec3): number {
  let [near, far] = [0, Infinity];
  for (let i = 0; i < 3; i++) {
    const a = (corner[i] - origin[i]) / direction[i];
    const b = (corner[i] + BLOCK_STEPS - origin[i]) / direction[i];
    near = Math.max(near, Math.min(a, b));
    far = Math.min(far, Math.max(a, b));
  }
  return near <= far ? near : Infinity;
}

function hitInBlock(row: MeshRow, corner: Vec3, origin: Vec3, direction: Vec3): number {
  const { vertices, triangles } = row;
  const local: Vec3 = [origin[0] - corner[0], origin[1] - corner[1], origin[2] - corner[2]];
  const vertex = (i: number): Vec3 => [vertices[3 * i], vertices[3 * i + 1], vertices[3 * i + 2]];
  let nearest = Infinity;
  for (let i = 0; i < triangles.length; i += 3) {
    const corners = [vertex(triangles[i]), vertex(triangles[i + 1]), vertex(triangles[i + 2])];
    nearest = Math.min(nearest, hitTriangle(corners[0], corners[1], corners[2], local, direction));
  }
  return nearest;
}

/** Möller & Trumbore 1997; both sides count. */
function hitTriangle(a: Vec3, b: Vec3, c: Vec3, origin: Vec3, direction: Vec3): number {
  const [edge1, edge2, offset] = [minus(b, a), minus(c, a), minus(origin, a)];
  const p = cross(direction, edge2);
  const determinant = dot(edge1, p);
  if (determinant === 0) return Infinity;
  const q = cross(offset, edge1);
  const u = dot(offset, p) / determinant;
  const v = dot(direction, q) / determinant;
  const distance = dot(edge2, q) / determinant;
  return u >= 0 && v >= 0 && u + v <= 1 && distance > 0 ? distance : Infinity;
}

const minus = (a: Vec3, b: Vec3): Vec3 => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const dot = (a: Vec3, b: Vec3): number => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a: Vec3, b: Vec3): Vec3 => [
  a[1] * b[2] - a[2] * b[1],
  a[2] * b[0] - a[0] * b[2],
  a[0] * b[1] - a[1] * b[0],
];
