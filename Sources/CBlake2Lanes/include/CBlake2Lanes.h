/* BLAKE2b-256 (RFC 7693) of several buffers of one length at once: one buffer in each 64-bit lane of the
 * vector registers. The digests are those of the scalar algorithm. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    /* Buffers in one call. */
    VARVE_LANES = 8,
    VARVE_LANES_DIGEST = 32,
};

enum varve_lanes_kernel {
    /* Two groups of four side by side, one if there are no more than four buffers. */
    VARVE_LANES_AVX2 = 1,
    /* One group of eight. */
    VARVE_LANES_AVX512 = 2,
};

/* Whether this build, this processor and this operating system (which must save the wide registers on a
 * context switch) can run the kernel. */
bool varve_lanes_supported(enum varve_lanes_kernel kernel);

/* Writes the digest of `buffers[i][0..<length]` to `digests + 32 * i`, for `count` (1...VARVE_LANES) buffers.
 * One takes nearly as long as a full group.
 *
 * `initial` is the hash state after the parameter block and before the first byte: h[0...7] of RFC 7693,
 * already xored with the parameters. Unkeyed hashing only. Buffers need no alignment and may overlap each
 * other; with length 0 they are not looked at. Nothing is allocated.
 *
 * Only with `varve_lanes_supported(kernel)`, and only such counts: else it traps or stops on an illegal
 * instruction. */
void varve_lanes_hash(enum varve_lanes_kernel kernel, const uint64_t initial[8],
                      const uint8_t *const *buffers, unsigned count, size_t length, uint8_t *digests);

/* The same in pieces: hashes `blocks` whole blocks of 128 bytes of each buffer into `state`, which has word i of
 * lane l at [8 * i + l]. `hashed` bytes of each lane came before; the last block of a message must not be among
 * these, it is hashed in another way (RFC 7693, section 3.2). Lanes from `count` on keep no useful state. */
void varve_lanes_update(enum varve_lanes_kernel kernel, uint64_t state[8 * VARVE_LANES],
                        const uint8_t *const *buffers, unsigned count, size_t blocks, uint64_t hashed);
