// Which blocks a depth image touches, and their places in the pool, as gpu/kernels/allocate.py. The
// blocks depend on pixels and pose alone, never on the pool.
//
// `found`: 0 unknown blocks listed, with repetitions; 1 unknown blocks, each once; 2 known blocks
// touched; 3 observations that frozen voxels refused; from 4 on the coordinates of the unknown ones,
// each once.

#define TOUCH_ITEMS 64
#define LISTED 0
#define UNIQUE 1
#define TOUCHED 2
#define COUNTERS 4

// One item = one ray, of every `stride` pixels: sampled at `steps` points, `step_m` apart, from
// `first_m` around its depth in `pixels` (2 words each, see `pack_pixels`; from pixel `first_pixel`).
// The camera is in block (x0, y0, z0), at (t0, t1, t2) in it; (m00 .. m22) leads to blocks.
// Known blocks get `stamps[place] = stamp`, and the first to do so lists them in `touched`. The
// coordinates of unknown ones go to `listed` (L, 3). Races: counts and stamps are atomic; the order
// of the lists is any. Bounds: rays · steps entries in `listed`, N in `touched`; the host has checked
// that coordinates stay in the grid.
KERNEL(TOUCH_ITEMS) touch_blocks(
    IN(uint) pixels, IN(int) buckets, IN(int) coords, INOUT(int) stamps, OUT(int) touched,
    OUT(int) listed, INOUT(int) found, int first_pixel, int width, int columns, int rays,
    int stride, int steps, float first_m, float step_m, float centre_u, float centre_v,
    float inverse_focal_u, float inverse_focal_v, float m00, float m01, float m02, float m10,
    float m11, float m12, float m20, float m21, float m22, float t0, float t1, float t2, int x0,
    int y0, int z0, int bucket_mask, int stamp
) {
    int group = GROUP();
    FOR_ITEMS(i, TOUCH_ITEMS) {
        int ray = group * TOUCH_ITEMS + i;
        if (ray >= rays) continue;
        int u = (ray % columns) * stride;
        int v = (ray / columns) * stride;
        float ray_depth = AS_FLOAT(pixels[2 * (first_pixel + v * width + u)]);
        if (!(ray_depth > 0.0f)) continue;
        float ray_u = ((float)u - centre_u) * inverse_focal_u;
        float ray_v = ((float)v - centre_v) * inverse_focal_v;
        float ray_x = m00 * ray_u + (m01 * ray_v + m02);
        float ray_y = m10 * ray_u + (m11 * ray_v + m12);
        float ray_z = m20 * ray_u + (m21 * ray_v + m22);
        int last_x = 0;
        int last_y = 0;
        int last_z = 0;
        for (int step = 0; step < steps; step++) {
            float depth = ray_depth + (first_m + step_m * (float)step);
            int x = FLOOR_TO_INT(ray_x * depth + t0) + x0;
            int y = FLOOR_TO_INT(ray_y * depth + t1) + y0;
            int z = FLOOR_TO_INT(ray_z * depth + t2) + z0;
            if (step > 0 && x == last_x && y == last_y && z == last_z) continue;
            last_x = x;
            last_y = y;
            last_z = z;
            int place = find_block(buckets, coords, bucket_mask, x, y, z);
            if (place >= 0) {
                if (stamps[place] == stamp) continue;
                if (ATOMIC_MAX(&stamps[place], stamp) == stamp) continue;
                touched[ATOMIC_ADD(&found[TOUCHED], 1)] = place;
            } else {
                int at = ATOMIC_ADD(&found[LISTED], 1);
                listed[3 * at] = x;
                listed[3 * at + 1] = y;
                listed[3 * at + 2] = z;
            }
        }
    }
}

// `shares` groups share the unknown blocks `listed` (L, 3): of equal ones, one is copied to `found`.
// `claims`: numbers in `listed`, or -1, under the hash of their coordinates; a power of two of them,
// at least twice L. Races: all is claimed and counted atomically; which of equal ones is
// copied makes no difference, their order is any.
KERNEL(64) claim_blocks(
    IN(int) listed, INOUT(int) claims, INOUT(int) found, int claim_mask, int shares
) {
    int group = GROUP();
    int count = ATOMIC_ADD(&found[LISTED], 0);
    FOR_ITEMS(i, 64) {
        for (int index = group * 64 + i; index < count; index += shares * 64) {
            int x = listed[3 * index];
            int y = listed[3 * index + 1];
            int z = listed[3 * index + 2];
            uint bucket = first_bucket(x, y, z, claim_mask);
            int other = ATOMIC_CAS(&claims[bucket], -1, index);
            while (other >= 0) {
                if (listed[3 * other] == x && listed[3 * other + 1] == y
                    && listed[3 * other + 2] == z) break;
                bucket = (bucket + 1u) & (uint)claim_mask;
                other = ATOMIC_CAS(&claims[bucket], -1, index);
            }
            if (other >= 0) continue;
            int at = COUNTERS + 3 * ATOMIC_ADD(&found[UNIQUE], 1);
            found[at] = x;
            found[at + 1] = y;
            found[at + 2] = z;
        }
    }
}

// One item = one of `count` blocks, from place `first`: puts it into `buckets`, where it is not yet.
// `coords` (N, 3). Races: buckets are taken atomically; which of those on its way a block gets makes
// no difference to who looks for it.
KERNEL(64) insert_blocks(
    IN(int) coords, INOUT(int) buckets, int bucket_mask, int first, int count
) {
    int group = GROUP();
    FOR_ITEMS(i, 64) {
        if (group * 64 + i >= count) continue;
        int place = first + group * 64 + i;
        uint bucket = first_bucket(
            coords[3 * place], coords[3 * place + 1], coords[3 * place + 2], bucket_mask
        );
        while (ATOMIC_CAS(&buckets[bucket], -1, place) >= 0) {
            bucket = (bucket + 1u) & (uint)bucket_mask;
        }
    }
}
