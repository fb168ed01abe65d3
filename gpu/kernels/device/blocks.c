// Moving whole blocks of voxels: closing gaps in the pool, and spilling to the host.

#define BLOCK_VOXELS 512

// One group = one of `count` entries: copies the 512 words of block `sources[group]` of `words` to
// block `targets[group]`. Races: no block is both, and each is there once.
KERNEL(64) move_words(IN(int) sources, IN(int) targets, INOUT(uint) words, int count) {
    int group = GROUP();
    if (group >= count) return;
    int source = sources[group] * BLOCK_VOXELS;
    int target = targets[group] * BLOCK_VOXELS;
    FOR_ITEMS(i, BLOCK_VOXELS) { words[target + i] = words[source + i]; }
}

// One group = one of `count` `places` (K,): copies its `size` words of `words` (N, size) to entry
// `group` of `packed` (K, size). Races: none.
KERNEL(64) gather_words(IN(int) places, IN(uint) words, OUT(uint) packed, int size, int count) {
    int group = GROUP();
    if (group >= count) return;
    int source = places[group] * size;
    int target = group * size;
    FOR_ITEMS(i, size) { packed[target + i] = words[source + i]; }
}

// One group = one of `count` `places` (K,): copies `size` words from entry `group` of `packed`
// (K, size) to its words in `words` (N, size). Races: each place is there once.
KERNEL(64) scatter_words(IN(int) places, IN(uint) packed, INOUT(uint) words, int size, int count) {
    int group = GROUP();
    if (group >= count) return;
    int source = group * size;
    int target = places[group] * size;
    FOR_ITEMS(i, size) { words[target + i] = packed[source + i]; }
}

// One group = one of `count` entries of `words` (N, size), from `first`: makes its words zero.
// Races: none.
KERNEL(64) clear_words(INOUT(uint) words, int first, int size, int count) {
    int group = GROUP();
    if (group >= count) return;
    int target = (first + group) * size;
    FOR_ITEMS(i, size) { words[target + i] = 0u; }
}

// One group = one of `count` blocks at `places` (K,): writes to `observed` (K,) whether a view is in
// it. A voxel without observations is zero in its other words than `counts` (N, 512), too. Races:
// all write the same.
KERNEL(64) find_observed(IN(int) places, IN(uint) counts, OUT(uint) observed, int count) {
    LOCAL(uint, any, 1);
    int group = GROUP();
    if (group >= count) return;
    int first = places[group] * BLOCK_VOXELS;
    FOR_ITEMS(i, 1) { any[i] = 0u; }
    BARRIER();
    FOR_ITEMS(i, BLOCK_VOXELS) { if (counts[first + i] != 0u) any[0] = 1u; }
    BARRIER();
    FOR_ITEMS(i, 1) { observed[group] = any[i]; }
}
