/* What the kernels share: the constants of RFC 7693, and the order of the rounds. */
#pragma once
#include "CBlake2Lanes.h"

#if defined(__x86_64__)

enum { BLOCK = 128 };

#define IV0 0x6a09e667f3bcc908ULL
#define IV1 0xbb67ae8584caa73bULL
#define IV2 0x3c6ef372fe94f82bULL
#define IV3 0xa54ff53a5f1d36f1ULL
#define IV4 0x510e527fade682d1ULL
#define IV5 0x9b05688c2b3e6c1fULL
#define IV6 0x1f83d9abfb41bd6bULL
#define IV7 0x5be0cd19137e2179ULL

/* One round: G(a, b, c, d, x, y) mixes v[a], v[b], v[c], v[d] with the message words m[x] and m[y]. */
#define ROUND(G, s0, s1, s2, s3, s4, s5, s6, s7, s8, s9, sa, sb, sc, sd, se, sf) \
    G(0, 4, 8, 12, s0, s1) G(1, 5, 9, 13, s2, s3) G(2, 6, 10, 14, s4, s5) G(3, 7, 11, 15, s6, s7) \
    G(0, 5, 10, 15, s8, s9) G(1, 6, 11, 12, sa, sb) G(2, 7, 8, 13, sc, sd) G(3, 4, 9, 14, se, sf)

/* The twelve rounds with the schedule written out: the indices are constants, so the words stay in registers
 * or are operands in memory, and nothing is looked up. */
#define ROUNDS(G) \
    ROUND(G, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    ROUND(G, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3) \
    ROUND(G, 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4) \
    ROUND(G, 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8) \
    ROUND(G, 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13) \
    ROUND(G, 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9) \
    ROUND(G, 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11) \
    ROUND(G, 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10) \
    ROUND(G, 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5) \
    ROUND(G, 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0) \
    ROUND(G, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15) \
    ROUND(G, 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3)

/* Hashes `blocks` whole blocks of every lane into `state`, word by word the lanes side by side. `hashed` is
 * the number of bytes of a lane that are hashed when the first of them is done: it grows by a block with
 * each. `last` is all ones for the last block of the message (then `blocks` is 1), zero for the others. */
typedef void compress_blocks(uint64_t state[8][VARVE_LANES], const uint8_t *const buffers[VARVE_LANES],
                             size_t blocks, uint64_t hashed, uint64_t last);

compress_blocks varve_lanes_avx2_four; /* lanes 0...3 only */
compress_blocks varve_lanes_avx2_eight;
compress_blocks varve_lanes_avx512;

#endif
