// Rendering the pool; see raycast.c.

const BLOCK_VOXELS = 512;
const TILE_PX = 8;
const NEAREST_M = 0.05f;
const DISTANCE_STEPS = 32767.0f;
const INVALID = 65535.0f;
const FARTHEST = 3.0e38f;

// use hash

fn corner_of(corner: i32) -> vec3i {
    return vec3i(corner & 1, (corner >> 1u) & 1, corner >> 2u);
}

// Depth along one axis until a ray leaves the block around a point.
fn to_exit(p: f32, r: f32) -> f32 {
    let low = i32(floor(p)) & ~7;
    if (r > 1e-9f) { return (f32(low + 8) - p) / r; }
    if (r < -1e-9f) { return (f32(low) - p) / r; }
    return FARTHEST;
}

// kernel tile_ranges
@group(0) @binding(0) var<storage, read> coords: array<i32>;
@group(0) @binding(1) var<storage, read_write> ranges: array<atomic<u32>>;
struct Scalars {
    groups: i32, rows: i32, columns: i32, base_x: i32, base_y: i32, base_z: i32, ux: f32, uy: f32,
    uz: f32, u1: f32, vx: f32, vy: f32, vz: f32, v1: f32, zx: f32, zy: f32, zz: f32, z1: f32,
    count: i32,
}
@group(0) @binding(2) var<uniform> scalars: Scalars;

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (bitcast<u32>(scalars.rows) >> 31u));
}

// A row of a matrix times a point, in the order written.
fn times(x: f32, y: f32, z: f32, one: f32, point: vec3f) -> f32 {
    return rounded(rounded(x * point.x + y * point.y) + z * point.z) + one;
}

@compute @workgroup_size(64)
fn tile_ranges(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let block = vec3i(coords[3 * group], coords[3 * group + 1], coords[3 * group + 2]);
    let first = block - vec3i(scalars.base_x, scalars.base_y, scalars.base_z);
    var near = FARTHEST;
    var far = -FARTHEST;
    var u_low = FARTHEST;
    var u_high = -FARTHEST;
    var v_low = FARTHEST;
    var v_high = -FARTHEST;
    for (var corner = 0; corner < 8; corner++) {
        let p = vec3f(8 * (first + vec3i(corner & 1, (corner >> 1u) & 1, corner >> 2u)));
        let depth = times(scalars.zx, scalars.zy, scalars.zz, scalars.z1, p);
        let inverse = 1.0f / max(depth, 1e-6f);
        let u = times(scalars.ux, scalars.uy, scalars.uz, scalars.u1, p) * inverse;
        let v = times(scalars.vx, scalars.vy, scalars.vz, scalars.v1, p) * inverse;
        near = min(near, depth);
        far = max(far, depth);
        u_low = min(u_low, u);
        u_high = max(u_high, u);
        v_low = min(v_low, v);
        v_high = max(v_high, v);
    }
    if (far <= NEAREST_M) { return; }
    var first_column = 0;
    var last_column = scalars.columns - 1;
    var first_row = 0;
    var last_row = scalars.rows - 1;
    if (near > NEAREST_M) {
        let columns_px = scalars.columns * TILE_PX;
        let rows_px = scalars.rows * TILE_PX;
        if (u_high < 0.0f || v_high < 0.0f) { return; }
        if (u_low >= f32(columns_px) || v_low >= f32(rows_px)) { return; }
        first_column = i32(max(u_low, 0.0f)) / TILE_PX;
        first_row = i32(max(v_low, 0.0f)) / TILE_PX;
        last_column = i32(min(u_high, f32(columns_px - 1))) / TILE_PX;
        last_row = i32(min(v_high, f32(rows_px - 1))) / TILE_PX;
    }
    let near_word = 0xFFFFFFFFu - bitcast<u32>(max(near, NEAREST_M));
    let far_word = bitcast<u32>(far);
    let width = last_column - first_column + 1;
    for (var i = i32(item); i < width * (last_row - first_row + 1); i += 64) {
        let tile = (first_row + i / width) * scalars.columns + first_column + i % width;
        atomicMax(&ranges[2 * tile], near_word);
        atomicMax(&ranges[2 * tile + 1], far_word);
    }
}

// kernel cast_rays
@group(0) @binding(0) var<storage, read> buckets: array<i32>;
@group(0) @binding(1) var<storage, read> coords: array<i32>;
@group(0) @binding(2) var<storage, read> sdf_sum: array<i32>;
@group(0) @binding(3) var<storage, read> counts: array<u32>;
@group(0) @binding(4) var<storage, read> color_low: array<u32>;
@group(0) @binding(5) var<storage, read> color_high: array<u32>;
@group(0) @binding(6) var<storage, read> ranges: array<u32>;
@group(0) @binding(7) var<storage, read_write> image: array<u32>;
struct Scalars {
    groups: i32, bucket_mask: i32, width: i32, height: i32, base_x: i32, base_y: i32, base_z: i32,
    ox: f32, oy: f32, oz: f32, rx: f32, ry: f32, rz: f32, ux: f32, uy: f32, uz: f32, vx: f32,
    vy: f32, vz: f32, truncation_vox: f32, min_weight: i32,
}
@group(0) @binding(8) var<uniform> scalars: Scalars;

// use find_block

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (bitcast<u32>(scalars.bucket_mask) >> 31u));
}

// 1 / √x of a square, by Newton's method: a device's own root need not be exact.
fn inverse_root(x: f32) -> f32 {
    var root = bitcast<f32>(0x5F375A86u - (bitcast<u32>(x) >> 1u));
    let half_x = rounded(0.5f * x);
    for (var i = 0; i < 3; i++) {
        root = rounded(root * (1.5f - half_x * rounded(root * root)));
    }
    return root;
}

fn inverse_length(v: vec3f) -> f32 {
    return inverse_root(rounded(v.x * v.x + v.y * v.y) + v.z * v.z);
}

var<private> last_block: vec3i;
var<private> last_slot: i32;

fn block_of(voxel: vec3i) -> vec3i {
    return (voxel >> vec3u(3u)) + vec3i(scalars.base_x, scalars.base_y, scalars.base_z);
}

fn slot_at(voxel: vec3i) -> i32 {
    let block = block_of(voxel);
    if (any(block != last_block)) {
        last_block = block;
        last_slot = find_block(block);
    }
    return last_slot;
}

fn word_of(slot: i32, voxel: vec3i) -> i32 {
    let within = voxel & vec3i(7);
    return slot * BLOCK_VOXELS + within.z * 64 + within.y * 8 + within.x;
}

// The word of a corner of a cell, or -1 where no block is. `slot` is the cell's own.
fn corner_voxel(slot: i32, cell: vec3i, corner: i32) -> i32 {
    let voxel = cell + corner_of(corner);
    var owner = slot;
    if (any((voxel >> vec3u(3u)) != (cell >> vec3u(3u)))) { owner = find_block(block_of(voxel)); }
    if (owner < 0) { return -1; }
    return word_of(owner, voxel);
}

// Distance at a point in steps, or INVALID.
fn distance_at(point: vec3f) -> f32 {
    let cell = vec3i(floor(point));
    let slot = slot_at(cell);
    if (slot < 0) { return INVALID; }
    var means: array<f32, 8>;
    for (var corner = 0; corner < 8; corner++) {
        let voxel = corner_voxel(slot, cell, corner);
        if (voxel < 0) { return INVALID; }
        let weight = i32(counts[voxel] & 0xFFFFu);
        if (weight < scalars.min_weight) { return INVALID; }
        means[corner] = f32(sdf_sum[voxel]) / f32(weight);
    }
    let f = point - vec3f(cell);
    let v00 = rounded(means[0] + f.x * (means[1] - means[0]));
    let v10 = rounded(means[2] + f.x * (means[3] - means[2]));
    let v01 = rounded(means[4] + f.x * (means[5] - means[4]));
    let v11 = rounded(means[6] + f.x * (means[7] - means[6]));
    let near = rounded(v00 + f.y * (v10 - v00));
    let far = rounded(v01 + f.y * (v11 - v01));
    return near + f.z * (far - near);
}

// Depth at which a ray, in voxels per metre of depth, first goes from outside to inside, or 0.
fn march(origin: vec3f, ray: vec3f, near: f32, far: f32) -> f32 {
    let voxel_step = inverse_length(ray);
    let distance_step = rounded(scalars.truncation_vox / DISTANCE_STEPS * voxel_step);
    let near_surface = 2.0f * DISTANCE_STEPS / scalars.truncation_vox;
    var depth = near;
    var last_depth = near;
    var last = INVALID;
    while (depth < far) {
        let point = origin + ray * depth;
        let cell = vec3i(floor(point));
        let slot = slot_at(cell);
        if (slot < 0) {
            let leave_yz = min(to_exit(point.y, ray.y), to_exit(point.z, ray.z));
            let leave = min(to_exit(point.x, ray.x), leave_yz);
            let next_depth = rounded(depth + rounded(max(leave, 0.0f) + 0.01f * voxel_step));
            if (!(next_depth > depth)) { return 0.0f; }  // so far away that the step is rounded off
            last = INVALID;
            depth = next_depth;
            continue;
        }
        // One voxel tells whether the surface is far; eight are read only near it.
        let voxel = word_of(slot, cell);
        let weight = i32(counts[voxel] & 0xFFFFu);
        var distance = INVALID;
        if (weight >= scalars.min_weight) {
            distance = f32(sdf_sum[voxel]) / f32(weight);
            if (abs(distance) < near_surface) { distance = distance_at(point); }
        }
        if (distance <= 0.0f && last > 0.0f && last <= DISTANCE_STEPS) {
            for (var i = 0; i < 3; i++) {
                let crossing = last_depth + (depth - last_depth) * last / (last - distance);
                let middle = distance_at(origin + ray * crossing);
                if (middle > DISTANCE_STEPS) { break; }
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
        var step_m = voxel_step;
        if (distance > 0.0f && distance <= DISTANCE_STEPS) {
            step_m = max(distance * distance_step, 0.75f * voxel_step);
        }
        let next_depth = rounded(depth + step_m);
        if (!(next_depth > depth)) { return 0.0f; }
        depth = next_depth;
    }
    return 0.0f;
}

// Colour of the corners of a point's cell, trilinear over those with one: r | g << 8 | b << 16. In
// integers: a cell has 256 steps along each axis, so that the shares of its corners sum to 2²⁴.
fn color_at(point: vec3f) -> u32 {
    let cell = vec3i(floor(point));
    let slot = slot_at(cell);
    if (slot < 0) { return 0u; }
    let fraction = vec3u((point - vec3f(cell)) * 256.0f);
    var sums = vec3u(0u);
    var total = 0u;
    for (var corner = 0; corner < 8; corner++) {
        let voxel = corner_voxel(slot, cell, corner);
        if (voxel < 0) { continue; }
        let count = counts[voxel] >> 16u;
        if (count == 0u) { continue; }
        let shares = select(vec3u(256u) - fraction, fraction, corner_of(corner) != vec3i(0));
        let share = shares.x * shares.y * shares.z;
        let low = color_low[voxel];
        let high = color_high[voxel];
        let blue = (low >> 21u) | ((high >> 21u) << 11u);
        let color = vec3u(low & 0x1FFFFFu, high & 0x1FFFFFu, blue);
        sums += share * ((color + vec3u(count / 2u)) / vec3u(count));
        total += share;
    }
    if (total == 0u) { return 0u; }
    let rgb = (sums + vec3u(total / 2u)) / vec3u(total);
    return rgb.x | (rgb.y << 8u) | (rgb.z << 16u);
}

// Difference along an axis over ±1 voxel, doubled on one side where the other is missing; the
// distance is 0 at the point itself.
fn slope_along(point: vec3f, axis: vec3f) -> f32 {
    let ahead = distance_at(point + axis);
    let behind = distance_at(point - axis);
    let is_seen = ahead <= DISTANCE_STEPS;
    if (behind <= DISTANCE_STEPS) { return select(-2.0f * behind, ahead - behind, is_seen); }
    return select(0.0f, 2.0f * ahead, is_seen);
}

@compute @workgroup_size(64)
fn cast_rays(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let columns = (scalars.width + TILE_PX - 1) / TILE_PX;
    let column = group % columns * TILE_PX + i32(item) % TILE_PX;
    let row = group / columns * TILE_PX + i32(item) / TILE_PX;
    if (column >= scalars.width || row >= scalars.height) { return; }
    last_block = vec3i(0x7FFFFFFF, 0, 0);
    last_slot = -1;

    let origin = vec3f(scalars.ox, scalars.oy, scalars.oz);
    let u = f32(column);
    let v = f32(row);
    let ray = vec3f(
        rounded(scalars.ux * u + scalars.vx * v) + scalars.rx,
        rounded(scalars.uy * u + scalars.vy * v) + scalars.ry,
        rounded(scalars.uz * u + scalars.vz * v) + scalars.rz,
    );
    var depth = 0.0f;
    if (ranges[2 * group + 1] != 0u) {
        let near = bitcast<f32>(0xFFFFFFFFu - ranges[2 * group]);
        let far = bitcast<f32>(ranges[2 * group + 1]);
        depth = march(origin, ray, near, far);
    }
    var color = 0u;
    var normal = vec3f(0.0f);
    if (depth > 0.0f) {
        let point = origin + ray * depth;
        color = color_at(point);
        normal.x = slope_along(point, vec3f(1.0f, 0.0f, 0.0f));
        normal.y = slope_along(point, vec3f(0.0f, 1.0f, 0.0f));
        normal.z = slope_along(point, vec3f(0.0f, 0.0f, 1.0f));
        if (all(normal == vec3f(0.0f))) { normal = -ray; }
        normal = normal * inverse_length(normal);
    }
    let pixel = row * scalars.width + column;
    let pixels = scalars.width * scalars.height;
    image[pixel] = color;
    image[pixels + pixel] = bitcast<u32>(depth);
    image[2 * pixels + 3 * pixel] = bitcast<u32>(normal.x);
    image[2 * pixels + 3 * pixel + 1] = bitcast<u32>(normal.y);
    image[2 * pixels + 3 * pixel + 2] = bitcast<u32>(normal.z);
}
