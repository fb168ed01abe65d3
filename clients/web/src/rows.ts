// SPDX-License-Identifier: Apache-2.0
/** Mesh rows: the latest triangles of one voxel block each. */

export const BLOCK_SIZE_VOX = 8;
/** Steps per voxel of a vertex coordinate; 8 · 31 = 248 fits a byte. */
export const VERTEX_STEPS = 31;

const HEAD_BYTES = 16;

/**
 * One block's triangles, in the very bytes that its content hash covers: int32 x, y, z, uint32
 * number of vertices, vertices, colours, triangles. World position of a vertex =
 * (block · 8 + vertex / 31) · voxel size. A row without triangles removes its block.
 */
export class MeshRow {
  readonly key: string;
  readonly bytes: Uint8Array<ArrayBuffer>;

  constructor(
    readonly x: number,
    readonly y: number,
    readonly z: number,
    vertices: Uint8Array,
    colors: Uint8Array,
    triangles: Uint8Array,
  ) {
    if (vertices.length % 3 || colors.length !== vertices.length || triangles.length % 6) {
      throw new RangeError(
        `block ${x} ${y} ${z}: ${vertices.length} bytes of vertices, ${colors.length} of ` +
          `colours, ${triangles.length} of triangles do not fit together`,
      );
    }
    this.key = `${x},${y},${z}`;
    // A copy of its own: a view would keep the whole message alive for one old block.
    this.bytes = new Uint8Array(HEAD_BYTES + 2 * vertices.length + triangles.length);
    new Int32Array(this.bytes.buffer, 0, 4).set([x, y, z, vertices.length / 3]);
    this.bytes.set(vertices, HEAD_BYTES);
    this.bytes.set(colors, HEAD_BYTES + vertices.length);
    this.bytes.set(triangles, HEAD_BYTES + 2 * vertices.length);
  }

  get vertexCount(): number {
    return new Uint32Array(this.bytes.buffer, 12, 1)[0];
  }

  get triangleCount(): number {
    return (this.bytes.length - HEAD_BYTES - 6 * this.vertexCount) / 6;
  }

  /** (V × 3) steps of 1/31 voxel from the block's corner. */
  get vertices(): Uint8Array {
    return new Uint8Array(this.bytes.buffer, HEAD_BYTES, 3 * this.vertexCount);
  }

  /** (V × 3) sRGB. */
  get colors(): Uint8Array {
    const count = this.vertexCount;
    return new Uint8Array(this.bytes.buffer, HEAD_BYTES + 3 * count, 3 * count);
  }

  /** (T × 3) indices into the row's own vertices. */
  get triangles(): Uint16Array {
    return new Uint16Array(this.bytes.buffer, HEAD_BYTES + 6 * this.vertexCount);
  }
}
