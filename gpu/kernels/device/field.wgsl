// The distance field at points of a view; see field.c.

const BLOCK_VOXELS = 512;
const DISTANCE_STEPS = 32767.0f;
const UNKNOWN = 2.0f;

// use hash

// kernel sample_field
@group(0) @binding(0) var<storage, read> points: array<f32>;
@group(0) @binding(1) var<storage, read> buckets: array<i32>;
@group(0) @binding(2) var<storage, read> coords: array<i32>;
@group(0) @binding(3) var<storage, read> sdf_sum: array<i32>;
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read_write> field: array<f32>;
struct Scalars {
    groups: i32, bucket_mask: i32, base_x: i32, base_y: i32, base_z: i32, xx: f32, xy: f32, xz: f32,
    x1: f32, yx: f32, yy: f32, yz: f32, y1: f32, zx: f32, zy: f32, zz: f32, z1: f32,
    min_weight: i32, count: i32,
}
@group(0) @binding(6) var<uniform> scalars: Scalars;

// use find_block

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (bitcast<u32>(scalars.bucket_mask) >> 31u));
}

// A row of a matrix times a point, in the order written.
fn times(x: f32, y: f32, z: f32, one: f32, point: vec3f) -> f32 {
    return rounded(rounded(x * point.x + y * point.y) + z * point.z) + one;
}

@compute @workgroup_size(64)
fn sample_field(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let index = 64 * group + i32(item);
    if (index >= scalars.count) { return; }
    let p = vec3f(points[3 * index], points[3 * index + 1], points[3 * index + 2]);
    let place = vec3f(
        times(scalars.xx, scalars.xy, scalars.xz, scalars.x1, p),
        times(scalars.yx, scalars.yy, scalars.yz, scalars.y1, p),
        times(scalars.zx, scalars.zy, scalars.zz, scalars.z1, p),
    );
    let cell = vec3i(floor(place));
    let f = place - vec3f(cell);

    var means: array<f32, 8>;
    var slot = -1;
    var last = vec3i(0);
    var is_known = true;
    for (var corner = 0; corner < 8 && is_known; corner++) {
        let voxel = cell + vec3i(corner & 1, (corner >> 1u) & 1, corner >> 2u);
        let block = voxel >> vec3u(3u);
        if (slot < 0 || any(block != last)) {
            last = block;
            slot = find_block(block + vec3i(scalars.base_x, scalars.base_y, scalars.base_z));
        }
        var weight = 0;
        var mean = 0.0f;
        if (slot >= 0) {
            let within = voxel & vec3i(7);
            let word = slot * BLOCK_VOXELS + within.z * 64 + within.y * 8 + within.x;
            weight = i32(counts[word] & 0xFFFFu);
            mean = f32(sdf_sum[word]) / f32(max(weight, 1));
        }
        is_known = weight > 0 && weight >= scalars.min_weight;
        means[corner] = mean;
    }
    if (!is_known) {
        field[4 * index] = UNKNOWN;
        for (var axis = 1; axis < 4; axis++) { field[4 * index + axis] = 0.0f; }
        return;
    }
    // Differences along x at the cell's four edges (y, z), values on them, then along y and z.
    let e00 = rounded(means[1] - means[0]);
    let e10 = rounded(means[3] - means[2]);
    let e01 = rounded(means[5] - means[4]);
    let e11 = rounded(means[7] - means[6]);
    let v00 = rounded(means[0] + f.x * e00);
    let v10 = rounded(means[2] + f.x * e10);
    let v01 = rounded(means[4] + f.x * e01);
    let v11 = rounded(means[6] + f.x * e11);
    let near_y = rounded(v10 - v00);
    let far_y = rounded(v11 - v01);
    let near = rounded(v00 + f.y * near_y);
    let far = rounded(v01 + f.y * far_y);
    let near_x = rounded(e00 + f.y * (e10 - e00));
    let far_x = rounded(e01 + f.y * (e11 - e01));
    field[4 * index] = (near + f.z * (far - near)) / DISTANCE_STEPS;
    field[4 * index + 1] = (near_x + f.z * (far_x - near_x)) / DISTANCE_STEPS;
    field[4 * index + 2] = (near_y + f.z * (far_y - near_y)) / DISTANCE_STEPS;
    field[4 * index + 3] = (far - near) / DISTANCE_STEPS;
}
