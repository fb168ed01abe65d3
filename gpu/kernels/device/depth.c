// Smoothing depth where it is of one surface, and counting how much each pixel's tells, as
// gpu/kernels/depth_filter.py, which says what the constants mean.

#define TILE_WIDTH 64
#define TILE_HEIGHT 4
#define WINDOW 5
#define REACH_PX 2
#define HALO_WIDTH 68 // TILE_WIDTH + 2 REACH_PX
#define HALO_HEIGHT 8 // TILE_HEIGHT + 2 REACH_PX
#define HALO_PIXELS 544
#define GATE_SIGMAS 5.0f
#define GATE_MOST 0.5f
#define LEAST_AGREEING 8
#define STEEPEST 5.671282f
#define LEAST_COS2 0.030153690f
#define MOST 4
#define PER_VARIANCE 70433.33f

CONSTANT float SPATIAL[WINDOW] = {1.0f, 4.0f, 6.0f, 4.0f, 1.0f};

// The standard deviation of the sensor's depth (Nguyen et al. 2012, eq. 3).
DEVICE float sigma_of(float depth_m) {
    float beyond_m = depth_m - 0.4f;
    return 0.0012f + 0.0019f * (beyond_m * beyond_m);
}

// How far from a depth others may be.
DEVICE float gate_of(float depth_m) {
    return fminf(GATE_SIGMAS * sigma_of(depth_m), GATE_MOST * depth_m);
}

// One group = TILE_WIDTH · TILE_HEIGHT pixels of an image that is `across` tiles wide. `depth`:
// words of 2 uint16, or of 1 float32 (`is_float`); `confidence`: 4 bytes in a word, of which 0 is no
// depth, if `weighted`. Writes metres to `filtered` (height · width), 0 where there is no depth in
// [low_m, high_m] or too few agree. A window is summed row by row, each from left to right. Races:
// none. Bounds: what is outside the image has no depth.
KERNEL(TILE_WIDTH) smooth_depth(
    IN(uint) depth, IN(uint) confidence, OUT(float) filtered, int width, int height, int across,
    int is_float, int weighted, float depth_scale_m, float low_m, float high_m
) {
    LOCAL(float, halo, HALO_PIXELS);
    int first_row = GROUP() / across * TILE_HEIGHT;
    int first_column = GROUP() % across * TILE_WIDTH;
    // Positive floats are in the order of their bits; what is negative or no number is beyond.
    uint low = AS_UINT(low_m);
    uint high = AS_UINT(high_m);
    for (int y = 0; y < HALO_HEIGHT; y++) {
        int row = first_row + y - REACH_PX;
        FOR_ITEMS(x, HALO_WIDTH) {
            int column = first_column + x - REACH_PX;
            halo[y * HALO_WIDTH + x] = 0.0f;
            if (row < 0 || column < 0 || row >= height || column >= width) continue;
            int at = row * width + column;
            if (weighted != 0 && (confidence[at >> 2] >> (8 * (at & 3)) & 0xFFu) == 0u) continue;
            float metres = is_float != 0
                ? AS_FLOAT(depth[at])
                : (float)(depth[at >> 1] >> (16 * (at & 1)) & 0xFFFFu);
            metres = metres * depth_scale_m;
            uint bits = AS_UINT(metres);
            if (bits >= low && bits <= high) halo[y * HALO_WIDTH + x] = metres;
        }
    }
    BARRIER();
    for (int row = 0; row < TILE_HEIGHT; row++) {
        if (first_row + row >= height) break;
        FOR_ALL_ITEMS(column, TILE_WIDTH) {
            float depth_m = halo[(row + REACH_PX) * HALO_WIDTH + column + REACH_PX];
            // No depth agrees with none either.
            float inverse_gate = 1.0f / (depth_m > 0.0f ? gate_of(depth_m) : 1.0f);
            float weights = 0.0f;
            float shifts = 0.0f;
            int agreeing = 0;
            for (int y = 0; y < WINDOW; y++) {
                for (int x = 0; x < WINDOW; x++) {
                    float off_m = halo[(row + y) * HALO_WIDTH + column + x] - depth_m;
                    float ratio = off_m * inverse_gate;
                    float rest = fmaxf(1.0f - ratio * ratio, 0.0f);
                    float weight = (rest * rest) * (SPATIAL[y] * SPATIAL[x]);
                    weights = weights + weight;
                    shifts = shifts + weight * off_m;
                    agreeing += rest > 0.0f ? 1 : 0;
                }
            }
            float shift_m = shifts / fmaxf(weights, 1.0f);
            int counts = depth_m > 0.0f && agreeing >= LEAST_AGREEING;
            if (first_column + column < width) {
                int at = (first_row + row) * width + first_column + column;
                filtered[at] = counts ? depth_m + shift_m : 0.0f;
            }
        }
    }
}

// A depth of a line of pixels, 0 outside it: `step` is between pixels.
DEVICE float depth_beside(IN(float) filtered, int at, int step, int is_inside) {
    return is_inside ? filtered[at + step] : 0.0f;
}

// Whether a neighbour is on the surface of a pixel.
DEVICE int is_near(float beside_m, float depth_m, float reach_m) {
    return beside_m > 0.0f && fabsf(beside_m - depth_m) <= reach_m;
}

// The slope of a pixel's depth along an axis, from neighbours on its surface, both or one.
DEVICE float slope(float before_m, float depth_m, float after_m, int has_before, int has_after) {
    float low_m = has_before ? before_m : depth_m;
    float high_m = has_after ? after_m : depth_m;
    return (high_m - low_m) * (has_before && has_after ? 0.5f : 1.0f);
}

// How often a pixel on the ray (x, y, 1) counts whose depth has slopes, times focal lengths, a, b:
// the cosine between ray and normal (-a, -b, z + a·x + b·y) is z / (|normal|·|ray|). Nothing is
// divided: not every device rounds that alike.
DEVICE uint observations(float depth_m, float x, float y, float a, float b) {
    float along = (depth_m + a * x) + b * y;
    float normal2 = (a * a + b * b) + along * along;
    float ray2 = (x * x + y * y) + 1.0f;
    float depth2 = depth_m * depth_m;
    float lengths2 = normal2 * ray2;
    float sigma = sigma_of(depth_m);
    float unit = (sigma * sigma) * PER_VARIANCE;
    uint count = 1u;
    for (int more = 2; more <= MOST; more++) {
        float bound = ((float)more - 0.5f) * unit;
        count += depth2 >= (bound * bound) * lengths2 ? 1u : 0u;
    }
    return depth2 >= LEAST_COS2 * lengths2 ? count : 0u;
}

// One group = TILE_WIDTH · TILE_HEIGHT pixels of an image that is `across` tiles wide. `filtered` as
// `smooth_depth` leaves it, `pixels` as `pack_pixels` makes them of it, from `first_pixel` on: their
// confidence is multiplied, 255 at most, and what counts for nothing has no depth. Races: none.
KERNEL(TILE_WIDTH) weigh_pixels(
    IN(float) filtered, INOUT(uint) pixels, int first_pixel, int width, int height, int across,
    float fx, float fy, float inverse_fx, float inverse_fy, float cx, float cy
) {
    int first_row = GROUP() / across * TILE_HEIGHT;
    int first_column = GROUP() % across * TILE_WIDTH;
    for (int row = first_row; row < first_row + TILE_HEIGHT && row < height; row++) {
        FOR_ALL_ITEMS(i, TILE_WIDTH) {
            int column = first_column + i;
            if (column >= width) continue;
            int at = row * width + column;
            float depth_m = filtered[at];
            float left_m = depth_beside(filtered, at, -1, column > 0);
            float right_m = depth_beside(filtered, at, 1, column + 1 < width);
            float up_m = depth_beside(filtered, at, -width, row > 0);
            float down_m = depth_beside(filtered, at, width, row + 1 < height);
            float gate_m = gate_of(depth_m);
            float steep_m = STEEPEST * depth_m;
            float reach_u = gate_m + steep_m * inverse_fx;
            float reach_v = gate_m + steep_m * inverse_fy;
            int has_left = is_near(left_m, depth_m, reach_u);
            int has_right = is_near(right_m, depth_m, reach_u);
            int has_up = is_near(up_m, depth_m, reach_v);
            int has_down = is_near(down_m, depth_m, reach_v);
            float a = slope(left_m, depth_m, right_m, has_left, has_right) * fx;
            float b = slope(up_m, depth_m, down_m, has_up, has_down) * fy;
            float x = ((float)column - cx) * inverse_fx;
            float y = ((float)row - cy) * inverse_fy;
            int is_known = (has_left || has_right) && (has_up || has_down);
            uint count = is_known ? observations(depth_m, x, y, a, b) : 0u;
            int word = 2 * (first_pixel + at);
            uint rgbc = pixels[word + 1];
            uint weight = (rgbc >> 24) * count;
            weight = weight < 255u ? weight : 255u;
            pixels[word + 1] = (rgbc & 0xFFFFFFu) | weight << 24;
            if (weight == 0u) pixels[word] = 0u;
        }
    }
}
