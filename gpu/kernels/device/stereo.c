// Stereo matching of a rectified pair: census words, their distances along the row, smoothed along
// eight paths (Hirschmüller 2008), and the best disparity of each pixel. All in integers.
//
// Images are bytes, four to a word, H rows of W pixels without gaps. Disparities d are 0 to D − 1,
// D a multiple of 4 and at most 256: pixel u of the left row and u − d of the right one show the
// same. `costs` (H, W, D) are bytes, `totals` (H, W, D) 16 bits each, packed from the low end.

#define PIXELS 64
// Lines that a group walks, and items that share the disparities of one.
#define LINES 4
#define PARTS 8
#define LINE_ITEMS 32
#define NEIGHBOURS 32
#define DEAD_ZONE 2
#define STEPS_PER_PX 256
// Path costs of a pixel with 256 disparities, and one more on each side.
#define SPAN 258
// Path cost of disparities that do not exist.
#define BEYOND 50000u
#define NEVER 0xFFFFFFFFu

#define LEVEL(pixel) ((int)(gray[(pixel) >> 2] >> (8 * ((pixel) & 3)) & 255u))
#define TOTAL(element) (totals[(element) >> 1] >> (16 * ((element) & 1)) & 0xFFFFu)
#define LESSER(a, b) ((a) < (b) ? (a) : (b))
#define DISTANCE(a, b) ((a) < (b) ? (b) - (a) : (a) - (b))

CONSTANT int NEIGHBOUR_V[NEIGHBOURS] = {
    -3, -3, -3, -2, -2, -2, -2, -2, -1, -1, -1, -1, -1, 0, 0, 0,
    0,  0,  0,  1,  1,  1,  1,  1,  2,  2,  2,  2,  2,  3, 3, 3};
CONSTANT int NEIGHBOUR_U[NEIGHBOURS] = {
    -3, 0, 3, -2, -1, 0, 1, 2, -2, -1, 0, 1, 2, -3, -2, -1,
    1,  2, 3, -2, -1, 0, 1, 2, -2, -1, 0, 1, 2, -3, 0,  3};

// One item = one pixel. Writes its two words, one after the other, sixteen neighbours each: bit 2k
// if neighbour k is brighter by more than DEAD_ZONE, bit 2k + 1 if darker. Beyond its edge, the
// image goes on as at its edge. Races: none.
KERNEL(PIXELS) stereo_census(IN(uint) gray, OUT(uint) words, int width, int height) {
    int group = GROUP();
    FOR_ITEMS(i, PIXELS) {
        int pixel = group * PIXELS + i;
        if (pixel >= width * height) continue;
        int v = pixel / width;
        int u = pixel - v * width;
        int centre = LEVEL(pixel);
        uint low = 0u;
        uint high = 0u;
        for (int k = 0; k < NEIGHBOURS; k++) {
            int row = v + NEIGHBOUR_V[k];
            int column = u + NEIGHBOUR_U[k];
            row = row < 0 ? 0 : LESSER(row, height - 1);
            column = column < 0 ? 0 : LESSER(column, width - 1);
            int neighbour = LEVEL(row * width + column);
            int brighter = neighbour - centre;
            uint bits = brighter > DEAD_ZONE ? 1u : brighter < -DEAD_ZONE ? 2u : 0u;
            if (k < 16) low |= bits << (2 * k);
            else high |= bits << (2 * k - 32);
        }
        words[2 * pixel] = low;
        words[2 * pixel + 1] = high;
    }
}

// One item = four disparities of one pixel. Writes their `costs`: how many bits of the words differ.
// Left of the image, the right row's first pixel stands in. Races: none.
KERNEL(PIXELS) stereo_costs(IN(uint) left, IN(uint) right, OUT(uint) costs, int width, int height,
                            int disparities) {
    int group = GROUP();
    int quads = disparities / 4;
    FOR_ITEMS(i, PIXELS) {
        int element = group * PIXELS + i;
        if (element >= width * height * quads) continue;
        int pixel = element / quads;
        int first = 4 * (element - pixel * quads);
        int u = pixel % width;
        uint low = left[2 * pixel];
        uint high = left[2 * pixel + 1];
        uint packed = 0u;
        for (int k = 0; k < 4; k++) {
            int other = pixel - LESSER(first + k, u);
            int bits = POPCOUNT(low ^ right[2 * other]) + POPCOUNT(high ^ right[2 * other + 1]);
            packed |= (uint)bits << (8 * k);
        }
        costs[element] = packed;
    }
}

// The first pixel of a line of a walk by (step_u, step_v), or -1 if there are no so many: lines begin
// where the pixel before lies outside, in the first row, then in the first column, as walked.
DEVICE int line_start(int line, int width, int height, int step_u, int step_v) {
    int row_lines = step_v == 0 ? 0 : width;
    int first_u = step_u < 0 ? width - 1 : 0;
    int first_v = step_v < 0 ? height - 1 : 0;
    if (line < row_lines) return first_v * width + line;
    int down = line - row_lines + (step_v == 0 ? 0 : 1);
    if (step_u == 0 || down >= height) return -1;
    return (step_v < 0 ? first_v - down : down) * width + first_u;
}

// How many pixels a line from (u, v) has.
DEVICE int line_length(int u, int v, int width, int height, int step_u, int step_v) {
    int across = step_u == 0 ? width + height : step_u < 0 ? u + 1 : width - u;
    int down = step_v == 0 ? width + height : step_v < 0 ? v + 1 : height - v;
    return LESSER(across, down);
}

// One group = LINES lines, of those that `line_start` counts, a pixel of each at a time; one item =
// every PARTS-th four disparities of a line's pixel. Hirschmüller's eq. 13: L(d) = C(d) − least +
// min(L'(d), L'(d ± 1) + small, least + penalty), where L' are the path costs of the pixel before,
// least their minimum, and `penalties` (256,) the cost of a jump by the step in gray level. Adds L
// to `totals`, whose two halves of a word never carry: the host sees to it. Races: a line's pixels
// are on no other line of the same walk.
KERNEL(LINE_ITEMS) stereo_path(IN(uint) costs, IN(uint) gray, IN(uint) penalties,
                               INOUT(uint) totals, int width, int height, int disparities,
                               int step_u, int step_v, int small_penalty) {
    // Of the pixel before and of this one, in turns: costs of each line, and the least of each part.
    LOCAL(uint, path, 2 * LINES * SPAN);
    LOCAL(uint, lows, 2 * LINE_ITEMS);
    LOCAL(int, starts, LINES);
    LOCAL(int, lengths, LINES);
    int group = GROUP();
    int quads = disparities / 4;
    int step = step_v * width + step_u;
    FOR_ITEMS(i, LINES) {
        int start = line_start(group * LINES + i, width, height, step_u, step_v);
        starts[i] = start;
        lengths[i] = start < 0 ? 0 : line_length(start % width, start / width, width, height,
                                                 step_u, step_v);
    }
    FOR_ITEMS(i, LINE_ITEMS) { lows[i] = 0u; }
    FOR_ITEMS(i, LINES * SPAN) {
        int at = i % SPAN;
        path[i] = at == 0 || at == disparities + 1 ? BEYOND : 0u;
        path[LINES * SPAN + i] = path[i];
    }
    BARRIER();
    int longest = 0;
    for (int line = 0; line < LINES; line++) {
        longest = lengths[line] > longest ? lengths[line] : longest;
    }
    for (int n = 0; n < longest; n++) {
        int before = n & 1;
        int after = 1 - before;
        FOR_ITEMS(i, LINE_ITEMS) {
            int line = i / PARTS;
            if (n >= lengths[line]) continue;
            int pixel = starts[line] + n * step;
            int level = LEVEL(pixel);
            int level_before = LEVEL(pixel - (n == 0 ? 0 : step));
            int low = before * LINE_ITEMS + line * PARTS;
            uint least = lows[low];
            for (int part = 1; part < PARTS; part++) least = LESSER(least, lows[low + part]);
            uint jump = least + penalties[DISTANCE(level, level_before)];
            uint lowest = NEVER;
            for (int quad = i % PARTS; quad < quads; quad += PARTS) {
                uint four = costs[pixel * quads + quad];
                int at = (before * LINES + line) * SPAN + 4 * quad;
                int to = (after * LINES + line) * SPAN + 4 * quad + 1;
                uint below = path[at];
                uint here = path[at + 1];
                uint pair[4];
                for (int k = 0; k < 4; k++) {
                    uint above = path[at + k + 2];
                    uint beside = LESSER(below, above) + (uint)small_penalty;
                    uint value = LESSER(here, jump);
                    value = LESSER(value, beside) - least + (four >> (8 * k) & 255u);
                    path[to + k] = value;
                    lowest = LESSER(lowest, value);
                    pair[k] = value;
                    below = here;
                    here = above;
                }
                int word = 2 * (pixel * quads + quad);
                totals[word] += pair[0] | pair[1] << 16;
                totals[word + 1] += pair[2] | pair[3] << 16;
            }
            lows[after * LINE_ITEMS + i] = lowest;
        }
        BARRIER();
    }
}

// One item = one pixel of the right image. Writes `winners` (H, W): the disparity with the least of
// the totals of the left pixels that could show the same; the lowest of equal ones. Races: none.
KERNEL(PIXELS) stereo_right(IN(uint) totals, OUT(int) winners, int width, int height,
                            int disparities) {
    int group = GROUP();
    FOR_ITEMS(i, PIXELS) {
        int pixel = group * PIXELS + i;
        if (pixel >= width * height) continue;
        int inside = LESSER(disparities, width - pixel % width);
        uint best = NEVER;
        for (int d = 0; d < inside; d++) {
            uint key = TOTAL((pixel + d) * disparities + d) << 8 | (uint)d;
            best = LESSER(best, key);
        }
        winners[pixel] = (int)(best & 255u);
    }
}

// One item = one pixel of the left image. Writes `disparity` (H, W): the one with the least total,
// the lowest of equal ones, in 1/256 px with its fraction; `worth` (H, W): that total, and 16 bits
// higher by how much the least beyond its neighbours exceeds it; `difference` (H, W): by how many
// pixels the right image's best, of `winners`, differs at the place this one leads to, D outside.
// The fraction is the equiangular fit's (Shimizu & Okutomi 2001), to the nearest. Races: none.
KERNEL(PIXELS) stereo_choose(IN(uint) totals, IN(int) winners, OUT(int) disparity, OUT(uint) worth,
                             OUT(int) difference, int width, int height, int disparities) {
    int group = GROUP();
    FOR_ITEMS(i, PIXELS) {
        int pixel = group * PIXELS + i;
        if (pixel >= width * height) continue;
        int first = pixel * disparities;
        uint best = NEVER;
        for (int d = 0; d < disparities; d++) {
            uint key = TOTAL(first + d) << 8 | (uint)d;
            best = LESSER(best, key);
        }
        int winner = (int)(best & 255u);
        uint least = best >> 8;
        uint other = 0xFFFFu;
        for (int d = 0; d < disparities; d++) {
            uint total = TOTAL(first + d);
            if (d < winner - 1 || d > winner + 1) other = LESSER(other, total);
        }
        int fraction = 0;
        if (winner > 0 && winner < disparities - 1) {
            int left = (int)TOTAL(first + winner - 1);
            int right = (int)TOTAL(first + winner + 1);
            int steepest = (left < right ? right : left) - (int)least;
            if (steepest > 0) {
                int size = (DISTANCE(left, right) * (STEPS_PER_PX / 2) + steepest / 2) / steepest;
                fraction = left > right ? size : -size;
            }
        }
        disparity[pixel] = winner * STEPS_PER_PX + fraction;
        worth[pixel] = least | (other - least) << 16;
        int u = pixel % width;
        int seen = pixel - LESSER(winner, u);
        difference[pixel] = winner > u ? disparities : DISTANCE(winners[seen], winner);
    }
}
