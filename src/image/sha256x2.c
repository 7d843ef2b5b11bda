#include "image/sha256x2.h"

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>
#include <stdatomic.h>

#define SHA_CODE __attribute__((target("sha,sse4.1,ssse3")))
#define SHA_STEP static inline __attribute__((always_inline)) SHA_CODE

/* FIPS 180-4, 4.2.2. */
static const uint32_t constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};

/* The eight words a to h as the instructions want them, high word first. */
struct lane {
    __m128i abef, cdgh;
};

SHA_STEP struct lane lane_load(const uint32_t state[8])
{
    const __m128i abcd = _mm_loadu_si128((const __m128i *)state);
    const __m128i efgh = _mm_loadu_si128((const __m128i *)(state + 4));
    const __m128i cdab = _mm_shuffle_epi32(abcd, 0xb1);
    const __m128i hgfe = _mm_shuffle_epi32(efgh, 0x1b);

    return (struct lane){_mm_alignr_epi8(cdab, hgfe, 8),
                         _mm_blend_epi16(hgfe, cdab, 0xf0)};
}

SHA_STEP void lane_store(const struct lane *l, uint32_t state[8])
{
    const __m128i feba = _mm_shuffle_epi32(l->abef, 0x1b);
    const __m128i dchg = _mm_shuffle_epi32(l->cdgh, 0xb1);

    _mm_storeu_si128((__m128i *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

/* Four rounds, with the message words w of rounds i to i + 3. */
SHA_STEP void rounds(struct lane *l, __m128i w, int i)
{
    const __m128i k =
        _mm_add_epi32(w, _mm_load_si128((const __m128i *)(constants + i)));

    l->cdgh = _mm_sha256rnds2_epu32(l->cdgh, l->abef, k);
    l->abef = _mm_sha256rnds2_epu32(l->abef, l->cdgh, _mm_shuffle_epi32(k, 0x0e));
}

/* The message words that follow these sixteen. */
SHA_STEP __m128i schedule(const __m128i w[4], int first)
{
    const __m128i third = w[(first + 2) & 3], fourth = w[(first + 3) & 3];
    __m128i next = _mm_sha256msg1_epu32(w[first & 3], w[(first + 1) & 3]);

    next = _mm_add_epi32(next, _mm_alignr_epi8(fourth, third, 4));
    return _mm_sha256msg2_epu32(next, fourth);
}

SHA_STEP __m128i message(const unsigned char *data, int i)
{
    const __m128i big_endian =
        _mm_set_epi64x(0x0c0d0e0f08090a0bLL, 0x0405060700010203LL);

    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)data + i), big_endian);
}

SHA_CODE void sha256x2(uint32_t state[2][8], const unsigned char *const data[2],
                       size_t blocks)
{
    struct lane a = lane_load(state[0]), b = lane_load(state[1]);
    const unsigned char *from_a = data[0], *from_b = data[1];

    for (; blocks > 0; blocks--) {
        const struct lane was_a = a, was_b = b;
        __m128i wa[4] = {message(from_a, 0)}, wb[4] = {message(from_b, 0)};

#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) {
            wa[i & 3] = i < 4 ? message(from_a, i) : schedule(wa, i);
            rounds(&a, wa[i & 3], 4 * i);
            wb[i & 3] = i < 4 ? message(from_b, i) : schedule(wb, i);
            rounds(&b, wb[i & 3], 4 * i);
        }
        a = (struct lane){_mm_add_epi32(a.abef, was_a.abef),
                          _mm_add_epi32(a.cdgh, was_a.cdgh)};
        b = (struct lane){_mm_add_epi32(b.abef, was_b.abef),
                          _mm_add_epi32(b.cdgh, was_b.cdgh)};
        from_a += SHA256X2_BLOCK;
        from_b += SHA256X2_BLOCK;
    }
    lane_store(&a, state[0]);
    lane_store(&b, state[1]);
}

/* Where there are SHA instructions there are SSSE3 and SSE4.1, but a virtual machine
 * may hide anything. */
static bool look(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_SSSE3) || !(c & bit_SSE4_1))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA);
}

/* Looked for once: a virtual machine leaves itself for each cpuid. */
bool sha256x2_usable(void)
{
    static atomic_int known; /* 0: not yet, 1: no, 2: yes */
    int k = atomic_load_explicit(&known, memory_order_relaxed);

    if (k == 0) {
        k = look() ? 2 : 1;
        atomic_store_explicit(&known, k, memory_order_relaxed);
    }
    return k == 2;
}

#else

bool sha256x2_usable(void)
{
    return false;
}

void sha256x2(uint32_t state[2][8], const unsigned char *const data[2], size_t blocks)
{
    (void)state;
    (void)data;
    (void)blocks;
}

#endif
