// As in hash.h.
fn first_bucket(block: vec3i, bucket_mask: i32) -> u32 {
    let at = bitcast<vec3u>(block);
    var hash = at.x * 73856093u ^ at.y * 19349663u ^ at.z * 83492791u;
    hash = (hash ^ (hash >> 16u)) * 0x7feb352du;
    hash = (hash ^ (hash >> 15u)) * 0x846ca68bu;
    return (hash ^ (hash >> 16u)) & u32(bucket_mask);
}
