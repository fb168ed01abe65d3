// Of kernels with `buckets`, `coords` and the scalar `bucket_mask`: bindings cannot be handed over.

fn block_at(place: i32) -> vec3i {
    return vec3i(coords[3 * place], coords[3 * place + 1], coords[3 * place + 2]);
}

// The place of a block, or -1; as in hash.h.
fn find_block(block: vec3i) -> i32 {
    var bucket = first_bucket(block, scalars.bucket_mask);
    var place = buckets[bucket];
    while (place >= 0) {
        if (all(block_at(place) == block)) { break; }
        bucket = (bucket + 1u) & u32(scalars.bucket_mask);
        place = buckets[bucket];
    }
    return place;
}
