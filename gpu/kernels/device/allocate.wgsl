// Which blocks a depth image touches, and their places in the pool; see allocate.c.

const TOUCH_ITEMS = 64;
const LISTED = 0;
const UNIQUE = 1;
const TOUCHED = 2;
const COUNTERS = 4;

// use hash

// kernel touch_blocks
@group(0) @binding(0) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read> buckets: array<i32>;
@group(0) @binding(2) var<storage, read> coords: array<i32>;
@group(0) @binding(3) var<storage, read_write> stamps: array<atomic<i32>>;
@group(0) @binding(4) var<storage, read_write> touched: array<i32>;
@group(0) @binding(5) var<storage, read_write> listed: array<i32>;
@group(0) @binding(6) var<storage, read_write> found: array<atomic<i32>>;
struct Scalars {
    groups: i32,
    first_pixel: i32, width: i32, columns: i32, rays: i32, stride: i32, steps: i32, first_m: f32,
    step_m: f32, centre_u: f32, centre_v: f32, inverse_focal_u: f32, inverse_focal_v: f32, m00: f32,
    m01: f32, m02: f32, m10: f32, m11: f32, m12: f32, m20: f32, m21: f32, m22: f32, t0: f32,
    t1: f32, t2: f32, x0: i32, y0: i32, z0: i32, bucket_mask: i32, stamp: i32,
}
@group(0) @binding(7) var<uniform> scalars: Scalars;

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (bitcast<u32>(scalars.inverse_focal_u) >> 31u));
}

// use find_block

fn note(block: vec3i) {
    let place = find_block(block);
    if (place < 0) {
        let at = 3 * atomicAdd(&found[LISTED], 1);
        listed[at] = block.x;
        listed[at + 1] = block.y;
        listed[at + 2] = block.z;
        return;
    }
    if (atomicLoad(&stamps[place]) == scalars.stamp) { return; }
    if (atomicMax(&stamps[place], scalars.stamp) == scalars.stamp) { return; }
    touched[atomicAdd(&found[TOUCHED], 1)] = place;
}

@compute @workgroup_size(TOUCH_ITEMS)
fn touch_blocks(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    let ray = group * TOUCH_ITEMS + i32(item);
    if (group >= scalars.groups || ray >= scalars.rays) { return; }
    let s = scalars;
    let u = (ray % s.columns) * s.stride;
    let v = (ray / s.columns) * s.stride;
    let ray_depth = bitcast<f32>(pixels[2 * (s.first_pixel + v * s.width + u)]);
    if (!(ray_depth > 0.0f)) { return; }
    let ray_u = (f32(u) - s.centre_u) * s.inverse_focal_u;
    let ray_v = (f32(v) - s.centre_v) * s.inverse_focal_v;
    let ray_x = s.m00 * ray_u + rounded(s.m01 * ray_v + s.m02);
    let ray_y = s.m10 * ray_u + rounded(s.m11 * ray_v + s.m12);
    let ray_z = s.m20 * ray_u + rounded(s.m21 * ray_v + s.m22);
    var last = vec3i();
    for (var k = 0; k < s.steps; k++) {
        let depth = ray_depth + rounded(s.first_m + s.step_m * f32(k));
        let x = i32(floor(ray_x * depth + s.t0)) + s.x0;
        let y = i32(floor(ray_y * depth + s.t1)) + s.y0;
        let z = i32(floor(ray_z * depth + s.t2)) + s.z0;
        let block = vec3i(x, y, z);
        if (k > 0 && all(block == last)) { continue; }
        last = block;
        note(block);
    }
}

// kernel claim_blocks
@group(0) @binding(0) var<storage, read> listed: array<i32>;
@group(0) @binding(1) var<storage, read_write> claims: array<atomic<i32>>;
@group(0) @binding(2) var<storage, read_write> found: array<atomic<i32>>;
struct Scalars { groups: i32, claim_mask: i32, shares: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

fn block_at(index: i32) -> vec3i {
    return vec3i(listed[3 * index], listed[3 * index + 1], listed[3 * index + 2]);
}

// Whether no other of the equal ones is there before.
fn claim(index: i32, block: vec3i) -> bool {
    var bucket = first_bucket(block, scalars.claim_mask);
    loop {
        let before = atomicCompareExchangeWeak(&claims[bucket], -1, index);
        if (before.exchanged) { return true; }
        if (before.old_value < 0) { continue; }
        if (all(block_at(before.old_value) == block)) { return false; }
        bucket = (bucket + 1u) & u32(scalars.claim_mask);
    }
    return false;
}

@compute @workgroup_size(64)
fn claim_blocks(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let count = atomicLoad(&found[LISTED]);
    for (var index = group * 64 + i32(item); index < count; index += scalars.shares * 64) {
        let block = block_at(index);
        if (!claim(index, block)) { continue; }
        let at = COUNTERS + 3 * atomicAdd(&found[UNIQUE], 1);
        atomicStore(&found[at], block.x);
        atomicStore(&found[at + 1], block.y);
        atomicStore(&found[at + 2], block.z);
    }
}

// kernel insert_blocks
@group(0) @binding(0) var<storage, read> coords: array<i32>;
@group(0) @binding(1) var<storage, read_write> buckets: array<atomic<i32>>;
struct Scalars { groups: i32, bucket_mask: i32, first: i32, count: i32 }
@group(0) @binding(2) var<uniform> scalars: Scalars;

@compute @workgroup_size(64)
fn insert_blocks(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    let index = group * 64 + i32(item);
    if (group >= scalars.groups || index >= scalars.count) { return; }
    let place = scalars.first + index;
    let block = vec3i(coords[3 * place], coords[3 * place + 1], coords[3 * place + 2]);
    var bucket = first_bucket(block, scalars.bucket_mask);
    loop {
        let before = atomicCompareExchangeWeak(&buckets[bucket], -1, place);
        if (before.exchanged) { break; }
        if (before.old_value >= 0) { bucket = (bucket + 1u) & u32(scalars.bucket_mask); }
    }
}
