// The distance field at points of a view, as gpu/kernels/align.py, in single precision.

#define BLOCK_VOXELS 512
#define DISTANCE_STEPS 32767.0f
#define UNKNOWN 2.0f

// One item = one of `count` `points` (count, 3) in the camera's frame, which the matrix leads to
// voxels from the first one of block `base`. Writes to `field` (count, 4) the distance in
// truncations, UNKNOWN where a corner of the point's cell has less weight than `min_weight`, and
// its derivative along the grid's axes, per voxel. Races: none.
KERNEL(64) sample_field(
    IN(float) points, IN(int) buckets, IN(int) coords, IN(int) sdf_sum, IN(uint) counts,
    OUT(float) field, int bucket_mask, int base_x, int base_y, int base_z, float xx, float xy,
    float xz, float x1, float yx, float yy, float yz, float y1, float zx, float zy, float zz,
    float z1, int min_weight, int count
) {
    int group = GROUP();
    FOR_ITEMS(i, 64) {
        int index = 64 * group + i;
        if (index >= count) continue;
        float px = points[3 * index], py = points[3 * index + 1], pz = points[3 * index + 2];
        float gx = xx * px + xy * py + xz * pz + x1;
        float gy = yx * px + yy * py + yz * pz + y1;
        float gz = zx * px + zy * py + zz * pz + z1;
        int x = FLOOR_TO_INT(gx), y = FLOOR_TO_INT(gy), z = FLOOR_TO_INT(gz);
        float fx = gx - (float)x, fy = gy - (float)y, fz = gz - (float)z;

        float means[8];
        int slot = -1, is_known = 1;
        int last_x = 0, last_y = 0, last_z = 0;
        for (int corner = 0; corner < 8 && is_known != 0; corner++) {
            int cx = x + (corner & 1), cy = y + ((corner >> 1) & 1), cz = z + (corner >> 2);
            if (slot < 0 || cx >> 3 != last_x || cy >> 3 != last_y || cz >> 3 != last_z) {
                last_x = cx >> 3;
                last_y = cy >> 3;
                last_z = cz >> 3;
                slot = find_block(
                    buckets, coords, bucket_mask, last_x + base_x, last_y + base_y, last_z + base_z
                );
            }
            int voxel = slot * BLOCK_VOXELS + (cz & 7) * 64 + (cy & 7) * 8 + (cx & 7);
            int weight = slot < 0 ? 0 : (int)(counts[voxel] & 0xFFFFu);
            is_known = weight > 0 && weight >= min_weight ? 1 : 0;
            means[corner] =
                is_known != 0 ? (float)sdf_sum[voxel] / (float)weight : 0.0f;
        }
        if (is_known == 0) {
            field[4 * index] = UNKNOWN;
            for (int axis = 1; axis < 4; axis++) field[4 * index + axis] = 0.0f;
            continue;
        }
        // Differences along x at the cell's four edges (y, z), values on them, then along y and z.
        float e00 = means[1] - means[0], e10 = means[3] - means[2];
        float e01 = means[5] - means[4], e11 = means[7] - means[6];
        float v00 = means[0] + fx * e00, v10 = means[2] + fx * e10;
        float v01 = means[4] + fx * e01, v11 = means[6] + fx * e11;
        float near_y = v10 - v00, far_y = v11 - v01;
        float near = v00 + fy * near_y, far = v01 + fy * far_y;
        float near_x = e00 + fy * (e10 - e00), far_x = e01 + fy * (e11 - e01);
        field[4 * index] = (near + fz * (far - near)) / DISTANCE_STEPS;
        field[4 * index + 1] = (near_x + fz * (far_x - near_x)) / DISTANCE_STEPS;
        field[4 * index + 2] = (near_y + fz * (far_y - near_y)) / DISTANCE_STEPS;
        field[4 * index + 3] = (far - near) / DISTANCE_STEPS;
    }
}
