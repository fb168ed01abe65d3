// The nearest and the next of other descriptors. All in integers; of equals, the lowest index wins.
//
// `first` (N, W) and `second` (M, W) are descriptors of W words: 8 of 32 bits for bits that differ,
// 32 of four bytes for squares of distances. `found` (S, 3, N): for each of S shares of `second`,
// each `share` long but the last, the index of the nearest in it, its distance, and the distance of
// the next one, FARTHEST where there is none.

#define QUERIES 64
#define TILE 32
#define BIT_WORDS 8
#define BYTE_WORDS 32
#define FARTHEST 0x7FFFFFFFu

#define LESSER(a, b) ((a) < (b) ? (a) : (b))
#define GREATER(a, b) ((a) < (b) ? (b) : (a))

// The scalar product of four bytes each, added to a sum.
#if defined(DIALECT_CUDA)
#define ADD_PRODUCTS(a, b, sum) __dp4a((a), (b), (sum))
#else
DEVICE uint ADD_PRODUCTS(uint a, uint b, uint sum) {
    sum += (a & 255u) * (b & 255u);
    sum += (a >> 8 & 255u) * (b >> 8 & 255u);
    sum += (a >> 16 & 255u) * (b >> 16 & 255u);
    return sum + (a >> 24) * (b >> 24);
}
#endif

// One group = QUERIES first descriptors, one for each item, and one share of the second ones, which
// pass through the group's memory in tiles. Groups of the same share follow each other. Races: none.
KERNEL(QUERIES) match_hamming(IN(uint) first, IN(uint) second, OUT(uint) found, int first_count,
                              int second_count, int share) {
    LOCAL(uint, tile, TILE * BIT_WORDS);
    LOCAL(uint, nearest, 3 * QUERIES);
    int groups_a_share = (first_count + QUERIES - 1) / QUERIES;
    int part = GROUP() / groups_a_share;
    int query = (GROUP() - part * groups_a_share) * QUERIES;
    int begin = part * share;
    int end = LESSER(begin + share, second_count);
    FOR_ITEMS(i, QUERIES) {
        nearest[i] = 0u;
        nearest[QUERIES + i] = FARTHEST;
        nearest[2 * QUERIES + i] = FARTHEST;
    }
    for (int start = begin; start < end; start += TILE) {
        int count = LESSER(TILE, end - start);
        FOR_ITEMS(i, count * BIT_WORDS) tile[i] = second[start * BIT_WORDS + i];
        BARRIER();
        FOR_ITEMS(i, QUERIES) {
            if (query + i >= first_count) continue;
            uint words[BIT_WORDS];
            for (int k = 0; k < BIT_WORDS; k++) words[k] = first[(query + i) * BIT_WORDS + k];
            uint index = nearest[i];
            uint least = nearest[QUERIES + i];
            uint next = nearest[2 * QUERIES + i];
            for (int j = 0; j < count; j++) {
                uint bits = 0u;
                for (int k = 0; k < BIT_WORDS; k++) {
                    bits += (uint)POPCOUNT(words[k] ^ tile[j * BIT_WORDS + k]);
                }
                index = bits < least ? (uint)(start + j) : index;
                next = LESSER(next, GREATER(least, bits));
                least = LESSER(least, bits);
            }
            nearest[i] = index;
            nearest[QUERIES + i] = least;
            nearest[2 * QUERIES + i] = next;
        }
        BARRIER();
    }
    FOR_ITEMS(i, QUERIES) {
        if (query + i >= first_count) continue;
        for (int k = 0; k < 3; k++) {
            found[(part * 3 + k) * first_count + query + i] = nearest[k * QUERIES + i];
        }
    }
}

// As `match_hamming`, by the square of the distance: |a|² + |b|² − 2ab. It is below 2³¹.
// What both do is written twice: the dialect cannot hand a group's memory to a function.
KERNEL(QUERIES) match_squares(IN(uint) first, IN(uint) second, OUT(uint) found, int first_count,
                              int second_count, int share) {
    LOCAL(uint, tile, TILE * BYTE_WORDS);
    LOCAL(uint, squares, TILE);
    LOCAL(uint, nearest, 3 * QUERIES);
    int groups_a_share = (first_count + QUERIES - 1) / QUERIES;
    int part = GROUP() / groups_a_share;
    int query = (GROUP() - part * groups_a_share) * QUERIES;
    int begin = part * share;
    int end = LESSER(begin + share, second_count);
    FOR_ITEMS(i, QUERIES) {
        nearest[i] = 0u;
        nearest[QUERIES + i] = FARTHEST;
        nearest[2 * QUERIES + i] = FARTHEST;
    }
    for (int start = begin; start < end; start += TILE) {
        int count = LESSER(TILE, end - start);
        FOR_ITEMS(i, count * BYTE_WORDS) tile[i] = second[start * BYTE_WORDS + i];
        BARRIER();
        FOR_ITEMS(j, count) {
            uint square = 0u;
            for (int k = 0; k < BYTE_WORDS; k++) {
                square = ADD_PRODUCTS(tile[j * BYTE_WORDS + k], tile[j * BYTE_WORDS + k], square);
            }
            squares[j] = square;
        }
        BARRIER();
        FOR_ITEMS(i, QUERIES) {
            if (query + i >= first_count) continue;
            uint words[BYTE_WORDS];
            uint square = 0u;
            for (int k = 0; k < BYTE_WORDS; k++) {
                words[k] = first[(query + i) * BYTE_WORDS + k];
                square = ADD_PRODUCTS(words[k], words[k], square);
            }
            uint index = nearest[i];
            uint least = nearest[QUERIES + i];
            uint next = nearest[2 * QUERIES + i];
            for (int j = 0; j < count; j++) {
                uint product = 0u;
                for (int k = 0; k < BYTE_WORDS; k++) {
                    product = ADD_PRODUCTS(words[k], tile[j * BYTE_WORDS + k], product);
                }
                uint distance = square + squares[j] - 2u * product;
                index = distance < least ? (uint)(start + j) : index;
                next = LESSER(next, GREATER(least, distance));
                least = LESSER(least, distance);
            }
            nearest[i] = index;
            nearest[QUERIES + i] = least;
            nearest[2 * QUERIES + i] = next;
        }
        BARRIER();
    }
    FOR_ITEMS(i, QUERIES) {
        if (query + i >= first_count) continue;
        for (int k = 0; k < 3; k++) {
            found[(part * 3 + k) * first_count + query + i] = nearest[k * QUERIES + i];
        }
    }
}

// One item = one first descriptor. Its nearest of all shares goes to the first share. Races: none.
KERNEL(QUERIES) match_merge(INOUT(uint) found, int first_count, int shares) {
    int group = GROUP();
    FOR_ITEMS(i, QUERIES) {
        int query = group * QUERIES + i;
        if (query >= first_count) continue;
        uint index = found[query];
        uint least = found[first_count + query];
        uint next = found[2 * first_count + query];
        for (int part = 1; part < shares; part++) {
            int at = part * 3 * first_count + query;
            uint distance = found[at + first_count];
            index = distance < least ? found[at] : index;
            // The lesser of each pair, and of the greater ones of the two nearest.
            next = LESSER(LESSER(next, found[at + 2 * first_count]), GREATER(least, distance));
            least = LESSER(least, distance);
        }
        found[query] = index;
        found[first_count + query] = least;
        found[2 * first_count + query] = next;
    }
}
