// Moving whole blocks of voxels; see blocks.c.

const BLOCK_VOXELS = 512;

// kernel move_words
@group(0) @binding(0) var<storage, read> sources: array<i32>;
@group(0) @binding(1) var<storage, read> targets: array<i32>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;
struct Scalars { groups: i32, count: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

@compute @workgroup_size(64)
fn move_words(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let from_word = sources[group] * BLOCK_VOXELS;
    let to_word = targets[group] * BLOCK_VOXELS;
    for (var i = i32(item); i < BLOCK_VOXELS; i += 64) {
        words[to_word + i] = words[from_word + i];
    }
}

// kernel gather_words
@group(0) @binding(0) var<storage, read> places: array<i32>;
@group(0) @binding(1) var<storage, read> words: array<u32>;
@group(0) @binding(2) var<storage, read_write> packed: array<u32>;
struct Scalars { groups: i32, size: i32, count: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

@compute @workgroup_size(64)
fn gather_words(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let from_word = places[group] * scalars.size;
    let to_word = group * scalars.size;
    for (var i = i32(item); i < scalars.size; i += 64) { packed[to_word + i] = words[from_word + i]; }
}

// kernel scatter_words
@group(0) @binding(0) var<storage, read> places: array<i32>;
@group(0) @binding(1) var<storage, read> packed: array<u32>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;
struct Scalars { groups: i32, size: i32, count: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

@compute @workgroup_size(64)
fn scatter_words(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let from_word = group * scalars.size;
    let to_word = places[group] * scalars.size;
    for (var i = i32(item); i < scalars.size; i += 64) { words[to_word + i] = packed[from_word + i]; }
}

// kernel clear_words
@group(0) @binding(0) var<storage, read_write> words: array<u32>;
struct Scalars { groups: i32, first: i32, size: i32, count: i32 }
@group(0) @binding(1) var<uniform> scalars: Scalars;

@compute @workgroup_size(64)
fn clear_words(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let to_word = (scalars.first + group) * scalars.size;
    for (var i = i32(item); i < scalars.size; i += 64) { words[to_word + i] = 0u; }
}

// kernel find_observed
@group(0) @binding(0) var<storage, read> places: array<i32>;
@group(0) @binding(1) var<storage, read> counts: array<u32>;
@group(0) @binding(2) var<storage, read_write> observed: array<u32>;
struct Scalars { groups: i32, count: i32 }
@group(0) @binding(3) var<uniform> scalars: Scalars;

var<workgroup> any_counts: atomic<u32>;

@compute @workgroup_size(64)
fn find_observed(
    @builtin(workgroup_id) id: vec3u,
    @builtin(local_invocation_index) item: u32,
    @builtin(num_workgroups) n: vec3u,
) {
    let group = i32(id.x + id.y * n.x);
    if (group >= scalars.groups || group >= scalars.count) { return; }
    let first = places[group] * BLOCK_VOXELS;
    if (item == 0u) { atomicStore(&any_counts, 0u); }
    workgroupBarrier();
    var any_of_item = 0u;
    for (var i = i32(item); i < BLOCK_VOXELS; i += 64) { any_of_item |= counts[first + i]; }
    if (any_of_item != 0u) { atomicOr(&any_counts, 1u); }
    workgroupBarrier();
    if (item == 0u) { observed[group] = atomicLoad(&any_counts); }
}
