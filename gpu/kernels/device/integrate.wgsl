// Adding a view to the voxels of its blocks, or taking it out again; see integrate.c.

const BLOCK_VOXELS = 512;
const WEIGHT_LIMIT = 65535;
const COLOR_COUNT_LIMIT = 8224;
const DISTANCE_STEPS = 32767.0f;
const NEAREST_M = 0.01f;
const CHANGE_SCALE = 0.12500381f;
const CHANGE_MOST = 134217728u;
const CROSSED = 262144;
const REFUSED = 3;
const PACK_ITEMS = 256;

// kernel pack_pixels
@group(0) @binding(0) var<storage, read> depth: array<u32>;
@group(0) @binding(1) var<storage, read> confidence: array<u32>;
@group(0) @binding(2) var<storage, read_write> pixels: array<u32>;
struct Scalars {
    groups: i32,
    first_pixel: i32, count: i32, is_float: i32, weighted: i32, depth_scale_m: f32, low_m: f32,
    high_m: f32,
}
@group(0) @binding(3) var<uniform> scalars: Scalars;

@compute @workgroup_size(PACK_ITEMS)
fn pack_pixels(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    let quad = group * PACK_ITEMS + i32(item);
    if (group >= scalars.groups || quad >= scalars.count) { return; }
    let low = bitcast<u32>(scalars.low_m);
    let high = bitcast<u32>(scalars.high_m);
    var confidences = 0x01010101u;
    if (scalars.weighted != 0) { confidences = confidence[quad]; }
    for (var k = 0; k < 4; k++) {
        var metres = 0.0f;
        if (scalars.is_float != 0) {
            // A number that is none must not become one on its way.
            let bits = depth[4 * quad + k];
            if (bits <= 0x7F7FFFFFu) { metres = bitcast<f32>(bits); }
        } else {
            metres = f32((depth[2 * quad + (k >> 1u)] >> (16u * u32(k & 1))) & 0xFFFFu);
        }
        let bits = bitcast<u32>(metres * scalars.depth_scale_m);
        let weight = (confidences >> (8u * u32(k))) & 0xFFu;
        let at = 2 * (scalars.first_pixel + 4 * quad + k);
        pixels[at] = select(0u, bits, bits >= low && bits <= high && weight != 0u);
        pixels[at + 1] = weight << 24u;
    }
}

// kernel color_pixels
@group(0) @binding(0) var<storage, read> rgb: array<u32>;
@group(0) @binding(1) var<storage, read_write> pixels: array<u32>;
struct Scalars { groups: i32, first_pixel: i32, count: i32, }
@group(0) @binding(2) var<uniform> scalars: Scalars;

@compute @workgroup_size(PACK_ITEMS)
fn color_pixels(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    let quad = group * PACK_ITEMS + i32(item);
    if (group >= scalars.groups || quad >= scalars.count) { return; }
    let first = rgb[3 * quad];
    let second = rgb[3 * quad + 1];
    let third = rgb[3 * quad + 2];
    let at = 2 * (scalars.first_pixel + 4 * quad) + 1;
    pixels[at] |= first & 0xFFFFFFu;
    pixels[at + 2] |= ((first >> 24u) | (second << 8u)) & 0xFFFFFFu;
    pixels[at + 4] |= ((second >> 16u) | (third << 16u)) & 0xFFFFFFu;
    pixels[at + 6] |= third >> 8u;
}

// kernel integrate_blocks
@group(0) @binding(0) var<storage, read> work: array<i32>;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read_write> sdf_sum: array<i32>;
@group(0) @binding(3) var<storage, read_write> counts: array<u32>;
@group(0) @binding(4) var<storage, read_write> color_low: array<u32>;
@group(0) @binding(5) var<storage, read_write> color_high: array<u32>;
@group(0) @binding(6) var<storage, read_write> change: array<u32>;
@group(0) @binding(7) var<storage, read_write> found: array<atomic<i32>>;
struct Scalars {
    groups: i32,
    first_pixel: i32, width: i32, height: i32, m00: f32, m01: f32, m02: f32, m10: f32, m11: f32,
    m12: f32, m20: f32, m21: f32, m22: f32, t0: f32, t1: f32, t2: f32, truncation_m: f32,
    steps_per_m: f32, min_weight: i32, removing: i32, count: i32,
}
@group(0) @binding(8) var<uniform> scalars: Scalars;

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (bitcast<u32>(scalars.steps_per_m) >> 31u));
}

var<workgroup> moved: array<i32, BLOCK_VOXELS>;
var<workgroup> lines: array<i32, 64>;
var<workgroup> parts: array<i32, 32>;
var<workgroup> refused: atomic<i32>;

// One voxel, `i` of the block whose words begin at `first`, and whose first voxel is at `block`.
fn update(i: i32, first: i32, block: vec3f) {
    let s = scalars;
    let x = f32(i & 7);
    let y = f32((i >> 3u) & 7);
    let z = f32(i >> 6u);
    let voxel_z = block.z + rounded(rounded(s.m20 * x + s.m21 * y) + s.m22 * z);
    let inverse_z = 1.0f / max(voxel_z, NEAREST_M);
    let u = rounded(block.x + rounded(rounded(s.m00 * x + s.m01 * y) + s.m02 * z)) * inverse_z;
    let v = rounded(block.y + rounded(rounded(s.m10 * x + s.m11 * y) + s.m12 * z)) * inverse_z;
    let inside = voxel_z > NEAREST_M && u >= 0.0f && v >= 0.0f && u < f32(s.width)
        && v < f32(s.height);
    moved[i] = 0;
    if (!inside) { return; }
    let pixel = s.first_pixel + i32(v) * s.width + i32(u);
    let depth = bitcast<f32>(pixels[2 * pixel]);
    let distance_m = depth - voxel_z;
    if (!(depth > 0.0f && distance_m >= -s.truncation_m)) { return; }
    let rgbc = pixels[2 * pixel + 1];
    let is_near = distance_m <= s.truncation_m;
    let scaled = max(min(distance_m * s.steps_per_m, DISTANCE_STEPS), -DISTANCE_STEPS);
    let quantised = i32(floor(scaled + 0.5f));

    let word = counts[first + i];
    let sum = sdf_sum[first + i];
    let weight = i32(word & 0xFFFFu);
    let colored = i32(word >> 16u);
    let confidence = i32(rgbc >> 24u);
    let room = WEIGHT_LIMIT - weight;
    let color_full = colored == COLOR_COUNT_LIMIT;
    var change_of_weight = min(confidence, room);
    var colors = is_near && !color_full;
    if (s.removing != 0) {
        let gives = weight != WEIGHT_LIMIT && weight >= confidence;
        change_of_weight = select(0, -confidence, gives);
        colors = colors && colored != 0;
    } else if (confidence > room || (is_near && color_full)) {
        atomicAdd(&refused, 1);
    }

    let before = f32(weight);
    let more = f32(change_of_weight);
    let weights = max(before * (before + more), 1.0f);
    let shift = abs((f32(quantised) * before - f32(sum)) * more) / weights;
    let shift_steps = min(shift * CHANGE_SCALE, 8192.0f);
    let crossed = (weight >= s.min_weight) != (weight + change_of_weight >= s.min_weight);
    moved[i] = i32(shift_steps + 0.5f) + select(0, CROSSED, crossed);

    var color_step = select(0u, 65536u, colors);
    if (s.removing != 0) { color_step = 0u - color_step; }
    counts[first + i] = word + bitcast<u32>(change_of_weight) + color_step;
    sdf_sum[first + i] = sum + change_of_weight * quantised;
    if (!colors) { return; }
    let red_blue = (rgbc & 0xFFu) | ((rgbc & 0xFF0000u) << 5u);
    let green = (rgbc >> 8u) & 0xFFu;
    let low = color_low[first + i];
    let high = color_high[first + i];
    if (s.removing != 0) {
        color_low[first + i] = low - red_blue;
        color_high[first + i] = high - green - select(0u, 2097152u, red_blue > low);
    } else {
        color_low[first + i] = low + red_blue;
        color_high[first + i] = high + green + select(0u, 2097152u, low + red_blue < low);
    }
}

@compute @workgroup_size(256)
fn integrate_blocks(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let s = scalars;
    let slot = work[4 * group];
    let x0 = f32(work[4 * group + 1] * 8);
    let y0 = f32(work[4 * group + 2] * 8);
    let z0 = f32(work[4 * group + 3] * 8);
    let block = vec3f(
        rounded(rounded(s.m00 * x0 + s.m01 * y0) + s.m02 * z0) + s.t0,
        rounded(rounded(s.m10 * x0 + s.m11 * y0) + s.m12 * z0) + s.t1,
        rounded(rounded(s.m20 * x0 + s.m21 * y0) + s.m22 * z0) + s.t2,
    );
    if (item == 0u) { atomicStore(&refused, 0); }
    workgroupBarrier();
    update(i32(item), slot * BLOCK_VOXELS, block);
    update(i32(item) + 256, slot * BLOCK_VOXELS, block);
    workgroupBarrier();
    if (item < 64u) {
        var total = 0;
        for (var k = 0u; k < 8u; k++) { total += moved[8u * item + k]; }
        lines[item] = total;
    }
    workgroupBarrier();
    if (item < 32u) {
        var total = 0;
        for (var k = 0u; k < 8u; k++) {
            let line = 8u * (item & 7u) + k;
            switch item >> 3u {
                case 0u: { total += lines[line]; }
                case 1u: { total += moved[8u * line]; }
                case 2u: { total += moved[64u * (item & 7u) + k]; }
                default: { total += moved[line]; }
            }
        }
        parts[item] = total;
    }
    workgroupBarrier();
    if (item < 4u) {
        var total = 0;
        for (var k = 0u; k < 8u; k++) { total += parts[8u * item + k]; }
        let at = u32(4 * slot) + item;
        change[at] = min(change[at] + u32(total), CHANGE_MOST);
    }
    if (item == 0u) {
        let count = atomicLoad(&refused);
        if (count != 0) { atomicAdd(&found[REFUSED], count); }
    }
}
