// Where blocks are found: `buckets` holds slots, or -1, under a hash of the blocks' coordinates,
// with linear probing. Its size is a power of two and at least twice the blocks': there is always a
// gap.

DEVICE uint first_bucket(int x, int y, int z, int bucket_mask) {
    uint hash = (uint)x * 73856093u ^ (uint)y * 19349663u ^ (uint)z * 83492791u;
    hash = (hash ^ (hash >> 16)) * 0x7feb352du;
    hash = (hash ^ (hash >> 15)) * 0x846ca68bu;
    return (hash ^ (hash >> 16)) & (uint)bucket_mask;
}

// The slot of block (x, y, z), or -1. `coords` (N, 3) by slot.
DEVICE int find_block(
    IN(int) buckets, IN(int) coords, int bucket_mask,
    int x, int y, int z
) {
    uint bucket = first_bucket(x, y, z, bucket_mask);
    int slot = buckets[bucket];
    while (slot >= 0) {
        if (coords[3 * slot] == x && coords[3 * slot + 1] == y && coords[3 * slot + 2] == z) break;
        bucket = (bucket + 1) & (uint)bucket_mask;
        slot = buckets[bucket];
    }
    return slot;
}
