// Marching cubes over the pool's blocks; see mesh.c.

const BLOCK_VOXELS = 512;
const CHANGE_MOST = 134217728u;
const PENDING_FULL = 2147483648u;
const ROWS = 100;
const EDGE_ROWS = 270;
const SECTIONS = 30;
const SECTION_ROWS = 9;
const MOST_EDGES = 1944;
const SCAN_ITEMS = 256;
const NO_COLOR = 128u;

// use hash

// Bit x of the corners of a cell between four rows, as a case.
fn cell_case(s0: u32, s1: u32, s2: u32, s3: u32, x: u32) -> u32 {
    return ((s0 >> x) & 3u) | (((s1 >> x) & 3u) << 2u) | (((s2 >> x) & 3u) << 4u)
        | (((s3 >> x) & 3u) << 6u);
}

// Two words mixed into one, by the rounds of xxHash32.
fn mixed(first: u32, second: u32, seed: u32) -> u32 {
    var hash = first * 0x85EBCA77u + seed;
    hash = ((hash << 13u) | (hash >> 19u)) * 0x9E3779B1u + second * 0xC2B2AE3Du;
    hash = ((hash << 17u) | (hash >> 15u)) * 0x27D4EB2Fu;
    hash = (hash ^ (hash >> 15u)) * 0x85EBCA77u;
    hash = (hash ^ (hash >> 13u)) * 0xC2B2AE3Du;
    return hash ^ (hash >> 16u);
}

// kernel spread_change
@group(0) @binding(0) var<storage, read> touched: array<i32>;
@group(0) @binding(1) var<storage, read> buckets: array<i32>;
@group(0) @binding(2) var<storage, read> coords: array<i32>;
@group(0) @binding(3) var<storage, read_write> change: array<u32>;
@group(0) @binding(4) var<storage, read_write> pending: array<atomic<u32>>;
@group(0) @binding(5) var<storage, read_write> stale: array<u32>;
struct Scalars { groups: i32, bucket_mask: i32, count: i32 }
@group(0) @binding(6) var<uniform> scalars: Scalars;

// use find_block

@compute @workgroup_size(64)
fn spread_change(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let index = group * 64 + i32(item);
    if (index >= scalars.count) { return; }
    let slot = touched[index];
    let block = block_at(slot);
    for (var corner = 0u; corner < 8u; corner++) {
        var reader = slot;
        var least = change[4 * slot];
        if (corner != 0u) {
            reader = find_block(block - vec3i((vec3u(corner) >> vec3u(0u, 1u, 2u)) & vec3u(1u)));
            least = CHANGE_MOST;
        }
        if (reader < 0) { continue; }
        for (var axis = 0u; axis < 3u; axis++) {
            let face = change[4 * slot + 1 + i32(axis)];
            if (((corner >> axis) & 1u) != 0u) { least = min(least, face); }
        }
        least = min(least, CHANGE_MOST);
        if (atomicLoad(&pending[reader]) < PENDING_FULL) { atomicAdd(&pending[reader], least); }
        stale[reader] = 1u;
    }
    for (var part = 0; part < 4; part++) { change[4 * slot + part] = 0u; }
}

// kernel take_dirty
@group(0) @binding(0) var<storage, read_write> pending: array<u32>;
@group(0) @binding(1) var<storage, read_write> stale: array<u32>;
@group(0) @binding(2) var<storage, read_write> dirty: array<u32>;
struct Scalars { groups: i32, threshold: u32, any: i32, count: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

@compute @workgroup_size(64)
fn take_dirty(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let first = (group * 64 + i32(item)) * 32;
    if (first >= scalars.count) { return; }
    var bits = 0u;
    for (var bit = 0; bit < 32 && first + bit < scalars.count; bit++) {
        let slot = first + bit;
        let is_above = pending[slot] > scalars.threshold;
        let is_dirty = select(is_above, stale[slot] != 0u, scalars.any != 0);
        if (!is_dirty) { continue; }
        bits |= 1u << u32(bit);
        pending[slot] = 0u;
        stale[slot] = 0u;
    }
    dirty[first >> 5u] = bits;
}

// kernel find_upper
@group(0) @binding(0) var<storage, read> blocks: array<i32>;
@group(0) @binding(1) var<storage, read> buckets: array<i32>;
@group(0) @binding(2) var<storage, read> coords: array<i32>;
@group(0) @binding(3) var<storage, read_write> upper: array<i32>;
struct Scalars { groups: i32, bucket_mask: i32, count: i32 }
@group(0) @binding(4) var<uniform> scalars: Scalars;

// use find_block

@compute @workgroup_size(64)
fn find_upper(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let index = group * 8 + i32(item >> 3u);
    if (index >= scalars.count) { return; }
    let corner = item & 7u;
    var slot = blocks[index];
    if (corner != 0u) {
        slot = find_block(block_at(slot) + vec3i((vec3u(corner) >> vec3u(0u, 1u, 2u)) & vec3u(1u)));
    }
    upper[8 * index + i32(corner)] = slot;
}

// kernel count_surface
@group(0) @binding(0) var<storage, read> upper: array<i32>;
@group(0) @binding(1) var<storage, read> sdf_sum: array<i32>;
@group(0) @binding(2) var<storage, read> counts: array<u32>;
@group(0) @binding(3) var<storage, read> cases: array<u32>;
@group(0) @binding(4) var<storage, read_write> rows: array<u32>;
@group(0) @binding(5) var<storage, read_write> edges: array<u32>;
@group(0) @binding(6) var<storage, read_write> summary: array<u32>;
struct Scalars { groups: i32, min_weight: i32, count: i32 }
@group(0) @binding(7) var<uniform> scalars: Scalars;

var<workgroup> inside: array<u32, 128>;
var<workgroup> valid: array<u32, 128>;
var<workgroup> cells: array<u32, 128>;
var<workgroup> row_triangles: array<u32, 64>;
var<workgroup> slab_triangles: array<u32, 8>;
var<workgroup> all_triangles: u32;
var<workgroup> crossed_edges: array<u32, EDGE_ROWS>;
var<workgroup> section_edges: array<u32, SECTIONS>;

@compute @workgroup_size(128)
fn count_surface(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let i = i32(item);
    {
        let z = i / 10;
        let y = i - 10 * z;
        var inside_bits = 0u;
        var valid_bits = 0u;
        if (z < 9 && y < 9) {
            let corner = ((y >> 3u) << 1u) | ((z >> 3u) << 2u);
            let base = (z & 7) * 64 + (y & 7) * 8;
            var source = upper[8 * group + corner] * BLOCK_VOXELS + base;
            if (source >= 0) {
                for (var x = 0; x < 8; x++) {
                    let is_valid = i32(counts[source + x] & 0xFFFFu) >= scalars.min_weight;
                    inside_bits |= (bitcast<u32>(sdf_sum[source + x]) >> 31u) << u32(x);
                    valid_bits |= u32(is_valid) << u32(x);
                }
            }
            source = upper[8 * group + corner + 1] * BLOCK_VOXELS + base;
            if (source >= 0) {
                let is_valid = i32(counts[source] & 0xFFFFu) >= scalars.min_weight;
                inside_bits |= (bitcast<u32>(sdf_sum[source]) >> 31u) << 8u;
                valid_bits |= u32(is_valid) << 8u;
            }
        }
        cells[i] = 0u;
        inside[i] = inside_bits;
        valid[i] = valid_bits;
    }
    workgroupBarrier();

    // Cell rows lie one further in z and y, so that there are empty ones around them.
    if (i < 64) {
        let row = (i >> 3u) * 10 + (i & 7);
        let s0 = inside[row];
        let s1 = inside[row + 1];
        let s2 = inside[row + 10];
        let s3 = inside[row + 11];
        let usable = valid[row] & valid[row + 1] & valid[row + 10] & valid[row + 11];
        let some = s0 | s1 | s2 | s3;
        let every = s0 & s1 & s2 & s3;
        var crossed =
            usable & (usable >> 1u) & (some | (some >> 1u)) & ~(every & (every >> 1u)) & 255u;
        cells[row + 11] = crossed;
        var triangles = 0u;
        while (crossed != 0u) {
            triangles += cases[16u * cell_case(s0, s1, s2, s3, firstTrailingBit(crossed))];
            crossed &= crossed - 1u;
        }
        row_triangles[i] = triangles;
    }
    workgroupBarrier();
    if (i < 8) {
        var triangles = 0u;
        for (var y = 0; y < 8; y++) { triangles += row_triangles[8 * i + y]; }
        slab_triangles[i] = triangles;
    }
    workgroupBarrier();
    if (i == 0) {
        var triangles = 0u;
        for (var z = 0; z < 8; z++) { triangles += slab_triangles[z]; }
        all_triangles = triangles;
    }
    let total = workgroupUniformLoad(&all_triangles);
    if (total == 0u) {
        if (i < 4) { summary[4 * group + i] = 0u; }
        return;
    }

    if (i < ROWS) {
        let z = i / 10;
        let y = i - 10 * z;
        var before = 0u;
        var crossed = 0u;
        if (z < 8 && y < 8) {
            for (var j = 0; j < z; j++) { before += slab_triangles[j]; }
            for (var j = 0; j < y; j++) { before += row_triangles[8 * z + j]; }
            crossed = cells[i + 11];
        }
        rows[ROWS * group + i] = inside[i] | (crossed << 9u) | (before << 17u);
    }
    for (var edge_row = i; edge_row < EDGE_ROWS; edge_row += 128) {
        let axis = edge_row / 90;
        let row = edge_row - 90 * axis;
        var around = 0u;
        var differs = 0u;
        if (row < 89) {
            let here = cells[row + 11];
            let left = cells[row + 10];
            let below = cells[row + 1];
            if (axis == 0) {
                around = here | left | below | cells[row];
                differs = inside[row] ^ (inside[row] >> 1u);
            } else {
                around = here | select(left, below, axis == 1);
                around |= around << 1u;
                differs = inside[row] ^ inside[row + select(10, 1, axis == 1)];
            }
        }
        crossed_edges[edge_row] = around & differs;
    }
    workgroupBarrier();
    if (i < SECTIONS) {
        var crossed = 0u;
        for (var j = 0; j < SECTION_ROWS; j++) {
            crossed += countOneBits(crossed_edges[SECTION_ROWS * i + j]);
        }
        section_edges[i] = crossed;
    }
    workgroupBarrier();
    if (i < SECTIONS) {
        var before = 0u;
        for (var j = 0; j < i; j++) { before += section_edges[j]; }
        for (var j = 0; j < SECTION_ROWS; j++) {
            let crossed = crossed_edges[SECTION_ROWS * i + j];
            edges[EDGE_ROWS * group + SECTION_ROWS * i + j] = crossed | (before << 16u);
            before += countOneBits(crossed);
        }
        if (i == SECTIONS - 1) {
            summary[4 * group] = before;
            summary[4 * group + 1] = total;
        }
    }
}

// kernel scan_surface
@group(0) @binding(0) var<storage, read> summary: array<u32>;
@group(0) @binding(1) var<storage, read_write> starts: array<u32>;
struct Scalars { groups: i32, count: i32 }
@group(0) @binding(2) var<uniform> scalars: Scalars;

var<workgroup> sums: array<vec2u, SCAN_ITEMS>;

@compute @workgroup_size(SCAN_ITEMS)
fn scan_surface(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group > 0) { return; }
    let chunk = scalars.count / SCAN_ITEMS + 1;
    let first = chunk * i32(item);
    var sum = vec2u(0u);
    for (var k = first; k < first + chunk && k < scalars.count; k++) {
        sum += vec2u(summary[4 * k], summary[4 * k + 1]);
    }
    sums[item] = sum;
    workgroupBarrier();
    sum = vec2u(0u);
    for (var j = 0u; j < item; j++) { sum += sums[j]; }
    for (var k = first; k < first + chunk && k <= scalars.count; k++) {
        starts[2 * k] = sum.x;
        starts[2 * k + 1] = sum.y;
        if (k < scalars.count) { sum += vec2u(summary[4 * k], summary[4 * k + 1]); }
    }
}

// kernel write_vertices
@group(0) @binding(0) var<storage, read> upper: array<i32>;
@group(0) @binding(1) var<storage, read> edges: array<u32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> sdf_sum: array<i32>;
@group(0) @binding(4) var<storage, read> counts: array<u32>;
@group(0) @binding(5) var<storage, read> color_low: array<u32>;
@group(0) @binding(6) var<storage, read> color_high: array<u32>;
@group(0) @binding(7) var<storage, read_write> vertices: array<u32>;
struct Scalars { groups: i32, room: i32, count: i32 }
@group(0) @binding(8) var<uniform> scalars: Scalars;

var<workgroup> codes: array<u32, MOST_EDGES>;

// The word of a lattice point of the block's, whose coordinates are 0 to 8.
fn voxel_at(group: i32, point: vec3i) -> i32 {
    let over = point >> vec3u(3u);
    let within = point & vec3i(7);
    let slot = upper[8 * group + (over.x | (over.y << 1u) | (over.z << 2u))];
    return slot * BLOCK_VOXELS + within.z * 64 + within.y * 8 + within.x;
}

// The same number, behind a bit that is 0, which no compiler can know: sums and products are not
// rearranged across, as lavapipe does otherwise. It also compiles again for the values of scalars
// that decide conditions: the bit is the sign of something that decides none alone.
fn rounded(x: f32) -> f32 {
    return bitcast<f32>(bitcast<u32>(x) | (starts[0] >> 31u));
}

// A colour between two voxels' sums, as a byte.
fn mixed_channel(sum0: u32, weight0: f32, sum1: u32, weight1: f32) -> u32 {
    return u32(rounded(f32(sum0) * weight0 + f32(sum1) * weight1) + 0.5f) & 255u;
}

@compute @workgroup_size(128)
fn write_vertices(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let start = i32(starts[2 * group]);
    let found = i32(starts[2 * group + 2]) - start;
    if (found == 0 || start + found > scalars.room) { return; }

    for (var i = i32(item); i < EDGE_ROWS; i += 128) {
        let word = edges[EDGE_ROWS * group + i];
        var crossed = word & 511u;
        var at = word >> 16u;
        while (crossed != 0u) {
            codes[at] = u32(i) * 10u + firstTrailingBit(crossed);
            at += 1u;
            crossed &= crossed - 1u;
        }
    }
    workgroupBarrier();

    for (var i = i32(item); i < found; i += 128) {
        let edge_row = i32(codes[i]) / 10;
        let axis = edge_row / 90;
        let row = edge_row - 90 * axis;
        let point = vec3i(i32(codes[i]) - 10 * edge_row, row - 10 * (row / 10), row / 10);
        let along = vec3i(i32(axis == 0), i32(axis == 1), i32(axis == 2));
        let voxel0 = voxel_at(group, point);
        let voxel1 = voxel_at(group, point + along);

        // t = d0 / (d0 - d1) of the means d = sum / weight, with one division.
        let word0 = counts[voxel0];
        let word1 = counts[voxel1];
        let d0 = f32(sdf_sum[voxel0]) * f32(word1 & 0xFFFFu);
        let d1 = f32(sdf_sum[voxel1]) * f32(word0 & 0xFFFFu);
        let t = d0 / (d0 - d1);
        let steps = clamp(i32(t * 31.0f + 0.5f), 1, 30);

        let n0 = f32(word0 >> 16u);
        let n1 = f32(word1 >> 16u);
        var share0 = select(1.0f - t, 1.0f, n1 == 0.0f);
        share0 = select(share0, 0.0f, n0 == 0.0f);
        let w0 = share0 / max(n0, 1.0f);
        let w1 = (1.0f - share0) / max(n1, 1.0f);
        let low0 = color_low[voxel0];
        let low1 = color_low[voxel1];
        let high0 = color_high[voxel0];
        let high1 = color_high[voxel1];
        let blue0 = (low0 >> 21u) | ((high0 >> 21u) << 11u);
        let blue1 = (low1 >> 21u) | ((high1 >> 21u) << 11u);
        var color = vec3u(
            mixed_channel(low0 & 0x1FFFFFu, w0, low1 & 0x1FFFFFu, w1),
            mixed_channel(high0 & 0x1FFFFFu, w0, high1 & 0x1FFFFFu, w1),
            mixed_channel(blue0, w0, blue1, w1),
        );
        if (n0 + n1 == 0.0f) { color = vec3u(NO_COLOR); }

        let code = u32(axis * 900 + row * 9 + point.x);
        let place = vec3u(point * 31 + steps * along);
        let at = 3 * (start + i);
        vertices[at] = place.x | (place.y << 8u) | (place.z << 16u) | (code << 24u);
        vertices[at + 1] = color.x | (color.y << 8u) | (color.z << 16u) | ((code >> 8u) << 24u);
        vertices[at + 2] = bitcast<u32>(t);
    }
}

// kernel write_triangles
@group(0) @binding(0) var<storage, read> rows: array<u32>;
@group(0) @binding(1) var<storage, read> edges: array<u32>;
@group(0) @binding(2) var<storage, read> starts: array<u32>;
@group(0) @binding(3) var<storage, read> cases: array<u32>;
@group(0) @binding(4) var<storage, read> vertices: array<u32>;
@group(0) @binding(5) var<storage, read_write> triangles: array<u32>;
@group(0) @binding(6) var<storage, read_write> summary: array<u32>;
struct Scalars { groups: i32, vertex_room: i32, room: i32, count: i32 }
@group(0) @binding(7) var<uniform> scalars: Scalars;

var<workgroup> sums: array<atomic<u32>, 2>;

@compute @workgroup_size(64)
fn write_triangles(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let first_vertex = i32(starts[2 * group]);
    let last_vertex = i32(starts[2 * group + 2]);
    let first = i32(starts[2 * group + 1]);
    let last = i32(starts[2 * group + 3]);
    if (first == last || last > scalars.room || last_vertex > scalars.vertex_room) { return; }
    if (item < 2u) { atomicStore(&sums[item], 0u); }
    workgroupBarrier();

    var sum0 = 0u;
    var sum1 = 0u;
    let row = (item >> 3u) * 10u + (item & 7u);
    let here = u32(ROWS * group) + row;
    let word = rows[here];
    let s0 = word & 511u;
    let s1 = rows[here + 1u] & 511u;
    let s2 = rows[here + 10u] & 511u;
    let s3 = rows[here + 11u] & 511u;
    var crossed = (word >> 9u) & 255u;
    var at = 2 * (first + i32(word >> 17u));
    while (crossed != 0u) {
        let x = firstTrailingBit(crossed);
        crossed &= crossed - 1u;
        let shape = cell_case(s0, s1, s2, s3, x);
        sum0 += mixed(shape, x | (row << 3u), 3u);
        sum1 += mixed(shape, x | (row << 3u), 4u);
        let corners = 3u * cases[16u * shape];
        var before = 0u;
        for (var corner = 0u; corner < corners; corner++) {
            let edge = cases[16u * shape + 1u + corner];
            let edge_word = edges[u32(EDGE_ROWS * group) + row + (edge >> 1u)];
            let lower = (1u << (x + (edge & 1u))) - 1u;
            let vertex = (edge_word >> 16u) + countOneBits(edge_word & 511u & lower);
            let place = corner % 3u;
            if (place == 0u) { before = vertex; }
            if (place == 1u) { triangles[at] = before | (vertex << 16u); }
            if (place == 2u) {
                triangles[at + 1] = vertex;
                at += 2;
            }
        }
    }
    for (var vertex = first_vertex + i32(item); vertex < last_vertex; vertex += 64) {
        sum0 += mixed(vertices[3 * vertex], vertices[3 * vertex + 1], 1u);
        sum1 += mixed(vertices[3 * vertex], vertices[3 * vertex + 1], 2u);
    }
    atomicAdd(&sums[0], sum0);
    atomicAdd(&sums[1], sum1);
    workgroupBarrier();
    if (item == 0u) {
        summary[4 * group + 2] = atomicLoad(&sums[0]) | 1u;
        summary[4 * group + 3] = atomicLoad(&sums[1]);
    }
}

// kernel pack_surface
@group(0) @binding(0) var<storage, read> entries: array<i32>;
@group(0) @binding(1) var<storage, read> vertices: array<u32>;
@group(0) @binding(2) var<storage, read> triangles: array<u32>;
@group(0) @binding(3) var<storage, read_write> packed: array<u32>;
struct Scalars { groups: i32, colors_at: i32, triangles_at: i32, count: i32 }
@group(0) @binding(4) var<uniform> scalars: Scalars;

@compute @workgroup_size(64)
fn pack_surface(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    var source_start = entries[4 * group];
    var start = entries[4 * group + 2];
    var next_start = entries[4 * group + 4];
    var end = entries[4 * group + 6];
    var total = entries[4 * scalars.count + 2];
    var first_word = (3 * start + 3) / 4;
    for (var i = first_word + i32(item); i < (3 * end + 3) / 4; i += 64) {
        var places = 0u;
        var colors = 0u;
        for (var part = 0; part < 4; part++) {
            let vertex = (4 * i + part) / 3;
            if (vertex >= total) { continue; }
            let shift = 8u * u32(4 * i + part - 3 * vertex);
            let here = source_start + vertex - start;
            let source = select(next_start + vertex - end, here, vertex < end);
            places |= ((vertices[3 * source] >> shift) & 255u) << u32(8 * part);
            colors |= ((vertices[3 * source + 1] >> shift) & 255u) << u32(8 * part);
        }
        packed[i] = places;
        packed[scalars.colors_at + i] = colors;
    }

    source_start = entries[4 * group + 1];
    start = entries[4 * group + 3];
    next_start = entries[4 * group + 5];
    end = entries[4 * group + 7];
    total = entries[4 * scalars.count + 3];
    first_word = (3 * start + 1) / 2;
    for (var i = first_word + i32(item); i < (3 * end + 1) / 2; i += 64) {
        var corners = 0u;
        for (var part = 0; part < 2; part++) {
            let triangle = (2 * i + part) / 3;
            if (triangle >= total) { continue; }
            let corner = 2 * i + part - 3 * triangle;
            let here = source_start + triangle - start;
            let source = select(next_start + triangle - end, here, triangle < end);
            let value = triangles[2 * source + (corner >> 1u)];
            corners |= (select(value, value >> 16u, corner == 1) & 0xFFFFu) << u32(16 * part);
        }
        packed[scalars.triangles_at + i] = corners;
    }
}
