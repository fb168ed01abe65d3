// Marching cubes over the pool's blocks, as gpu/kernels/marching_cubes.py: equal vertices and equal
// triangles in the same order.
//
// A block's lattice rows (z, y), 9 points along x, are bits of one word; rows are numbered z · 10 +
// y and edges by their axis, the row of their lower end, and x. Kernels of one call share
//   upper (K, 8)      slots of a block and its neighbours at +bit 0, 1, 2 along x, y, z; -1: none
//   rows (K, 100)     inside, 9 bits | crossed cells, 8 << 9 | triangles of rows before, 12 << 17
//   edges (K, 3, 90)  crossed edges, 9 bits | vertices of rows before << 16
//   summary (K, 4)    vertices, triangles, and two sums that tell the content, 0 where it is empty
//   starts (K + 1, 2) vertices and triangles of blocks before
//   vertices (V, 3)   x | y << 8 | z << 16 in 1/31 voxel | edge << 24, r | g << 8 | b << 16 |
//                     the edge's upper bits << 24, and the place on the edge as a float's bits
//   triangles (T, 2)  corner 0 | corner 1 << 16, corner 2
//   cases (256, 16)   triangles of a case of inside corners, and the edges of their corners:
//                     (axis · 90 + row) · 2 + x, relative to the cell's

#define BLOCK_VOXELS 512
#define CHANGE_MOST 134217728u
#define PENDING_FULL 2147483648u
#define ROWS 100
#define EDGE_ROWS 270
#define SECTIONS 30
#define SECTION_ROWS 9
#define MOST_EDGES 1944
#define SCAN_ITEMS 256
#define NO_COLOR 128

// One item = one of `count` blocks `touched`, which is there once: its `change` (N, 4) is added to
// `pending` (N,) of those whose cells read the voxels that changed: its own, and those below it,
// the least over the faces between them. Marks them in `stale` (N,), and leaves zero. Races: sums
// are atomic; all write the same to `stale`. What is full takes no more: far above any threshold.
KERNEL(64) spread_change(
    IN(int) touched, IN(int) buckets, IN(int) coords, INOUT(uint) change, INOUT(uint) pending,
    INOUT(uint) stale, int bucket_mask, int count
) {
    int group = GROUP();
    FOR_ITEMS(i, 64) {
        int index = group * 64 + i;
        if (index >= count) continue;
        int slot = touched[index];
        uint whole = change[4 * slot];
        for (int corner = 0; corner < 8; corner++) {
            int x = coords[3 * slot] - (corner & 1);
            int y = coords[3 * slot + 1] - ((corner >> 1) & 1);
            int z = coords[3 * slot + 2] - (corner >> 2);
            int target = corner == 0 ? slot : find_block(buckets, coords, bucket_mask, x, y, z);
            if (target < 0) continue;
            uint least = corner == 0 ? whole : CHANGE_MOST;
            for (int axis = 0; axis < 3; axis++) {
                uint face = change[4 * slot + 1 + axis];
                if (((corner >> axis) & 1) != 0 && face < least) least = face;
            }
            if (least > CHANGE_MOST) least = CHANGE_MOST;
            uint before = ATOMIC_ADD(&pending[target], 0u);
            if (before < PENDING_FULL) ATOMIC_ADD(&pending[target], least);
            stale[target] = 1u;
        }
        for (int part = 0; part < 4; part++) change[4 * slot + part] = 0u;
    }
}

// One item = 32 of `count` blocks, a bit each in `dirty` (count / 32,): whether its `pending` is
// above `threshold`, or, where that is to be `any`, it is `stale`. Those are clean then. Races:
// none.
KERNEL(64) take_dirty(
    INOUT(uint) pending, INOUT(uint) stale, OUT(uint) dirty, uint threshold, int any, int count
) {
    int group = GROUP();
    FOR_ITEMS(i, 64) {
        int first = (group * 64 + i) * 32;
        if (first >= count) continue;
        uint bits = 0u;
        for (int bit = 0; bit < 32 && first + bit < count; bit++) {
            int slot = first + bit;
            if (any != 0 ? stale[slot] == 0u : pending[slot] <= threshold) continue;
            bits |= 1u << bit;
            pending[slot] = 0u;
            stale[slot] = 0u;
        }
        dirty[first >> 5] = bits;
    }
}

// One item = a neighbour of one of `count` blocks: writes `upper` (count, 8). Races: none.
KERNEL(64) find_upper(
    IN(int) blocks, IN(int) buckets, IN(int) coords, OUT(int) upper, int bucket_mask, int count
) {
    int group = GROUP();
    FOR_ITEMS(i, 64) {
        int index = group * 8 + (i >> 3);
        if (index >= count) continue;
        int slot = blocks[index];
        int x = coords[3 * slot] + (i & 1);
        int y = coords[3 * slot + 1] + ((i >> 1) & 1);
        int z = coords[3 * slot + 2] + ((i >> 2) & 1);
        int is_other = i & 7;
        upper[8 * index + is_other] =
            is_other != 0 ? find_block(buckets, coords, bucket_mask, x, y, z) : slot;
    }
}

// Bit x of the corners of a cell between four rows, as a case.
DEVICE uint cell_case(uint s0, uint s1, uint s2, uint s3, uint x) {
    return ((s0 >> x) & 3u) | (((s1 >> x) & 3u) << 2) | (((s2 >> x) & 3u) << 4)
        | (((s3 >> x) & 3u) << 6);
}

// One group = one of `count` blocks: finds the cells and edges that the surface crosses where all 8
// corners have at least `min_weight`. Writes `rows`, and `edges` if there are triangles, and how
// many vertices and triangles there are to `summary`. Races: none.
KERNEL(128) count_surface(
    IN(int) upper, IN(int) sdf_sum, IN(uint) counts, IN(uint) cases, OUT(uint) rows,
    OUT(uint) edges, OUT(uint) summary, int min_weight, int count
) {
    LOCAL(uint, inside, 128);
    LOCAL(uint, valid, 128);
    LOCAL(uint, cells, 128);
    LOCAL(uint, row_triangles, 64);
    LOCAL(uint, slab_triangles, 8);
    LOCAL(uint, crossed_edges, EDGE_ROWS);
    LOCAL(uint, section_edges, SECTIONS);
    int group = GROUP();
    if (group >= count) return;

    FOR_ITEMS(i, 128) {
        cells[i] = 0u;
        int z = i / 10, y = i - 10 * z;
        uint inside_bits = 0u, valid_bits = 0u;
        if (z < 9 && y < 9) {
            int corner = ((y >> 3) << 1) | ((z >> 3) << 2);
            int base = (z & 7) * 64 + (y & 7) * 8;
            int source = upper[8 * group + corner] * BLOCK_VOXELS + base;
            if (source >= 0) {
                for (int x = 0; x < 8; x++) {
                    inside_bits |= ((uint)sdf_sum[source + x] >> 31) << x;
                    int weight = (int)(counts[source + x] & 0xFFFFu);
                    valid_bits |= (weight >= min_weight ? 1u : 0u) << x;
                }
            }
            source = upper[8 * group + corner + 1] * BLOCK_VOXELS + base;
            if (source >= 0) {
                inside_bits |= ((uint)sdf_sum[source] >> 31) << 8;
                valid_bits |= ((int)(counts[source] & 0xFFFFu) >= min_weight ? 1u : 0u) << 8;
            }
        }
        inside[i] = inside_bits;
        valid[i] = valid_bits;
    }
    BARRIER();

    // Cell rows lie one further in z and y, so that there are empty ones around them.
    FOR_ITEMS(i, 64) {
        int row = (i >> 3) * 10 + (i & 7);
        uint s0 = inside[row], s1 = inside[row + 1], s2 = inside[row + 10], s3 = inside[row + 11];
        uint usable = valid[row] & valid[row + 1] & valid[row + 10] & valid[row + 11];
        uint some = s0 | s1 | s2 | s3, every = s0 & s1 & s2 & s3;
        uint cut = (some | (some >> 1)) & ~(every & (every >> 1));
        uint crossed = usable & (usable >> 1) & cut & 255u;
        cells[row + 11] = crossed;
        uint triangles = 0u;
        while (crossed != 0u) {
            uint lowest = crossed & (0u - crossed);
            triangles += cases[16u * cell_case(s0, s1, s2, s3, (uint)POPCOUNT(lowest - 1u))];
            crossed ^= lowest;
        }
        row_triangles[i] = triangles;
    }
    BARRIER();
    FOR_ITEMS(z, 8) {
        uint triangles = 0u;
        for (int y = 0; y < 8; y++) triangles += row_triangles[8 * z + y];
        slab_triangles[z] = triangles;
    }
    BARRIER();
    uint total = 0u;
    for (int z = 0; z < 8; z++) total += slab_triangles[z];
    if (total == 0u) {
        FOR_ITEMS(i, 4) { summary[4 * group + i] = 0u; }
        return;
    }

    FOR_ITEMS(i, ROWS) {
        int z = i / 10, y = i - 10 * z;
        uint before = 0u, crossed = 0u;
        if (z < 8 && y < 8) {
            for (int j = 0; j < z; j++) before += slab_triangles[j];
            for (int j = 0; j < y; j++) before += row_triangles[8 * z + j];
            crossed = cells[i + 11];
        }
        rows[ROWS * group + i] = inside[i] | (crossed << 9) | (before << 17);
    }
    FOR_ITEMS(i, EDGE_ROWS) {
        int axis = i / 90;
        int row = i - 90 * axis;
        uint around = 0u, differs = 0u;
        if (row < 89) {
            uint here = cells[row + 11], left = cells[row + 10];
            uint below = cells[row + 1], left_below = cells[row];
            if (axis == 0) {
                around = here | left | below | left_below;
                differs = inside[row] ^ (inside[row] >> 1);
            } else {
                around = here | (axis == 1 ? below : left);
                around |= around << 1;
                differs = inside[row] ^ inside[row + (axis == 1 ? 1 : 10)];
            }
        }
        crossed_edges[i] = around & differs;
    }
    BARRIER();
    FOR_ITEMS(i, SECTIONS) {
        uint crossed = 0u;
        for (int j = 0; j < SECTION_ROWS; j++) {
            crossed += (uint)POPCOUNT(crossed_edges[SECTION_ROWS * i + j]);
        }
        section_edges[i] = crossed;
    }
    BARRIER();
    FOR_ITEMS(i, SECTIONS) {
        uint before = 0u;
        for (int j = 0; j < i; j++) before += section_edges[j];
        for (int j = 0; j < SECTION_ROWS; j++) {
            uint crossed = crossed_edges[SECTION_ROWS * i + j];
            edges[EDGE_ROWS * group + SECTION_ROWS * i + j] = crossed | (before << 16);
            before += (uint)POPCOUNT(crossed);
        }
        if (i == SECTIONS - 1) {
            summary[4 * group] = before;
            summary[4 * group + 1] = total;
        }
    }
}

// One group = all `count` blocks: writes `starts` from `summary`. Races: none.
KERNEL(SCAN_ITEMS) scan_surface(IN(uint) summary, OUT(uint) starts, int count) {
    LOCAL(uint, vertex_sums, SCAN_ITEMS);
    LOCAL(uint, triangle_sums, SCAN_ITEMS);
    if (GROUP() > 0) return;
    int chunk = count / SCAN_ITEMS + 1;
    FOR_ITEMS(i, SCAN_ITEMS) {
        uint vertices = 0u, triangles = 0u;
        for (int k = chunk * i; k < chunk * (i + 1) && k < count; k++) {
            vertices += summary[4 * k];
            triangles += summary[4 * k + 1];
        }
        vertex_sums[i] = vertices;
        triangle_sums[i] = triangles;
    }
    BARRIER();
    FOR_ITEMS(i, SCAN_ITEMS) {
        uint vertices = 0u, triangles = 0u;
        for (int j = 0; j < i; j++) {
            vertices += vertex_sums[j];
            triangles += triangle_sums[j];
        }
        for (int k = chunk * i; k < chunk * (i + 1) && k <= count; k++) {
            starts[2 * k] = vertices;
            starts[2 * k + 1] = triangles;
            if (k < count) {
                vertices += summary[4 * k];
                triangles += summary[4 * k + 1];
            }
        }
    }
}

// A colour between two voxels' sums, as a byte.
DEVICE uint mixed_channel(uint sum0, float weight0, uint sum1, float weight1) {
    return (uint)((float)sum0 * weight0 + (float)sum1 * weight1 + 0.5f) & 255u;
}

// One group = one of `count` blocks: writes its `vertices`, unless they are beyond `room`, in the
// order of their edges. They are kept off lattice points, so that no two of a block coincide.
// Blocks on both sides of a face compute equal ones there. Races: none.
KERNEL(128) write_vertices(
    IN(int) upper, IN(uint) edges, IN(uint) starts, IN(int) sdf_sum, IN(uint) counts,
    IN(uint) color_low, IN(uint) color_high, OUT(uint) vertices, int room, int count
) {
    LOCAL(uint, codes, MOST_EDGES);
    int group = GROUP();
    if (group >= count) return;
    int start = (int)starts[2 * group];
    int found = (int)starts[2 * group + 2] - start;
    if (found == 0 || start + found > room) return;

    FOR_ITEMS(i, EDGE_ROWS) {
        uint word = edges[EDGE_ROWS * group + i];
        uint crossed = word & 511u, at = word >> 16;
        while (crossed != 0u) {
            uint lowest = crossed & (0u - crossed);
            codes[at] = (uint)i * 10u + (uint)POPCOUNT(lowest - 1u);
            at += 1u;
            crossed ^= lowest;
        }
    }
    BARRIER();

    FOR_ITEMS(i, found) {
        int edge_row = (int)codes[i] / 10;
        int x = (int)codes[i] - 10 * edge_row;
        int axis = edge_row / 90;
        int row = edge_row - 90 * axis;
        int z = row / 10, y = row - 10 * (row / 10);
        int dx = axis == 0 ? 1 : 0, dy = axis == 1 ? 1 : 0, dz = axis == 2 ? 1 : 0;
        int x1 = x + dx, y1 = y + dy, z1 = z + dz;
        int slot0 = upper[8 * group + ((x >> 3) | ((y >> 3) << 1) | ((z >> 3) << 2))];
        int slot1 = upper[8 * group + ((x1 >> 3) | ((y1 >> 3) << 1) | ((z1 >> 3) << 2))];
        int voxel0 = slot0 * BLOCK_VOXELS + (z & 7) * 64 + (y & 7) * 8 + (x & 7);
        int voxel1 = slot1 * BLOCK_VOXELS + (z1 & 7) * 64 + (y1 & 7) * 8 + (x1 & 7);

        // t = d0 / (d0 - d1) of the means d = sum / weight, with one division.
        uint word0 = counts[voxel0], word1 = counts[voxel1];
        float d0 = (float)sdf_sum[voxel0] * (float)(word1 & 0xFFFFu);
        float d1 = (float)sdf_sum[voxel1] * (float)(word0 & 0xFFFFu);
        float t = d0 / (d0 - d1);
        int step = (int)(t * 31.0f + 0.5f);
        step = step < 1 ? 1 : step > 30 ? 30 : step;

        float n0 = (float)(word0 >> 16), n1 = (float)(word1 >> 16);
        float share0 = n1 == 0.0f ? 1.0f : 1.0f - t;
        share0 = n0 == 0.0f ? 0.0f : share0;
        float w0 = share0 / fmaxf(n0, 1.0f);
        float w1 = (1.0f - share0) / fmaxf(n1, 1.0f);
        uint low0 = color_low[voxel0], low1 = color_low[voxel1];
        uint high0 = color_high[voxel0], high1 = color_high[voxel1];
        uint blue0 = (low0 >> 21) | ((high0 >> 21) << 11);
        uint blue1 = (low1 >> 21) | ((high1 >> 21) << 11);
        uint red = mixed_channel(low0 & 0x1FFFFFu, w0, low1 & 0x1FFFFFu, w1);
        uint green = mixed_channel(high0 & 0x1FFFFFu, w0, high1 & 0x1FFFFFu, w1);
        uint blue = mixed_channel(blue0, w0, blue1, w1);
        if (n0 + n1 == 0.0f) red = green = blue = NO_COLOR;

        uint code = (uint)(axis * 900 + row * 9 + x);
        int at = 3 * (start + i);
        vertices[at] = (uint)(x * 31 + step * dx) | ((uint)(y * 31 + step * dy) << 8)
            | ((uint)(z * 31 + step * dz) << 16) | (code << 24);
        vertices[at + 1] = red | (green << 8) | (blue << 16) | ((code >> 8) << 24);
        vertices[at + 2] = AS_UINT(t);
    }
}

// Two words mixed into one, by the rounds of xxHash32.
DEVICE uint mixed(uint first, uint second, uint seed) {
    uint hash = first * 0x85EBCA77u + seed;
    hash = ((hash << 13) | (hash >> 19)) * 0x9E3779B1u + second * 0xC2B2AE3Du;
    hash = ((hash << 17) | (hash >> 15)) * 0x27D4EB2Fu;
    hash = (hash ^ (hash >> 15)) * 0x85EBCA77u;
    hash = (hash ^ (hash >> 13)) * 0xC2B2AE3Du;
    return hash ^ (hash >> 16);
}

// One group = one of `count` blocks: writes its `triangles`, unless they are beyond `room` or its
// `vertices` beyond `vertex_room`, in the order of its cells, and to `summary` two sums over all
// that is in it; the first is odd. Races: none.
KERNEL(64) write_triangles(
    IN(uint) rows, IN(uint) edges, IN(uint) starts, IN(uint) cases, IN(uint) vertices,
    OUT(uint) triangles, INOUT(uint) summary, int vertex_room, int room, int count
) {
    LOCAL(uint, sums, 2);
    int group = GROUP();
    if (group >= count) return;
    int first_vertex = (int)starts[2 * group], last_vertex = (int)starts[2 * group + 2];
    int first = (int)starts[2 * group + 1], last = (int)starts[2 * group + 3];
    if (first == last || last > room || last_vertex > vertex_room) return;
    FOR_ITEMS(i, 2) { sums[i] = 0u; }
    BARRIER();

    FOR_ITEMS(i, 64) {
        uint sum0 = 0u, sum1 = 0u;
        int row = (i >> 3) * 10 + (i & 7);
        int here = ROWS * group + row;
        uint word = rows[here];
        uint s0 = word & 511u, s1 = rows[here + 1] & 511u;
        uint s2 = rows[here + 10] & 511u, s3 = rows[here + 11] & 511u;
        uint crossed = (word >> 9) & 255u;
        int at = 2 * (first + (int)(word >> 17));
        while (crossed != 0u) {
            uint lowest = crossed & (0u - crossed);
            uint x = (uint)POPCOUNT(lowest - 1u);
            crossed ^= lowest;
            uint shape = cell_case(s0, s1, s2, s3, x);
            sum0 += mixed(shape, x | ((uint)row << 3), 3u);
            sum1 += mixed(shape, x | ((uint)row << 3), 4u);
            uint corners = 3u * cases[16u * shape];
            uint before = 0u;
            for (uint corner = 0u; corner < corners; corner++) {
                uint edge = cases[16u * shape + 1u + corner];
                uint edge_word = edges[EDGE_ROWS * group + row + (int)(edge >> 1)];
                uint lower = (1u << (x + (edge & 1u))) - 1u;
                uint vertex = (edge_word >> 16) + (uint)POPCOUNT(edge_word & 511u & lower);
                uint place = corner % 3u;
                if (place == 0u) before = vertex;
                if (place == 1u) triangles[at] = before | (vertex << 16);
                if (place == 2u) {
                    triangles[at + 1] = vertex;
                    at += 2;
                }
            }
        }
        LOCAL_ATOMIC_ADD(&sums[0], sum0);
        LOCAL_ATOMIC_ADD(&sums[1], sum1);
    }
    FOR_ITEMS(i, 64) {
        uint sum0 = 0u, sum1 = 0u;
        for (int vertex = first_vertex + i; vertex < last_vertex; vertex += 64) {
            sum0 += mixed(vertices[3 * vertex], vertices[3 * vertex + 1], 1u);
            sum1 += mixed(vertices[3 * vertex], vertices[3 * vertex + 1], 2u);
        }
        LOCAL_ATOMIC_ADD(&sums[0], sum0);
        LOCAL_ATOMIC_ADD(&sums[1], sum1);
    }
    BARRIER();
    FOR_ITEMS(i, 2) { summary[4 * group + 2 + i] = i == 0 ? sums[0] | 1u : sums[1]; }
}

// One group = one of `count` blocks to be kept, none of them empty: copies it to where it belongs
// in `packed`, bytes of places, then of colours, three each to a vertex, then 16-bit corners of
// triangles; sections begin at whole words. `entries` (count + 1, 4): first vertex and triangle
// here, first vertex and triangle there; the last one ends there. A word is written by the block
// that its lowest part belongs to. Races: none.
KERNEL(64) pack_surface(
    IN(int) entries, IN(uint) vertices, IN(uint) triangles, OUT(uint) packed, int colors_at,
    int triangles_at, int count
) {
    int group = GROUP();
    if (group >= count) return;
    int from = entries[4 * group], start = entries[4 * group + 2];
    int next_from = entries[4 * group + 4], end = entries[4 * group + 6];
    int total = entries[4 * count + 2];
    int first_word = (3 * start + 3) / 4;
    FOR_ITEMS(i, (3 * end + 3) / 4 - first_word) {
        uint place = 0u, color = 0u;
        for (int part = 0; part < 4; part++) {
            int byte_at = 4 * (first_word + i) + part;
            int vertex = byte_at / 3;
            int shift = 8 * (byte_at - 3 * vertex);
            if (vertex >= total) continue;
            int source = vertex < end ? from + vertex - start : next_from + vertex - end;
            place |= ((vertices[3 * source] >> shift) & 255u) << (8 * part);
            color |= ((vertices[3 * source + 1] >> shift) & 255u) << (8 * part);
        }
        packed[first_word + i] = place;
        packed[colors_at + first_word + i] = color;
    }

    from = entries[4 * group + 1];
    start = entries[4 * group + 3];
    next_from = entries[4 * group + 5];
    end = entries[4 * group + 7];
    total = entries[4 * count + 3];
    first_word = (3 * start + 1) / 2;
    FOR_ITEMS(i, (3 * end + 1) / 2 - first_word) {
        uint corners = 0u;
        for (int part = 0; part < 2; part++) {
            int corner_at = 2 * (first_word + i) + part;
            int triangle = corner_at / 3;
            int corner = corner_at - 3 * triangle;
            if (triangle >= total) continue;
            int source = triangle < end ? from + triangle - start : next_from + triangle - end;
            uint value = triangles[2 * source + (corner >> 1)];
            corners |= ((corner == 1 ? value >> 16 : value) & 0xFFFFu) << (16 * part);
        }
        packed[triangles_at + first_word + i] = corners;
    }
}
