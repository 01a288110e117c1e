#include "kernels.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <string.h>

/* Registers that the operating system saves on a context switch (XCR0). */
static uint64_t saved_registers(void) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

bool varve_lanes_supported(enum varve_lanes_kernel kernel) {
    unsigned eax, ebx, ecx, edx;
    /* xgetbv itself is illegal where the system has not switched it on. */
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & bit_OSXSAVE) == 0) return false;
    if (!__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx)) return false;
    /* Bits of XCR0: 1 SSE, 2 AVX; 5 mask registers, 6 upper halves and 7 second sixteen of ZMM. */
    const uint64_t ymm = 0x06, zmm = 0xe6;
    switch (kernel) {
    case VARVE_LANES_AVX2: return (ebx & bit_AVX2) != 0 && (saved_registers() & ymm) == ymm;
    case VARVE_LANES_AVX512: return (ebx & bit_AVX512F) != 0 && (saved_registers() & zmm) == zmm;
    }
    return false;
}

static compress_blocks *compressor(enum varve_lanes_kernel kernel, unsigned count) {
    switch (kernel) {
    case VARVE_LANES_AVX2: return count <= 4 ? varve_lanes_avx2_four : varve_lanes_avx2_eight;
    case VARVE_LANES_AVX512: return varve_lanes_avx512;
    }
    __builtin_trap();
}

void varve_lanes_hash(enum varve_lanes_kernel kernel, const uint64_t initial[8],
                      const uint8_t *const *buffers, unsigned count, size_t length, uint8_t *digests) {
    if (count == 0 || count > VARVE_LANES) __builtin_trap();
    compress_blocks *compress = compressor(kernel, count);

    /* A lane that is not needed hashes the first buffer once more, which is in the cache. */
    const uint8_t *at[VARVE_LANES];
    _Alignas(64) uint64_t state[8][VARVE_LANES];
    for (unsigned lane = 0; lane < VARVE_LANES; lane++) {
        at[lane] = buffers[lane < count ? lane : 0];
        for (int i = 0; i < 8; i++) state[i][lane] = initial[i];
    }

    /* The last block, full or not, is hashed from a copy that is padded with zeros. */
    size_t before = length == 0 ? 0 : (length - 1) / BLOCK * BLOCK;
    compress(state, at, before / BLOCK, BLOCK, 0);
    uint8_t tail[VARVE_LANES][BLOCK] = {{0}};
    for (int lane = 0; lane < VARVE_LANES; lane++) {
        if (length > 0) memcpy(tail[lane], at[lane] + before, length - before);
        at[lane] = tail[lane];
    }
    compress(state, at, 1, length, ~UINT64_C(0));

    for (unsigned lane = 0; lane < count; lane++) {
        for (int i = 0; i < 4; i++) memcpy(digests + VARVE_LANES_DIGEST * lane + 8 * i, &state[i][lane], 8);
    }
}

void varve_lanes_update(enum varve_lanes_kernel kernel, uint64_t state[8 * VARVE_LANES],
                        const uint8_t *const *buffers, unsigned count, size_t blocks, uint64_t hashed) {
    if (count == 0 || count > VARVE_LANES) __builtin_trap();
    const uint8_t *at[VARVE_LANES];
    for (unsigned lane = 0; lane < VARVE_LANES; lane++) at[lane] = buffers[lane < count ? lane : 0];
    compressor(kernel, count)((uint64_t(*)[VARVE_LANES])state, at, blocks, hashed + BLOCK, 0);
}

#else

bool varve_lanes_supported(enum varve_lanes_kernel kernel) {
    (void)kernel;
    return false;
}

void varve_lanes_hash(enum varve_lanes_kernel kernel, const uint64_t initial[8],
                      const uint8_t *const *buffers, unsigned count, size_t length, uint8_t *digests) {
    (void)kernel, (void)initial, (void)buffers, (void)count, (void)length, (void)digests;
    __builtin_trap();
}

void varve_lanes_update(enum varve_lanes_kernel kernel, uint64_t state[8 * VARVE_LANES],
                        const uint8_t *const *buffers, unsigned count, size_t blocks, uint64_t hashed) {
    (void)kernel, (void)state, (void)buffers, (void)count, (void)blocks, (void)hashed;
    __builtin_trap();
}

#endif
