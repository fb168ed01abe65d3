// The nearest and the next of other descriptors: see match.c, which says what each kernel does.

const QUERIES = 64;
const TILE = 32;
// Of a descriptor: four words each.
const BIT_QUADS = 2;
const BYTE_QUADS = 8;
const FARTHEST = 0x7FFFFFFFu;

// kernel match_hamming
@group(0) @binding(0) var<storage, read> first: array<u32>;
@group(0) @binding(1) var<storage, read> second: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;
struct Scalars { groups: i32, first_count: i32, second_count: i32, share: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

var<workgroup> tile: array<vec4u, TILE * BIT_QUADS>;

@compute @workgroup_size(QUERIES)
fn match_hamming(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let groups_a_share = (scalars.first_count + QUERIES - 1) / QUERIES;
    let part = group / groups_a_share;
    let query = (group - part * groups_a_share) * QUERIES + i32(item);
    let is_query = query < scalars.first_count;
    let begin = part * scalars.share;
    let end = min(begin + scalars.share, scalars.second_count);
    var low = vec4u();
    var high = vec4u();
    if (is_query) {
        let at = query * BIT_QUADS * 4;
        low = vec4u(first[at], first[at + 1], first[at + 2], first[at + 3]);
        high = vec4u(first[at + 4], first[at + 5], first[at + 6], first[at + 7]);
    }
    var index = 0u;
    var least = FARTHEST;
    var next = FARTHEST;
    for (var start = begin; start < end; start += TILE) {
        let count = min(TILE, end - start);
        for (var i = i32(item); i < count * BIT_QUADS; i += QUERIES) {
            let at = (start * BIT_QUADS + i) * 4;
            tile[i] = vec4u(second[at], second[at + 1], second[at + 2], second[at + 3]);
        }
        workgroupBarrier();
        for (var j = 0; j < count; j++) {
            let ones = countOneBits(low ^ tile[2 * j]) + countOneBits(high ^ tile[2 * j + 1]);
            let bits = ones.x + ones.y + ones.z + ones.w;
            index = select(index, u32(start + j), bits < least);
            next = min(next, max(least, bits));
            least = min(least, bits);
        }
        workgroupBarrier();
    }
    if (is_query) {
        let at = part * 3 * scalars.first_count + query;
        found[at] = index;
        found[at + scalars.first_count] = least;
        found[at + 2 * scalars.first_count] = next;
    }
}

// kernel match_squares
@group(0) @binding(0) var<storage, read> first: array<u32>;
@group(0) @binding(1) var<storage, read> second: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<u32>;
struct Scalars { groups: i32, first_count: i32, second_count: i32, share: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

var<workgroup> tile: array<vec4u, TILE * BYTE_QUADS>;
var<workgroup> squares: array<u32, TILE>;

fn products(a: vec4u, b: vec4u) -> u32 {
    return dot4U8Packed(a.x, b.x) + dot4U8Packed(a.y, b.y)
        + dot4U8Packed(a.z, b.z) + dot4U8Packed(a.w, b.w);
}

@compute @workgroup_size(QUERIES)
fn match_squares(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let groups_a_share = (scalars.first_count + QUERIES - 1) / QUERIES;
    let part = group / groups_a_share;
    let query = (group - part * groups_a_share) * QUERIES + i32(item);
    let is_query = query < scalars.first_count;
    let begin = part * scalars.share;
    let end = min(begin + scalars.share, scalars.second_count);
    var words = array<vec4u, BYTE_QUADS>();
    var square = 0u;
    if (is_query) {
        for (var k = 0; k < BYTE_QUADS; k++) {
            let at = (query * BYTE_QUADS + k) * 4;
            words[k] = vec4u(first[at], first[at + 1], first[at + 2], first[at + 3]);
            square += products(words[k], words[k]);
        }
    }
    var index = 0u;
    var least = FARTHEST;
    var next = FARTHEST;
    for (var start = begin; start < end; start += TILE) {
        let count = min(TILE, end - start);
        for (var i = i32(item); i < count * BYTE_QUADS; i += QUERIES) {
            let at = (start * BYTE_QUADS + i) * 4;
            tile[i] = vec4u(second[at], second[at + 1], second[at + 2], second[at + 3]);
        }
        workgroupBarrier();
        if (i32(item) < count) {
            var sum = 0u;
            for (var k = 0; k < BYTE_QUADS; k++) {
                let bytes = tile[i32(item) * BYTE_QUADS + k];
                sum += products(bytes, bytes);
            }
            squares[item] = sum;
        }
        workgroupBarrier();
        for (var j = 0; j < count; j++) {
            var product = 0u;
            for (var k = 0; k < BYTE_QUADS; k++) {
                product += products(words[k], tile[j * BYTE_QUADS + k]);
            }
            let distance = square + squares[j] - 2u * product;
            index = select(index, u32(start + j), distance < least);
            next = min(next, max(least, distance));
            least = min(least, distance);
        }
        workgroupBarrier();
    }
    if (is_query) {
        let at = part * 3 * scalars.first_count + query;
        found[at] = index;
        found[at + scalars.first_count] = least;
        found[at + 2 * scalars.first_count] = next;
    }
}

// kernel match_merge
@group(0) @binding(0) var<storage, read_write> found: array<u32>;
struct Scalars { groups: i32, first_count: i32, shares: i32 }
@group(0) @binding(1) var<uniform> scalars: Scalars;

@compute @workgroup_size(QUERIES)
fn match_merge(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups) { return; }
    let query = group * QUERIES + i32(item);
    if (query >= scalars.first_count) { return; }
    var index = found[query];
    var least = found[scalars.first_count + query];
    var next = found[2 * scalars.first_count + query];
    for (var part = 1; part < scalars.shares; part++) {
        let at = part * 3 * scalars.first_count + query;
        let distance = found[at + scalars.first_count];
        index = select(index, found[at], distance < least);
        next = min(min(next, found[at + 2 * scalars.first_count]), max(least, distance));
        least = min(least, distance);
    }
    found[query] = index;
    found[scalars.first_count + query] = least;
    found[2 * scalars.first_count + query] = next;
}
