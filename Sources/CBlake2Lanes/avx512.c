#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { LANES = VARVE_LANES };
#define KERNEL __attribute__((target("avx512f")))
#define INLINE static inline __attribute__((always_inline)) KERNEL

/* Four words of every lane, from byte `offset`: m[i] is the i-th word, the lanes in order. The last step
 * picks quarters of two vectors; that lanes 2, 3, 6, 7 are loaded into the upper halves makes them come out
 * in order. Loads and shuffles, because gathers are slower: 5.5 instead of 6.5 GB/s on Zen 5. */
INLINE void transpose(__m512i m[4], const uint8_t *const at[LANES], size_t offset) {
#define PAIR(low, high) \
    _mm512_inserti64x4( \
        _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)(const void *)(at[low] + offset))), \
        _mm256_loadu_si256((const __m256i *)(const void *)(at[high] + offset)), 1)
    __m512i a = PAIR(0, 2), b = PAIR(1, 3), c = PAIR(4, 6), d = PAIR(5, 7);
#undef PAIR
    __m512i ab_even = _mm512_unpacklo_epi64(a, b), ab_odd = _mm512_unpackhi_epi64(a, b);
    __m512i cd_even = _mm512_unpacklo_epi64(c, d), cd_odd = _mm512_unpackhi_epi64(c, d);
    m[0] = _mm512_shuffle_i64x2(ab_even, cd_even, 0x88);
    m[1] = _mm512_shuffle_i64x2(ab_odd, cd_odd, 0x88);
    m[2] = _mm512_shuffle_i64x2(ab_even, cd_even, 0xdd);
    m[3] = _mm512_shuffle_i64x2(ab_odd, cd_odd, 0xdd);
}

#define CONSTANT(x) _mm512_set1_epi64((long long)(x))

#define G(a, b, c, d, x, y) \
    v[a] = _mm512_add_epi64(_mm512_add_epi64(v[a], m[x]), v[b]); \
    v[d] = _mm512_ror_epi64(_mm512_xor_si512(v[d], v[a]), 32); \
    v[c] = _mm512_add_epi64(v[c], v[d]); \
    v[b] = _mm512_ror_epi64(_mm512_xor_si512(v[b], v[c]), 24); \
    v[a] = _mm512_add_epi64(_mm512_add_epi64(v[a], m[y]), v[b]); \
    v[d] = _mm512_ror_epi64(_mm512_xor_si512(v[d], v[a]), 16); \
    v[c] = _mm512_add_epi64(v[c], v[d]); \
    v[b] = _mm512_ror_epi64(_mm512_xor_si512(v[b], v[c]), 63);

KERNEL void varve_lanes_avx512(uint64_t state[8][VARVE_LANES], const uint8_t *const buffers[VARVE_LANES],
                               size_t blocks, uint64_t hashed, uint64_t last) {
    const uint8_t *at[LANES];
    for (int lane = 0; lane < LANES; lane++) at[lane] = buffers[lane];
    __m512i h[8];
    for (int i = 0; i < 8; i++) h[i] = _mm512_loadu_si512(state[i]);
    for (; blocks > 0; blocks--, hashed += BLOCK) {
        __m512i m[16];
        for (int i = 0; i < 4; i++) transpose(m + 4 * i, at, 32 * (size_t)i);
        for (int lane = 0; lane < LANES; lane++) at[lane] += BLOCK;
        __m512i v[16] = {
            h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], CONSTANT(IV0), CONSTANT(IV1), CONSTANT(IV2),
            CONSTANT(IV3), CONSTANT(IV4 ^ hashed), CONSTANT(IV5), CONSTANT(IV6 ^ last), CONSTANT(IV7),
        };
        ROUNDS(G)
        for (int i = 0; i < 8; i++) h[i] = _mm512_xor_si512(h[i], _mm512_xor_si512(v[i], v[i + 8]));
    }
    for (int i = 0; i < 8; i++) _mm512_storeu_si512(state[i], h[i]);
}

#endif
