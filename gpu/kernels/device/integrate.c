// Adding a view to the voxels of its blocks, or taking it out again, as gpu/kernels/integrate.py.

#define BLOCK_VOXELS 512
#define WEIGHT_LIMIT 65535
#define COLOR_COUNT_LIMIT 8224
#define DISTANCE_STEPS 32767.0f
#define NEAREST_M 0.01f
#define CHANGE_SCALE 0.12500381f // 4096 / DISTANCE_STEPS
#define CHANGE_MOST 134217728u
#define CROSSED 262144
#define REFUSED 3
#define PACK_ITEMS 256
#define INTEGRATE_ITEMS 256
#define IS_REFUSED 1048576 // above all that a voxel may move by

// One item = 4 pixels of `count` quads. `depth`: words of 2 uint16, or of 1 float32 (`is_float`);
// `confidence`: 4 bytes in a word, all 1 if not `weighted`. Writes 2 words per pixel, from pixel
// `first_pixel` of `pixels`: the bits of the depth in metres, 0 outside [low_m, high_m] or without
// confidence, and confidence << 24. Races: none. Bounds: the host pads its images to whole quads.
KERNEL(PACK_ITEMS) pack_pixels(
    IN(uint) depth, IN(uint) confidence, OUT(uint) pixels, int first_pixel, int count,
    int is_float, int weighted, float depth_scale_m, float low_m, float high_m
) {
    int group = GROUP();
    // Positive floats are in the order of their bits; what is negative or no number is beyond.
    uint low = AS_UINT(low_m);
    uint high = AS_UINT(high_m);
    FOR_ALL_ITEMS(i, PACK_ITEMS) {
        int quad = group * PACK_ITEMS + i;
        if (quad >= count) continue;
        uint confidences = weighted != 0 ? confidence[quad] : 0x01010101u;
        for (int k = 0; k < 4; k++) {
            float metres = is_float != 0
                ? AS_FLOAT(depth[4 * quad + k])
                : (float)(depth[2 * quad + (k >> 1)] >> (16 * (k & 1)) & 0xFFFFu);
            uint bits = AS_UINT(metres * depth_scale_m);
            uint weight = confidences >> (8 * k) & 0xFFu;
            int at = 2 * (first_pixel + 4 * quad + k);
            pixels[at] = bits >= low && bits <= high && weight != 0u ? bits : 0u;
            pixels[at + 1] = weight << 24;
        }
    }
}

// One item = 4 pixels of `count` quads, as `pack_pixels` leaves them. `rgb`: 3 words of 4 pixels'
// bytes r, g, b. Puts r | g << 8 | b << 16 into the second words. Races: none. Bounds: likewise.
KERNEL(PACK_ITEMS) color_pixels(IN(uint) rgb, INOUT(uint) pixels, int first_pixel, int count) {
    int group = GROUP();
    FOR_ALL_ITEMS(i, PACK_ITEMS) {
        int quad = group * PACK_ITEMS + i;
        if (quad >= count) continue;
        uint first = rgb[3 * quad];
        uint second = rgb[3 * quad + 1];
        uint third = rgb[3 * quad + 2];
        int at = 2 * (first_pixel + 4 * quad) + 1;
        pixels[at] |= first & 0xFFFFFFu;
        pixels[at + 2] |= (first >> 24 | second << 8) & 0xFFFFFFu;
        pixels[at + 4] |= (second >> 16 | third << 16) & 0xFFFFFFu;
        pixels[at + 6] |= third >> 8;
    }
}

// One voxel's |Δ mean distance|: s / w and (s + k·q) / (w + k) differ by |k|·|q·w - s| / (w·(w + k)).
DEVICE int moved_by(int quantised, int sum, int weight, int step, int min_weight) {
    float before = (float)weight;
    float more = (float)step;
    float weights = fmaxf(before * (before + more), 1.0f);
    float shift = fabsf(((float)quantised * before - (float)sum) * more) / weights;
    int crossed = (weight >= min_weight) != (weight + step >= min_weight);
    return (int)(fminf(shift * CHANGE_SCALE, 8192.0f) + 0.5f) + (crossed ? CROSSED : 0);
}

// One voxel's colour. The blue sum's carry goes from the top of the low word to the high word by
// hand.
DEVICE void add_color(
    INOUT(uint) color_low, INOUT(uint) color_high, int at, uint rgbc, int removing
) {
    uint red_blue = (rgbc & 0xFFu) | (rgbc & 0xFF0000u) << 5;
    uint green = rgbc >> 8 & 0xFFu;
    uint low = color_low[at];
    uint high = color_high[at];
    uint sum_low = low + red_blue;
    uint left_low = low - red_blue;
    uint sum_high = high + green + (sum_low < low ? 2097152u : 0u);
    uint left_high = high - green - (left_low > low ? 2097152u : 0u);
    color_low[at] = removing ? left_low : sum_low;
    color_high[at] = removing ? left_high : sum_high;
}

// One group = one of `count` blocks of `work` (K, 4): its place, and its coordinates relative to a
// block near the camera. (m00 .. m22, t0 .. t2) leads from voxels relative to that block's first to
// (u + 1/2)·z, (v + 1/2)·z, z. The view is the one from pixel `first_pixel` of `pixels`. Voxels'
// words are those of `Pool`; `change` (N, 4) grows by the sums of |Δ mean distance| over the block,
// and over its voxels with x = 0, y = 0, z = 0. `found[3]` counts observations refused. Races: a
// block is there once.
KERNEL(INTEGRATE_ITEMS) integrate_blocks(
    IN(int) work, IN(uint) pixels, INOUT(int) sdf_sum, INOUT(uint) counts, INOUT(uint) color_low,
    INOUT(uint) color_high, INOUT(uint) change, INOUT(int) found, int first_pixel, int width,
    int height, float m00, float m01, float m02, float m10, float m11, float m12, float m20,
    float m21, float m22, float t0, float t1, float t2, float truncation_m, float steps_per_m,
    int min_weight, int removing, int count
) {
    LOCAL(int, moved, BLOCK_VOXELS);
    LOCAL(int, lines, 64);
    LOCAL(int, refused, 64);
    LOCAL(int, parts, 40);
    int group = GROUP();
    if (group >= count) return;
    int first = work[4 * group] * BLOCK_VOXELS;
    float x0 = (float)(work[4 * group + 1] * 8);
    float y0 = (float)(work[4 * group + 2] * 8);
    float z0 = (float)(work[4 * group + 3] * 8);
    float block_u = m00 * x0 + m01 * y0 + m02 * z0 + t0;
    float block_v = m10 * x0 + m11 * y0 + m12 * z0 + t1;
    float block_z = m20 * x0 + m21 * y0 + m22 * z0 + t2;
    float columns = (float)width;
    float rows = (float)height;

    FOR_ALL_ITEMS(item, INTEGRATE_ITEMS) {
        for (int part = 0; part < BLOCK_VOXELS / INTEGRATE_ITEMS; part++) {
            int i = part * INTEGRATE_ITEMS + item;
            float x = (float)(i & 7);
            float y = (float)(i >> 3 & 7);
            float z = (float)(i >> 6);
            float voxel_z = block_z + (m20 * x + m21 * y + m22 * z);
            float inverse_z = 1.0f / fmaxf(voxel_z, NEAREST_M);
            float u = (block_u + (m00 * x + m01 * y + m02 * z)) * inverse_z;
            float v = (block_v + (m10 * x + m11 * y + m12 * z)) * inverse_z;
            int inside = (u >= 0.0f) & (v >= 0.0f) & (u < columns) & (v < rows);
            inside &= voxel_z > NEAREST_M;
            int pixel = inside ? first_pixel + (int)v * width + (int)u : first_pixel;
            float depth = AS_FLOAT(pixels[2 * pixel]);
            uint rgbc = pixels[2 * pixel + 1];
            float distance = depth - voxel_z;
            int visible = inside & (depth > 0.0f) & (distance >= -truncation_m);
            int near = visible & (distance <= truncation_m);
            int quantised = FLOOR_TO_INT(
                fmaxf(fminf(distance * steps_per_m, DISTANCE_STEPS), -DISTANCE_STEPS) + 0.5f
            );

            uint word = counts[first + i];
            int sum = sdf_sum[first + i];
            int weight = (int)(word & 0xFFFFu);
            int colored = (int)(word >> 16);
            int confidence = (int)(rgbc >> 24);
            int room = WEIGHT_LIMIT - weight;
            int color_full = colored == COLOR_COUNT_LIMIT;
            int gives = (weight != WEIGHT_LIMIT) & (weight >= confidence);
            int taken = confidence < room ? confidence : room;
            int step = removing ? (gives ? -confidence : 0) : taken;
            step = visible ? step : 0;
            int can_color = removing ? colored != 0 : 1;
            int colors = near & !color_full & can_color;
            int is_refused = (visible & (confidence > room)) | (near & color_full);

            moved[i] = moved_by(quantised, sum, weight, step, min_weight)
                | (is_refused && !removing ? IS_REFUSED : 0);

            uint color_step = colors ? 65536u : 0u;
            if (visible) {
                counts[first + i] = word + (uint)step + (removing ? 0u - color_step : color_step);
                sdf_sum[first + i] = sum + step * quantised;
            }
            if (colors) add_color(color_low, color_high, first + i, rgbc, removing);
        }
    }
    BARRIER();
    FOR_ITEMS(line, 64) {
        int total = 0;
        int refusals = 0;
        for (int x = 0; x < 8; x++) {
            total += moved[8 * line + x] & (IS_REFUSED - 1);
            refusals += moved[8 * line + x] >> 20;
        }
        lines[line] = total;
        refused[line] = refusals;
    }
    BARRIER();
    FOR_ITEMS(j, 40) {
        int total = 0;
        for (int k = 0; k < 8; k++) {
            int line = 8 * (j & 7) + k;
            int part = j >> 3;
            if (part == 0) total += lines[line];
            if (part == 1) total += moved[8 * line] & (IS_REFUSED - 1);
            if (part == 2) total += moved[64 * (j & 7) + k] & (IS_REFUSED - 1);
            if (part == 3) total += moved[line] & (IS_REFUSED - 1);
            if (part == 4) total += refused[line];
        }
        parts[j] = total;
    }
    BARRIER();
    FOR_ITEMS(part, 5) {
        int total = 0;
        for (int k = 0; k < 8; k++) total += parts[8 * part + k];
        if (part == 4) {
            if (total != 0) ATOMIC_ADD(&found[REFUSED], total);
            continue;
        }
        int at = 4 * work[4 * group] + part;
        uint sum = change[at] + (uint)total;
        change[at] = sum < CHANGE_MOST ? sum : CHANGE_MOST;
    }
}
