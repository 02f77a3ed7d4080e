/* Vectors of doubles as long as the machine's own (gcc handles longer ones badly), and elementary functions of them.
 *
 * Comparisons with NaN are used: no -ffast-math.
 */

#include <math.h>
#include <stdint.h>
#if defined(__AVX512F__)
#include <immintrin.h>
#define LANES 8
#elif defined(__AVX__)
#define LANES 4
#else
#define LANES 2
#endif

typedef double vd __attribute__((vector_size(8 * LANES)));
typedef double unaligned_vd __attribute__((vector_size(8 * LANES), aligned(8)));
typedef int64_t vi __attribute__((vector_size(8 * LANES)));

#define INLINE static inline __attribute__((always_inline))
/* Left rolled, sums in arrays would live in memory: twice the time. */
#define UNROLL _Pragma("GCC unroll 64")
#define VECTORS(count) (((count) + LANES - 1) / LANES)

INLINE vd splat(double x) { return (vd){0} + x; }
INLINE vd choose(vi mask, vd a, vd b) { return (vd)((mask & (vi)a) | (~mask & (vi)b)); }
INLINE vd magnitude(vd x) { return (vd)((vi)x & INT64_MAX); }
INLINE vd with_sign_of(vd sign, vd x) { return (vd)(((vi)sign & INT64_MIN) | (vi)x); }

INLINE double sum_of_lanes(vd x) {
    double sum = 0.0;
    for (int lane = 0; lane < LANES; ++lane) sum += x[lane];
    return sum;
}

/* e^-y for y >= 0, to an ulp: -y = k ln 2 + r, |r| <= ln 2 / 2, minimax polynomial of degree 11 (3e-18), 2^k by the exponent. */
INLINE vd exp_of_minus(vd y) {
    const vd shift = splat(0x1.8p52);
    y = choose(y < 700.0, y, splat(700.0)); /* e^-700 = 1e-304 is nothing beside 1, and normal */
    const vd rounded = y * -0x1.71547652b82fep0 + shift;
    const vd k = rounded - shift;
    vd r = -y - k * 0x1.62e42fefa3800p-1;
    r = r - k * 0x1.ef35793c76730p-45;
    vd p = splat(2.5110049204818659793e-8);
    p = p * r + 2.763265472252779189e-7;
    p = p * r + 2.7557240887229868596e-6;
    p = p * r + 2.4801485441561312966e-5;
    p = p * r + 1.9841269890076402829e-4;
    p = p * r + 1.3888888952352862866e-3;
    p = p * r + 8.3333333333195896163e-3;
    p = p * r + 4.166666666648795252e-2;
    p = p * r + 1.666666666666668082e-1;
    p = p * r + 0.50000000000000184039;
    p = p * r + 1.0;
    p = p * r + 1.0;
    return (vd)((vi)p + ((vi)rounded << 52));
}

/* ln x for normal x >= 1: x = 2^k m, m in [sqrt 1/2, sqrt 2), ln m = 2 atanh(f), f = (m - 1) / (m + 1). */
INLINE vd log_of(vd x) {
    const vi bits = (vi)x, above = bits - (vi)splat(0.70710678118654752440);
    const vi k = above >> 52;
    const vd m = (vd)(bits - (k << 52));
    const vd f = (m - 1.0) / (m + 1.0), s = f * f;
    vd p = splat(2.0 / 23.0);
    p = p * s + 2.0 / 21.0;
    p = p * s + 2.0 / 19.0;
    p = p * s + 2.0 / 17.0;
    p = p * s + 2.0 / 15.0;
    p = p * s + 2.0 / 13.0;
    p = p * s + 2.0 / 11.0;
    p = p * s + 2.0 / 9.0;
    p = p * s + 2.0 / 7.0;
    p = p * s + 2.0 / 5.0;
    p = p * s + 2.0 / 3.0;
    p = p * s + 2.0;
    return __builtin_convertvector(k, vd) * 0.69314718055994530942 + f * p;
}

/* tanh x, its error below an ulp of 1. */
INLINE vd tanh_of(vd x) {
    const vd t = exp_of_minus(2.0 * magnitude(x));
    return with_sign_of(x, (1.0 - t) / (1.0 + t));
}

INLINE vd sqrt_of(vd x) {
#if defined(__AVX512F__)
    return (vd)_mm512_sqrt_pd((__m512d)x);
#else
    for (int lane = 0; lane < LANES; ++lane) x[lane] = sqrt(x[lane]);
    return x;
#endif
}

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (vi){__VA_ARGS__})
#endif

/* One step of a transposition: rows `step` apart exchange blocks of `step` numbers. */
#define BUTTERFLY(rows, step, low, high)             \
    for (int i = 0; i < LANES; ++i)                  \
        if (!(i & (step))) {                         \
            const vd a = rows[i], b = rows[i + (step)]; \
            rows[i] = SHUFFLE(a, b, low);            \
            rows[i + (step)] = SHUFFLE(a, b, high);  \
        }
#define LIST(...) __VA_ARGS__

/* Rows become columns: LANES vectors of LANES numbers. */
INLINE void transpose(vd *rows) {
#if LANES == 8
    UNROLL BUTTERFLY(rows, 1, LIST(0, 8, 2, 10, 4, 12, 6, 14), LIST(1, 9, 3, 11, 5, 13, 7, 15))
    UNROLL BUTTERFLY(rows, 2, LIST(0, 1, 8, 9, 4, 5, 12, 13), LIST(2, 3, 10, 11, 6, 7, 14, 15))
    UNROLL BUTTERFLY(rows, 4, LIST(0, 1, 2, 3, 8, 9, 10, 11), LIST(4, 5, 6, 7, 12, 13, 14, 15))
#elif LANES == 4
    UNROLL BUTTERFLY(rows, 1, LIST(0, 4, 2, 6), LIST(1, 5, 3, 7))
    UNROLL BUTTERFLY(rows, 2, LIST(0, 1, 4, 5), LIST(2, 3, 6, 7))
#else
    UNROLL BUTTERFLY(rows, 1, LIST(0, 2), LIST(1, 3))
#endif
}
