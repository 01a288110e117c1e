#include "kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>

enum { LANES = 4 };
#define KERNEL __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline)) KERNEL

/* Two words of the four lanes, from byte `offset`: m[i] is the i-th word, the lanes in order. */
INLINE void transpose(__m256i m[2], const uint8_t *const at[LANES], size_t offset) {
#define PAIR(low, high) \
    _mm256_inserti128_si256( \
        _mm256_castsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)(at[low] + offset))), \
        _mm_loadu_si128((const __m128i *)(const void *)(at[high] + offset)), 1)
    __m256i a = PAIR(0, 2), b = PAIR(1, 3);
#undef PAIR
    m[0] = _mm256_unpacklo_epi64(a, b);
    m[1] = _mm256_unpackhi_epi64(a, b);
}

#define ROTATE_32(x) _mm256_shuffle_epi32(x, 0xb1)
#define ROTATE_24(x) _mm256_shuffle_epi8(x, rotate_24)
#define ROTATE_16(x) _mm256_shuffle_epi8(x, rotate_16)
#define ROTATE_63(x) _mm256_or_si256(_mm256_srli_epi64(x, 63), _mm256_add_epi64(x, x))

#define CONSTANT(x) _mm256_set1_epi64x((long long)(x))

/* G of RFC 7693 on the state v with the message m. */
#define MIX(v, m, a, b, c, d, x, y) \
    v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], m[x]), v[b]); \
    v[d] = ROTATE_32(_mm256_xor_si256(v[d], v[a])); \
    v[c] = _mm256_add_epi64(v[c], v[d]); \
    v[b] = ROTATE_24(_mm256_xor_si256(v[b], v[c])); \
    v[a] = _mm256_add_epi64(_mm256_add_epi64(v[a], m[y]), v[b]); \
    v[d] = ROTATE_16(_mm256_xor_si256(v[d], v[a])); \
    v[c] = _mm256_add_epi64(v[c], v[d]); \
    v[b] = _mm256_xor_si256(v[b], v[c]); \
    v[b] = ROTATE_63(v[b]);

#define G(a, b, c, d, x, y) \
    MIX(v, m, a, b, c, d, x, y) \
    if (groups == 2) { MIX(u, n, a, b, c, d, x, y) }

#define START(h) { \
    h[0], h[1], h[2], h[3], h[4], h[5], h[6], h[7], CONSTANT(IV0), CONSTANT(IV1), CONSTANT(IV2), \
    CONSTANT(IV3), CONSTANT(IV4 ^ hashed), CONSTANT(IV5), CONSTANT(IV6 ^ last), CONSTANT(IV7), \
}

/* With two groups (`groups` is a constant, 1 or 2) their steps alternate. One group is a single chain of
 * dependent instructions, and the processor waits for each; the second uses the gaps: 3.4 instead of
 * 2.8 GB/s on Zen 5, although the two do not fit into sixteen registers. */
INLINE void compress(uint64_t state[8][VARVE_LANES], const uint8_t *const buffers[VARVE_LANES], size_t blocks,
                     uint64_t hashed, uint64_t last, const int groups) {
    __m256i rotate_24 = _mm256_setr_epi8(
        3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10,
        3, 4, 5, 6, 7, 0, 1, 2, 11, 12, 13, 14, 15, 8, 9, 10);
    __m256i rotate_16 = _mm256_setr_epi8(
        2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9,
        2, 3, 4, 5, 6, 7, 0, 1, 10, 11, 12, 13, 14, 15, 8, 9);
    /* Clang must not see the constants: it turns a byte shuffle into two of words, which costs a tenth. */
    __asm__("" : "+x"(rotate_16), "+x"(rotate_24));

    const uint8_t *at[2 * LANES];
    for (int lane = 0; lane < groups * LANES; lane++) at[lane] = buffers[lane];
    __m256i h[8], g[8] = {{0}};
    for (int i = 0; i < 8; i++) {
        h[i] = _mm256_loadu_si256((const __m256i *)(const void *)state[i]);
        if (groups == 2) g[i] = _mm256_loadu_si256((const __m256i *)(const void *)(state[i] + LANES));
    }
    for (; blocks > 0; blocks--, hashed += BLOCK) {
        __m256i m[16], n[16];
        for (int i = 0; i < 8; i++) {
            transpose(m + 2 * i, at, 16 * (size_t)i);
            if (groups == 2) transpose(n + 2 * i, at + LANES, 16 * (size_t)i);
        }
        for (int lane = 0; lane < groups * LANES; lane++) at[lane] += BLOCK;
        __m256i v[16] = START(h), u[16] = START(g);
        ROUNDS(G)
        for (int i = 0; i < 8; i++) {
            h[i] = _mm256_xor_si256(h[i], _mm256_xor_si256(v[i], v[i + 8]));
            if (groups == 2) g[i] = _mm256_xor_si256(g[i], _mm256_xor_si256(u[i], u[i + 8]));
        }
    }
    for (int i = 0; i < 8; i++) {
        _mm256_storeu_si256((__m256i *)(void *)state[i], h[i]);
        if (groups == 2) _mm256_storeu_si256((__m256i *)(void *)(state[i] + LANES), g[i]);
    }
}

KERNEL void varve_lanes_avx2_four(uint64_t state[8][VARVE_LANES], const uint8_t *const buffers[VARVE_LANES],
                                  size_t blocks, uint64_t hashed, uint64_t last) {
    compress(state, buffers, blocks, hashed, last, 1);
}

KERNEL void varve_lanes_avx2_eight(uint64_t state[8][VARVE_LANES], const uint8_t *const buffers[VARVE_LANES],
                                   size_t blocks, uint64_t hashed, uint64_t last) {
    compress(state, buffers, blocks, hashed, last, 2);
}

#endif
