// Smoothing depth where it is of one surface, and counting how much each pixel's tells; see depth.c.

const TILE_WIDTH = 64;
const TILE_HEIGHT = 4;
const WINDOW = 5;
const REACH_PX = 2;
const HALO_WIDTH = 68;
const HALO_HEIGHT = 8;
const HALO_PIXELS = 544;
const GATE_SIGMAS = 5.0f;
const GATE_MOST = 0.5f;
const LEAST_AGREEING = 8;
const STEEPEST = 5.671282f;
const LEAST_COS2 = 0.030153690f;
const MOST = 4;
const PER_VARIANCE = 70433.33f;

// kernel smooth_depth
@group(0) @binding(0) var<storage, read> depth: array<u32>;
@group(0) @binding(1) var<storage, read> confidence: array<u32>;
@group(0) @binding(2) var<storage, read_write> filtered: array<f32>;
struct Scalars {
    groups: i32,
    width: i32, height: i32, across: i32, is_float: i32, weighted: i32, depth_scale_m: f32,
    low_m: f32, high_m: f32,
}
@group(0) @binding(3) var<uniform> scalars: Scalars;

var<workgroup> halo: array<f32, HALO_PIXELS>;

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (bitcast<u32>(scalars.depth_scale_m) >> 31u));
}

// The standard deviation of the sensor's depth (Nguyen et al. 2012, eq. 3).
fn sigma_of(depth_m: f32) -> f32 {
    let beyond_m = rounded(depth_m - 0.4f);
    return rounded(0.0012f + 0.0019f * rounded(beyond_m * beyond_m));
}

// How far from a depth others may be.
fn gate_of(depth_m: f32) -> f32 {
    return rounded(min(GATE_SIGMAS * sigma_of(depth_m), GATE_MOST * depth_m));
}

// Metres at a place of the image; 0: no depth, or outside.
fn metres_at(row: i32, column: i32) -> f32 {
    let is_inside = row >= 0 && column >= 0 && row < scalars.height && column < scalars.width;
    if (!is_inside) { return 0.0f; }
    let at = row * scalars.width + column;
    if (scalars.weighted != 0) {
        if (((confidence[at >> 2u] >> (8u * u32(at & 3))) & 0xFFu) == 0u) { return 0.0f; }
    }
    var metres = 0.0f;
    if (scalars.is_float != 0) {
        // A number that is none must not become one on its way.
        let bits = depth[at];
        if (bits <= 0x7F7FFFFFu) { metres = bitcast<f32>(bits); }
    } else {
        metres = f32((depth[at >> 1u] >> (16u * u32(at & 1))) & 0xFFFFu);
    }
    metres = metres * scalars.depth_scale_m;
    let bits = bitcast<u32>(metres);
    let counts = bits >= bitcast<u32>(scalars.low_m) && bits <= bitcast<u32>(scalars.high_m);
    return select(0.0f, metres, counts);
}

@compute @workgroup_size(TILE_WIDTH)
fn smooth_depth(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let first_row = group / scalars.across * TILE_HEIGHT;
    let first_column = group % scalars.across * TILE_WIDTH;
    for (var y = 0; y < HALO_HEIGHT; y++) {
        for (var x = i32(item); x < HALO_WIDTH; x += TILE_WIDTH) {
            let metres = metres_at(first_row + y - REACH_PX, first_column + x - REACH_PX);
            halo[y * HALO_WIDTH + x] = metres;
        }
    }
    workgroupBarrier();
    let column = i32(item);
    if (first_column + column >= scalars.width) { return; }
    var spatial = array<f32, WINDOW>(1.0f, 4.0f, 6.0f, 4.0f, 1.0f);
    for (var row = 0; row < TILE_HEIGHT && first_row + row < scalars.height; row++) {
        let depth_m = halo[(row + REACH_PX) * HALO_WIDTH + column + REACH_PX];
        // No depth agrees with none either.
        var gate = 1.0f;
        if (depth_m > 0.0f) { gate = gate_of(depth_m); }
        let inverse_gate = rounded(1.0f / gate);
        var weights = 0.0f;
        var shifts = 0.0f;
        var agreeing = 0;
        for (var y = 0; y < WINDOW; y++) {
            for (var x = 0; x < WINDOW; x++) {
                let off_m = rounded(halo[(row + y) * HALO_WIDTH + column + x] - depth_m);
                let ratio = rounded(off_m * inverse_gate);
                let rest = rounded(max(1.0f - rounded(ratio * ratio), 0.0f));
                let weight = rounded(rounded(rest * rest) * (spatial[y] * spatial[x]));
                weights = rounded(weights + weight);
                shifts = rounded(shifts + rounded(weight * off_m));
                agreeing += select(0, 1, rest > 0.0f);
            }
        }
        let shift_m = rounded(shifts / max(weights, 1.0f));
        let counts = depth_m > 0.0f && agreeing >= LEAST_AGREEING;
        let at = (first_row + row) * scalars.width + first_column + column;
        filtered[at] = select(0.0f, depth_m + shift_m, counts);
    }
}

// kernel weigh_pixels
@group(0) @binding(0) var<storage, read> filtered: array<f32>;
@group(0) @binding(1) var<storage, read_write> pixels: array<u32>;
struct Scalars {
    groups: i32,
    first_pixel: i32, width: i32, height: i32, across: i32, fx: f32, fy: f32, inverse_fx: f32,
    inverse_fy: f32, cx: f32, cy: f32,
}
@group(0) @binding(2) var<uniform> scalars: Scalars;

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (bitcast<u32>(scalars.inverse_fx) >> 31u));
}

// The standard deviation of the sensor's depth (Nguyen et al. 2012, eq. 3).
fn sigma_of(depth_m: f32) -> f32 {
    let beyond_m = rounded(depth_m - 0.4f);
    return rounded(0.0012f + 0.0019f * rounded(beyond_m * beyond_m));
}

// How far from a depth others may be.
fn gate_of(depth_m: f32) -> f32 {
    return rounded(min(GATE_SIGMAS * sigma_of(depth_m), GATE_MOST * depth_m));
}

// A depth beside a pixel's, 0 outside the image.
fn depth_beside(at: i32, step: i32, is_inside: bool) -> f32 {
    if (!is_inside) { return 0.0f; }
    return filtered[at + step];
}

// Whether a neighbour is on the surface of a pixel.
fn is_near(beside_m: f32, depth_m: f32, reach_m: f32) -> bool {
    return beside_m > 0.0f && abs(beside_m - depth_m) <= reach_m;
}

// The slope of a pixel's depth along an axis, from neighbours on its surface, both or one.
fn slope(before_m: f32, depth_m: f32, after_m: f32, has_before: bool, has_after: bool) -> f32 {
    let low_m = select(depth_m, before_m, has_before);
    let high_m = select(depth_m, after_m, has_after);
    return rounded((high_m - low_m) * select(1.0f, 0.5f, has_before && has_after));
}

// As in depth.c.
fn observations(depth_m: f32, x: f32, y: f32, a: f32, b: f32) -> u32 {
    let along = rounded(rounded(depth_m + rounded(a * x)) + rounded(b * y));
    let normal2 = rounded(rounded(rounded(a * a) + rounded(b * b)) + rounded(along * along));
    let ray2 = rounded(rounded(rounded(x * x) + rounded(y * y)) + 1.0f);
    let depth2 = rounded(depth_m * depth_m);
    let lengths2 = rounded(normal2 * ray2);
    let sigma = sigma_of(depth_m);
    let unit = rounded(rounded(sigma * sigma) * PER_VARIANCE);
    var count = 1u;
    for (var more = 2; more <= MOST; more++) {
        let bound = rounded((f32(more) - 0.5f) * unit);
        count += select(0u, 1u, depth2 >= rounded(rounded(bound * bound) * lengths2));
    }
    return select(0u, count, depth2 >= rounded(LEAST_COS2 * lengths2));
}

@compute @workgroup_size(TILE_WIDTH)
fn weigh_pixels(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    let first_row = group / scalars.across * TILE_HEIGHT;
    let column = group % scalars.across * TILE_WIDTH + i32(item);
    if (group >= scalars.groups || column >= scalars.width) { return; }
    for (var row = first_row; row < first_row + TILE_HEIGHT && row < scalars.height; row++) {
        let at = row * scalars.width + column;
        let depth_m = filtered[at];
        let left_m = depth_beside(at, -1, column > 0);
        let right_m = depth_beside(at, 1, column + 1 < scalars.width);
        let up_m = depth_beside(at, -scalars.width, row > 0);
        let down_m = depth_beside(at, scalars.width, row + 1 < scalars.height);
        let gate_m = gate_of(depth_m);
        let steep_m = rounded(STEEPEST * depth_m);
        let reach_u = rounded(gate_m + rounded(steep_m * scalars.inverse_fx));
        let reach_v = rounded(gate_m + rounded(steep_m * scalars.inverse_fy));
        let has_left = is_near(left_m, depth_m, reach_u);
        let has_right = is_near(right_m, depth_m, reach_u);
        let has_up = is_near(up_m, depth_m, reach_v);
        let has_down = is_near(down_m, depth_m, reach_v);
        let a = rounded(slope(left_m, depth_m, right_m, has_left, has_right) * scalars.fx);
        let b = rounded(slope(up_m, depth_m, down_m, has_up, has_down) * scalars.fy);
        let x = rounded(rounded(f32(column) - scalars.cx) * scalars.inverse_fx);
        let y = rounded(rounded(f32(row) - scalars.cy) * scalars.inverse_fy);
        var count = 0u;
        if ((has_left || has_right) && (has_up || has_down)) {
            count = observations(depth_m, x, y, a, b);
        }
        let word = 2 * (scalars.first_pixel + at);
        let rgbc = pixels[word + 1];
        let weight = min((rgbc >> 24u) * count, 255u);
        pixels[word + 1] = (rgbc & 0xFFFFFFu) | (weight << 24u);
        if (weight == 0u) { pixels[word] = 0u; }
    }
}
