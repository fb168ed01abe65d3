// Stereo matching of a rectified pair: see stereo.c, which says what each kernel does.

const PIXELS = 64;
const LINES = 4;
const PARTS = 8;
const LINE_ITEMS = 32;
const NEIGHBOURS = 32;
const DEAD_ZONE = 2;
const STEPS_PER_PX = 256;
const SPAN = 258;
const BEYOND = 50000u;
const NEVER = 0xFFFFFFFFu;

// kernel stereo_census
@group(0) @binding(0) var<storage, read> gray: array<u32>;
@group(0) @binding(1) var<storage, read_write> words: array<u32>;
struct Scalars { groups: i32, width: i32, height: i32 }
@group(0) @binding(2) var<uniform> scalars: Scalars;

const NEIGHBOUR_V = array<i32, NEIGHBOURS>(
    -3, -3, -3, -2, -2, -2, -2, -2, -1, -1, -1, -1, -1, 0, 0, 0,
    0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 3, 3, 3);
const NEIGHBOUR_U = array<i32, NEIGHBOURS>(
    -3, 0, 3, -2, -1, 0, 1, 2, -2, -1, 0, 1, 2, -3, -2, -1,
    1, 2, 3, -2, -1, 0, 1, 2, -2, -1, 0, 1, 2, -3, 0, 3);

fn level(pixel: i32) -> i32 {
    return i32((gray[pixel >> 2u] >> (8u * u32(pixel & 3))) & 255u);
}

@compute @workgroup_size(PIXELS)
fn stereo_census(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let pixel = group * PIXELS + i32(item);
    if (pixel >= scalars.width * scalars.height) { return; }
    let v = pixel / scalars.width;
    let u = pixel - v * scalars.width;
    let centre = level(pixel);
    var neighbours_v = NEIGHBOUR_V;
    var neighbours_u = NEIGHBOUR_U;
    var found = vec2u(0u, 0u);
    for (var k = 0; k < NEIGHBOURS; k++) {
        let row = clamp(v + neighbours_v[k], 0, scalars.height - 1);
        let column = clamp(u + neighbours_u[k], 0, scalars.width - 1);
        let brighter = level(row * scalars.width + column) - centre;
        let bits = select(select(0u, 2u, brighter < -DEAD_ZONE), 1u, brighter > DEAD_ZONE);
        found[k >> 4u] |= bits << u32(2 * (k & 15));
    }
    words[2 * pixel] = found.x;
    words[2 * pixel + 1] = found.y;
}

// kernel stereo_costs
@group(0) @binding(0) var<storage, read> left: array<u32>;
@group(0) @binding(1) var<storage, read> right: array<u32>;
@group(0) @binding(2) var<storage, read_write> costs: array<u32>;
struct Scalars { groups: i32, width: i32, height: i32, disparities: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

@compute @workgroup_size(PIXELS)
fn stereo_costs(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let element = group * PIXELS + i32(item);
    let quads = scalars.disparities / 4;
    if (element >= scalars.width * scalars.height * quads) { return; }
    let pixel = element / quads;
    let first = 4 * (element - pixel * quads);
    let u = pixel % scalars.width;
    let low = left[2 * pixel];
    let high = left[2 * pixel + 1];
    var four = 0u;
    for (var k = 0; k < 4; k++) {
        let other = pixel - min(first + k, u);
        let bits = countOneBits(low ^ right[2 * other]) + countOneBits(high ^ right[2 * other + 1]);
        four |= bits << u32(8 * k);
    }
    costs[element] = four;
}

// kernel stereo_path
@group(0) @binding(0) var<storage, read> costs: array<u32>;
@group(0) @binding(1) var<storage, read> gray: array<u32>;
@group(0) @binding(2) var<storage, read> penalties: array<u32>;
@group(0) @binding(3) var<storage, read_write> totals: array<u32>;
struct Scalars {
    groups: i32, width: i32, height: i32, disparities: i32, step_u: i32, step_v: i32,
    small_penalty: i32,
}
@group(0) @binding(4) var<uniform> scalars: Scalars;

var<workgroup> path: array<u32, 2 * LINES * SPAN>;
var<workgroup> lows: array<u32, 2 * LINE_ITEMS>;

fn level(pixel: i32) -> i32 {
    return i32((gray[pixel >> 2u] >> (8u * u32(pixel & 3))) & 255u);
}

fn line_start(line: i32) -> i32 {
    let width = scalars.width;
    let is_level = scalars.step_v == 0;
    let row_lines = select(width, 0, is_level);
    let first_u = select(0, width - 1, scalars.step_u < 0);
    let first_v = select(0, scalars.height - 1, scalars.step_v < 0);
    if (line < row_lines) { return first_v * width + line; }
    let down = line - row_lines + select(1, 0, is_level);
    if (scalars.step_u == 0 || down >= scalars.height) { return -1; }
    return select(down, first_v - down, scalars.step_v < 0) * width + first_u;
}

fn line_length(start: i32) -> i32 {
    if (start < 0) { return 0; }
    let width = scalars.width;
    let height = scalars.height;
    let u = start % width;
    let v = start / width;
    let across = select(select(width - u, u + 1, scalars.step_u < 0), width + height,
                        scalars.step_u == 0);
    let down = select(select(height - v, v + 1, scalars.step_v < 0), width + height,
                      scalars.step_v == 0);
    return min(across, down);
}

@compute @workgroup_size(LINE_ITEMS)
fn stereo_path(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let i = i32(item);
    let line = i / PARTS;
    let quads = scalars.disparities / 4;
    let step = scalars.step_v * scalars.width + scalars.step_u;
    let start = line_start(group * LINES + line);
    let length = line_length(start);
    var longest = 0;
    for (var each = 0; each < LINES; each++) {
        longest = max(longest, line_length(line_start(group * LINES + each)));
    }
    lows[i] = 0u;
    for (var k = i; k < LINES * SPAN; k += LINE_ITEMS) {
        let at = k % SPAN;
        let begin = select(0u, BEYOND, at == 0 || at == scalars.disparities + 1);
        path[k] = begin;
        path[LINES * SPAN + k] = begin;
    }
    workgroupBarrier();
    var level_before = 0;
    for (var walked = 0; walked < longest; walked++) {
        let before = walked & 1;
        let after = 1 - before;
        if (walked < length) {
            let pixel = start + walked * step;
            let level_here = level(pixel);
            if (walked == 0) { level_before = level_here; }
            let low = before * LINE_ITEMS + line * PARTS;
            var least = lows[low];
            for (var part = 1; part < PARTS; part++) { least = min(least, lows[low + part]); }
            let jump = least + penalties[abs(level_here - level_before)];
            var lowest = NEVER;
            for (var quad = i % PARTS; quad < quads; quad += PARTS) {
                let four = costs[pixel * quads + quad];
                let at = (before * LINES + line) * SPAN + 4 * quad;
                let to = (after * LINES + line) * SPAN + 4 * quad + 1;
                var values = vec4u();
                var below = path[at];
                var here = path[at + 1];
                for (var k = 0; k < 4; k++) {
                    let above = path[at + k + 2];
                    let beside = min(below, above) + u32(scalars.small_penalty);
                    let value = min(min(here, jump), beside) - least
                        + ((four >> u32(8 * k)) & 255u);
                    path[to + k] = value;
                    lowest = min(lowest, value);
                    values[k] = value;
                    below = here;
                    here = above;
                }
                let word = 2 * (pixel * quads + quad);
                totals[word] += values.x | (values.y << 16u);
                totals[word + 1] += values.z | (values.w << 16u);
            }
            lows[after * LINE_ITEMS + i] = lowest;
            level_before = level_here;
        }
        workgroupBarrier();
    }
}

// kernel stereo_right
@group(0) @binding(0) var<storage, read> totals: array<u32>;
@group(0) @binding(1) var<storage, read_write> winners: array<i32>;
struct Scalars { groups: i32, width: i32, height: i32, disparities: i32 }
@group(0) @binding(2) var<uniform> scalars: Scalars;

fn total(element: i32) -> u32 {
    return (totals[element >> 1u] >> (16u * u32(element & 1))) & 0xFFFFu;
}

@compute @workgroup_size(PIXELS)
fn stereo_right(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let pixel = group * PIXELS + i32(item);
    if (pixel >= scalars.width * scalars.height) { return; }
    let disparities = scalars.disparities;
    let inside = min(disparities, scalars.width - pixel % scalars.width);
    var best = NEVER;
    for (var d = 0; d < inside; d++) {
        best = min(best, (total((pixel + d) * disparities + d) << 8u) | u32(d));
    }
    winners[pixel] = i32(best & 255u);
}

// kernel stereo_choose
@group(0) @binding(0) var<storage, read> totals: array<u32>;
@group(0) @binding(1) var<storage, read> winners: array<i32>;
@group(0) @binding(2) var<storage, read_write> disparity: array<i32>;
@group(0) @binding(3) var<storage, read_write> worth: array<u32>;
@group(0) @binding(4) var<storage, read_write> difference: array<i32>;
struct Scalars { groups: i32, width: i32, height: i32, disparities: i32 }
@group(0) @binding(5) var<uniform> scalars: Scalars;

fn total(element: i32) -> u32 {
    return (totals[element >> 1u] >> (16u * u32(element & 1))) & 0xFFFFu;
}

@compute @workgroup_size(PIXELS)
fn stereo_choose(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let pixel = group * PIXELS + i32(item);
    if (pixel >= scalars.width * scalars.height) { return; }
    let disparities = scalars.disparities;
    let first = pixel * disparities;
    var best = NEVER;
    for (var d = 0; d < disparities; d++) {
        best = min(best, (total(first + d) << 8u) | u32(d));
    }
    let winner = i32(best & 255u);
    let least = best >> 8u;
    var other = 0xFFFFu;
    for (var d = 0; d < disparities; d++) {
        if (d < winner - 1 || d > winner + 1) { other = min(other, total(first + d)); }
    }
    var fraction = 0;
    if (winner > 0 && winner < disparities - 1) {
        let left = i32(total(first + winner - 1));
        let right = i32(total(first + winner + 1));
        let steepest = max(left, right) - i32(least);
        if (steepest > 0) {
            let size = (abs(left - right) * (STEPS_PER_PX / 2) + steepest / 2) / steepest;
            fraction = select(-size, size, left > right);
        }
    }
    disparity[pixel] = winner * STEPS_PER_PX + fraction;
    worth[pixel] = least | ((other - least) << 16u);
    let u = pixel % scalars.width;
    let seen = pixel - min(winner, u);
    difference[pixel] = select(abs(winners[seen] - winner), disparities, winner > u);
}
