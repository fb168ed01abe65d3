// Rendering the pool: where rays first enter a surface, its colour and normal; as
// gpu/kernels/raycast.py, in single precision.
//
// Points are in voxels from the first one of block `base`, which is near the camera, so that they
// keep their precision far from the world's origin. `ranges` (rows, columns, 2): between which
// depths blocks lie over a tile, the bits of the nearest, all of them turned, and of the farthest:
// both begin at 0 and grow.

#define BLOCK_VOXELS 512
#define TILE_PX 8
#define NEAREST_M 0.05f
#define DISTANCE_STEPS 32767.0f
#define INVALID 65535.0f
#define FARTHEST 3.0e38f

// One group = one of `count` blocks: widens the ranges of tiles it may be seen in, all of them if
// it reaches behind the camera. The matrix leads from voxels to u · z, v · z, z. Races: atomics.
KERNEL(64) tile_ranges(
    IN(int) coords, INOUT(uint) ranges, int rows, int columns, int base_x, int base_y, int base_z,
    float ux, float uy, float uz, float u1, float vx, float vy, float vz, float v1,
    float zx, float zy, float zz, float z1, int count
) {
    int group = GROUP();
    if (group >= count) return;
    float near = FARTHEST, far = -FARTHEST;
    float u_low = FARTHEST, u_high = -FARTHEST, v_low = FARTHEST, v_high = -FARTHEST;
    for (int corner = 0; corner < 8; corner++) {
        float x = (float)(8 * (coords[3 * group] - base_x + (corner & 1)));
        float y = (float)(8 * (coords[3 * group + 1] - base_y + ((corner >> 1) & 1)));
        float z = (float)(8 * (coords[3 * group + 2] - base_z + (corner >> 2)));
        float depth = zx * x + zy * y + zz * z + z1;
        float inverse = 1.0f / fmaxf(depth, 1e-6f);
        float u = (ux * x + uy * y + uz * z + u1) * inverse;
        float v = (vx * x + vy * y + vz * z + v1) * inverse;
        near = fminf(near, depth);
        far = fmaxf(far, depth);
        u_low = fminf(u_low, u);
        u_high = fmaxf(u_high, u);
        v_low = fminf(v_low, v);
        v_high = fmaxf(v_high, v);
    }
    if (far <= NEAREST_M) return;
    int first_column = 0, last_column = columns - 1, first_row = 0, last_row = rows - 1;
    if (near > NEAREST_M) {
        if (u_high < 0.0f || v_high < 0.0f) return;
        if (u_low >= (float)(columns * TILE_PX) || v_low >= (float)(rows * TILE_PX)) return;
        first_column = (int)fmaxf(u_low, 0.0f) / TILE_PX;
        first_row = (int)fmaxf(v_low, 0.0f) / TILE_PX;
        last_column = (int)fminf(u_high, (float)(columns * TILE_PX - 1)) / TILE_PX;
        last_row = (int)fminf(v_high, (float)(rows * TILE_PX - 1)) / TILE_PX;
    }
    uint near_word = 0xFFFFFFFFu - AS_UINT(fmaxf(near, NEAREST_M)), far_word = AS_UINT(far);
    int width = last_column - first_column + 1;
    FOR_ITEMS(i, width * (last_row - first_row + 1)) {
        int tile = (first_row + i / width) * columns + first_column + i % width;
        ATOMIC_MAX(&ranges[2 * tile], near_word);
        ATOMIC_MAX(&ranges[2 * tile + 1], far_word);
    }
}

// What rays read, and the block that this one's read last.
typedef struct {
    IN(int) buckets;
    IN(int) coords;
    IN(int) sdf_sum;
    IN(uint) counts;
    int bucket_mask, base_x, base_y, base_z, min_weight;
    int last_x, last_y, last_z, last_slot;
} Grid;

DEVICE int slot_at(Grid* grid, int x, int y, int z) {
    int block_x = (x >> 3) + grid->base_x;
    int block_y = (y >> 3) + grid->base_y;
    int block_z = (z >> 3) + grid->base_z;
    if (block_x != grid->last_x || block_y != grid->last_y || block_z != grid->last_z) {
        grid->last_x = block_x;
        grid->last_y = block_y;
        grid->last_z = block_z;
        grid->last_slot = find_block(
            grid->buckets, grid->coords, grid->bucket_mask, block_x, block_y, block_z
        );
    }
    return grid->last_slot;
}

// The word of a corner (bits x, y, z) of the cell at (x, y, z), or -1 where no block is. `slot` is
// the cell's own.
DEVICE int corner_voxel(Grid* grid, int slot, int x, int y, int z, int corner) {
    int cx = x + (corner & 1), cy = y + ((corner >> 1) & 1), cz = z + (corner >> 2);
    int is_own = (cx >> 3) == (x >> 3) && (cy >> 3) == (y >> 3) && (cz >> 3) == (z >> 3);
    int owner = slot;
    if (!is_own) {
        owner = find_block(
            grid->buckets, grid->coords, grid->bucket_mask, (cx >> 3) + grid->base_x,
            (cy >> 3) + grid->base_y, (cz >> 3) + grid->base_z
        );
    }
    return owner < 0 ? -1 : owner * BLOCK_VOXELS + (cz & 7) * 64 + (cy & 7) * 8 + (cx & 7);
}

// Distance at a point in steps, or INVALID.
DEVICE float distance_at(Grid* grid, float px, float py, float pz) {
    int x = FLOOR_TO_INT(px), y = FLOOR_TO_INT(py), z = FLOOR_TO_INT(pz);
    int slot = slot_at(grid, x, y, z);
    if (slot < 0) return INVALID;
    float means[8];
    for (int corner = 0; corner < 8; corner++) {
        int voxel = corner_voxel(grid, slot, x, y, z, corner);
        if (voxel < 0) return INVALID;
        int weight = (int)(grid->counts[voxel] & 0xFFFFu);
        if (weight < grid->min_weight) return INVALID;
        means[corner] = (float)grid->sdf_sum[voxel] / (float)weight;
    }
    float fx = px - (float)x, fy = py - (float)y, fz = pz - (float)z;
    float v00 = means[0] + fx * (means[1] - means[0]), v10 = means[2] + fx * (means[3] - means[2]);
    float v01 = means[4] + fx * (means[5] - means[4]), v11 = means[6] + fx * (means[7] - means[6]);
    float near = v00 + fy * (v10 - v00), far = v01 + fy * (v11 - v01);
    return near + fz * (far - near);
}

// 1 / √x of a square, by Newton's method: a device's own root need not be exact.
DEVICE float inverse_root(float x) {
    float root = AS_FLOAT(0x5F375A86u - (AS_UINT(x) >> 1));
    for (int i = 0; i < 3; i++) root = root * (1.5f - 0.5f * x * (root * root));
    return root;
}

// Depth along one axis until a ray leaves the block around a point.
DEVICE float to_exit(float p, float r) {
    int low = FLOOR_TO_INT(p) & ~7;
    if (r > 1e-9f) return ((float)(low + 8) - p) / r;
    if (r < -1e-9f) return ((float)low - p) / r;
    return FARTHEST;
}

// Depth at which a ray, in voxels per metre of depth, first goes from outside to inside, or 0.
DEVICE float march(
    Grid* grid, float ox, float oy, float oz, float rx, float ry, float rz, float near, float far,
    float truncation_vox
) {
    float voxel_step = inverse_root(rx * rx + ry * ry + rz * rz);
    float distance_step = truncation_vox / DISTANCE_STEPS * voxel_step;
    float near_surface = 2.0f * DISTANCE_STEPS / truncation_vox;
    float depth = near, last_depth = near, last = INVALID;
    while (depth < far) {
        float px = ox + rx * depth, py = oy + ry * depth, pz = oz + rz * depth;
        int x = FLOOR_TO_INT(px), y = FLOOR_TO_INT(py), z = FLOOR_TO_INT(pz);
        int slot = slot_at(grid, x, y, z);
        if (slot < 0) {
            float leave = fminf(to_exit(px, rx), fminf(to_exit(py, ry), to_exit(pz, rz)));
            float next_depth = depth + (fmaxf(leave, 0.0f) + 0.01f * voxel_step);
            if (!(next_depth > depth)) return 0.0f;  // so far away that the step is rounded off
            last = INVALID;
            depth = next_depth;
            continue;
        }
        // One voxel tells whether the surface is far; eight are read only near it.
        int voxel = slot * BLOCK_VOXELS + (z & 7) * 64 + (y & 7) * 8 + (x & 7);
        int weight = (int)(grid->counts[voxel] & 0xFFFFu);
        float distance = INVALID;
        if (weight >= grid->min_weight) {
            distance = (float)grid->sdf_sum[voxel] / (float)weight;
            if (fabsf(distance) < near_surface) distance = distance_at(grid, px, py, pz);
        }
        if (distance <= 0.0f && last > 0.0f && last <= DISTANCE_STEPS) {
            for (int i = 0; i < 3; i++) {
                float crossing = last_depth + (depth - last_depth) * last / (last - distance);
                float middle = distance_at(
                    grid, ox + rx * crossing, oy + ry * crossing, oz + rz * crossing
                );
                if (middle > DISTANCE_STEPS) break;
                if (middle > 0.0f) {
                    last = middle;
                    last_depth = crossing;
                } else {
                    distance = middle;
                    depth = crossing;
                }
            }
            return last_depth + (depth - last_depth) * last / (last - distance);
        }
        last = distance;
        last_depth = depth;
        float step = voxel_step;
        if (distance > 0.0f && distance <= DISTANCE_STEPS) {
            step = fmaxf(distance * distance_step, 0.75f * voxel_step);
        }
        float next_depth = depth + step;
        if (!(next_depth > depth)) return 0.0f;
        depth = next_depth;
    }
    return 0.0f;
}

// Colour of the corners of a point's cell, trilinear over those with one: r | g << 8 | b << 16. In
// integers: a cell has 256 steps along each axis, so that the shares of its corners sum to 2²⁴.
DEVICE uint color_at(
    Grid* grid, IN(uint) color_low, IN(uint) color_high, float px, float py, float pz
) {
    int x = FLOOR_TO_INT(px), y = FLOOR_TO_INT(py), z = FLOOR_TO_INT(pz);
    int slot = slot_at(grid, x, y, z);
    if (slot < 0) return 0u;
    uint fx = (uint)((px - (float)x) * 256.0f), fy = (uint)((py - (float)y) * 256.0f);
    uint fz = (uint)((pz - (float)z) * 256.0f);
    uint red = 0u, green = 0u, blue = 0u, total = 0u;
    for (int corner = 0; corner < 8; corner++) {
        int voxel = corner_voxel(grid, slot, x, y, z, corner);
        uint count = voxel < 0 ? 0u : grid->counts[voxel] >> 16;
        if (count == 0u) continue;
        uint share = ((corner & 1) != 0 ? fx : 256u - fx) * ((corner & 2) != 0 ? fy : 256u - fy)
            * ((corner & 4) != 0 ? fz : 256u - fz);
        uint low = color_low[voxel], high = color_high[voxel];
        red += share * (((low & 0x1FFFFFu) + count / 2u) / count);
        green += share * (((high & 0x1FFFFFu) + count / 2u) / count);
        blue += share * ((((low >> 21) | ((high >> 21) << 11)) + count / 2u) / count);
        total += share;
    }
    if (total == 0u) return 0u;
    uint half_total = total / 2u;
    return ((red + half_total) / total) | (((green + half_total) / total) << 8)
        | (((blue + half_total) / total) << 16);
}

// Difference along an axis over ±1 voxel, doubled on one side where the other is missing; the
// distance is 0 at the point itself.
DEVICE float slope_along(Grid* grid, float px, float py, float pz, float dx, float dy, float dz) {
    float ahead = distance_at(grid, px + dx, py + dy, pz + dz);
    float behind = distance_at(grid, px - dx, py - dy, pz - dz);
    if (behind <= DISTANCE_STEPS) return ahead <= DISTANCE_STEPS ? ahead - behind : -2.0f * behind;
    return ahead <= DISTANCE_STEPS ? 2.0f * ahead : 0.0f;
}

// One group = one tile of 8 × 8 pixels. A ray begins at `o`, and goes by `r`, `u` for each pixel to
// the right and `v` for each down, in voxels per metre of depth. Writes `image`: all pixels'
// colours r | g << 8 | b << 16, then the bits of their depths in metres, then those of their
// normals (x, y, z), all 0 where a ray meets nothing. Races: none.
KERNEL(64) cast_rays(
    IN(int) buckets, IN(int) coords, IN(int) sdf_sum, IN(uint) counts, IN(uint) color_low,
    IN(uint) color_high, IN(uint) ranges, OUT(uint) image, int bucket_mask, int width, int height,
    int base_x, int base_y, int base_z, float ox, float oy, float oz, float rx, float ry, float rz,
    float ux, float uy, float uz, float vx, float vy, float vz, float truncation_vox, int min_weight
) {
    int group = GROUP();
    int columns = (width + TILE_PX - 1) / TILE_PX;
    FOR_ITEMS(i, 64) {
        int column = group % columns * TILE_PX + i % TILE_PX;
        int row = group / columns * TILE_PX + i / TILE_PX;
        if (column >= width || row >= height) continue;
        Grid grid;
        grid.buckets = buckets;
        grid.coords = coords;
        grid.sdf_sum = sdf_sum;
        grid.counts = counts;
        grid.bucket_mask = bucket_mask;
        grid.base_x = base_x;
        grid.base_y = base_y;
        grid.base_z = base_z;
        grid.min_weight = min_weight;
        grid.last_x = 0x7FFFFFFF;
        grid.last_slot = -1;

        float u = (float)column, v = (float)row;
        float sx = ux * u + vx * v + rx, sy = uy * u + vy * v + ry, sz = uz * u + vz * v + rz;
        float depth = 0.0f;
        if (ranges[2 * group + 1] != 0u) {
            float near = AS_FLOAT(0xFFFFFFFFu - ranges[2 * group]);
            float far = AS_FLOAT(ranges[2 * group + 1]);
            depth = march(&grid, ox, oy, oz, sx, sy, sz, near, far, truncation_vox);
        }
        uint color = 0u;
        float nx = 0.0f, ny = 0.0f, nz = 0.0f;
        if (depth > 0.0f) {
            float px = ox + sx * depth, py = oy + sy * depth, pz = oz + sz * depth;
            color = color_at(&grid, color_low, color_high, px, py, pz);
            nx = slope_along(&grid, px, py, pz, 1.0f, 0.0f, 0.0f);
            ny = slope_along(&grid, px, py, pz, 0.0f, 1.0f, 0.0f);
            nz = slope_along(&grid, px, py, pz, 0.0f, 0.0f, 1.0f);
            if (nx == 0.0f && ny == 0.0f && nz == 0.0f) {
                nx = -sx;
                ny = -sy;
                nz = -sz;
            }
            float scale = inverse_root(nx * nx + ny * ny + nz * nz);
            nx = nx * scale;
            ny = ny * scale;
            nz = nz * scale;
        }
        int pixel = row * width + column, pixels = width * height;
        image[pixel] = color;
        image[pixels + pixel] = AS_UINT(depth);
        image[2 * pixels + 3 * pixel] = AS_UINT(nx);
        image[2 * pixels + 3 * pixel + 1] = AS_UINT(ny);
        image[2 * pixels + 3 * pixel + 2] = AS_UINT(nz);
    }
}
