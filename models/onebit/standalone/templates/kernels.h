/* The kernels of a 1-bit network: just those that it needs. Included by the source of the network alone.
 *
 * Tensors are floats, channels last. Floats are added in a fixed order and every operation rounds once, so results are
 * the same bits on every machine; this needs IEEE floats without contraction into fused operations. Binary convolutions
 * are exact integers: 32 bits a word, as many output channels at once as a vector has words.
 */
#include <float.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __FAST_MATH__
#error "compile this file without -ffast-math: it lets floats be added in another order"
#endif
/* 16, of processors that have half precision, is about _Float16 alone: floats are floats there, too */
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16
#error "floats must be computed as floats: on 32-bit x86 compile with -msse2 -mfpmath=sse"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

typedef struct {
    int32_t channels, height, width;
} Shape;

typedef struct {
    int32_t size, stride, padding, dilation, groups;
} Window;

enum { NONE, RELU, RPRELU, CLIP };

/* What follows the sums c of a channel: v = factor * c + constant + shortcut, then the activation; NULL where there is
 * none. A shortcut is repeated along channels or cut, and averaged over squares of `shortcut_stride`. */
typedef struct {
    const float *factor, *constant, *slope, *shift;
    int32_t shortcut_channels, shortcut_stride, activation;
    float low, high;
} Tail;

INLINE int32_t smaller(int32_t a, int32_t b) { return a < b ? a : b; }

/* part: binary-convolution float-convolution max-pool mean-pool */
/* The taps of a window along one axis that do not meet padding, from `first` to before `end`, and the position of tap 0,
 * which may be outside. */
typedef struct {
    int32_t first, end, origin;
} Taps;

static Taps taps_of(const Window *w, int32_t at, int32_t length) {
    Taps t = {0, w->size, at * w->stride - w->padding};
    while (t.first < t.end && t.origin + t.first * w->dilation < 0) t.first++;
    while (t.end > t.first && t.origin + (t.end - 1) * w->dilation >= length) t.end--;
    return t;
}
/* end */

/* part: binary-convolution float-convolution pointwise product */
/* Adds a shortcut to a pixel's numbers. */
static void add_shortcut(const Tail *t, const Shape *out, int32_t pixel, const float *from, float *restrict v) {
    int32_t channels = t->shortcut_channels, stride = t->shortcut_stride, width = out->width * stride;
    const float *corner = from + (pixel / out->width * stride * width + pixel % out->width * stride) * channels;
    for (int32_t start = 0; start < out->channels && stride == 1; start += channels)
        for (int32_t c = 0; c < smaller(channels, out->channels - start); c++) v[start + c] += corner[c];
    for (int32_t c = 0; c < smaller(channels, out->channels) && stride > 1; c++) {
        float total = 0;
        for (int32_t dy = 0; dy < stride; dy++)
            for (int32_t dx = 0; dx < stride; dx++) total += corner[(dy * width + dx) * channels + c];
        for (int32_t k = c; k < out->channels; k += channels) v[k] += total / (float)(stride * stride);
    }
}

static void activate(const Tail *t, int32_t n, const float *restrict v, float *restrict y) {
    const float *restrict slope = t->slope, *restrict shift = t->shift;
    const float low = t->low, high = t->high;
    switch (t->activation) {
    case RELU:
        for (int32_t c = 0; c < n; c++) y[c] = v[c] > 0 ? v[c] : 0;
        break;
    case RPRELU:
        for (int32_t c = 0; c < n; c++) y[c] = (v[c] > 0 ? v[c] : v[c] * slope[c]) + shift[c];
        break;
    case CLIP:
        for (int32_t c = 0; c < n; c++) {
            float least = v[c] > low ? v[c] : low;
            y[c] = least < high ? least : high;
        }
        break;
    default:
        for (int32_t c = 0; c < n; c++) y[c] = v[c];
    }
}

/* What follows a pixel's sums `v`, which it overwrites, to the pixel's place in `y`, which may be in `shortcut`. */
static void finish(const Tail *t, const Shape *out, int32_t pixel, const float *shortcut, float *restrict v, float *y) {
    const float *restrict factor = t->factor, *restrict constant = t->constant;
    int32_t n = out->channels;
    if (factor)
        for (int32_t c = 0; c < n; c++) v[c] *= factor[c];
    if (constant)
        for (int32_t c = 0; c < n; c++) v[c] += constant[c];
    if (shortcut) add_shortcut(t, out, pixel, shortcut, v);
    activate(t, n, v, y + pixel * n);
}
/* end */

/* part: binary-convolution */
/* A vector of `LANES` words, one an output channel. COUNT adds the set bits of v to `few`, which can take `MOST` of them
 * before FLUSH adds it up into the words of a sum. */
#if defined(__AVX512VPOPCNTDQ__)
#include <immintrin.h>
typedef __m512i Vector;
#define ZERO _mm512_setzero_si512()
#define LOAD(p) _mm512_loadu_si512(p)
#define LOAD_SOME(p, n) _mm512_maskz_loadu_epi32((__mmask16)((1u << (n)) - 1), p)
#define STORE(p, v) _mm512_storeu_si512(p, v)
#define ALL(word) _mm512_set1_epi32((int32_t)(word))
#define XOR(a, b) _mm512_xor_si512(a, b)
#define AND(a, b) _mm512_and_si512(a, b)
#define COUNT(few, v) _mm512_add_epi32(few, _mm512_popcnt_epi32(v))
#define FLUSH(sum, few) _mm512_add_epi32(sum, few)
#define MOST 65536
#elif defined(__AVX2__)
#include <immintrin.h>
typedef __m256i Vector;
#define ZERO _mm256_setzero_si256()
#define LOAD(p) _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define STORE(p, v) _mm256_storeu_si256((__m256i *)(void *)(p), v)
#define ALL(word) _mm256_set1_epi32((int32_t)(word))
#define XOR(a, b) _mm256_xor_si256(a, b)
#define AND(a, b) _mm256_and_si256(a, b)
INLINE Vector COUNT(Vector few, Vector v) {
    const Vector ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2,
                                         3, 2, 3, 3, 4);
    const Vector low = _mm256_set1_epi8(15);
    Vector count = _mm256_shuffle_epi8(ones, _mm256_and_si256(v, low));
    few = _mm256_add_epi8(few, count);
    return _mm256_add_epi8(few, _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(v, 4), low)));
}
INLINE Vector FLUSH(Vector sum, Vector few) {
    Vector pairs = _mm256_maddubs_epi16(few, _mm256_set1_epi8(1));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
#elif defined(__SSSE3__)
#include <tmmintrin.h>
typedef __m128i Vector;
#define ZERO _mm_setzero_si128()
#define LOAD(p) _mm_loadu_si128((const __m128i *)(const void *)(p))
#define STORE(p, v) _mm_storeu_si128((__m128i *)(void *)(p), v)
#define ALL(word) _mm_set1_epi32((int32_t)(word))
#define XOR(a, b) _mm_xor_si128(a, b)
#define AND(a, b) _mm_and_si128(a, b)
INLINE Vector COUNT(Vector few, Vector v) {
    const Vector ones = _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4), low = _mm_set1_epi8(15);
    few = _mm_add_epi8(few, _mm_shuffle_epi8(ones, _mm_and_si128(v, low)));
    return _mm_add_epi8(few, _mm_shuffle_epi8(ones, _mm_and_si128(_mm_srli_epi16(v, 4), low)));
}
INLINE Vector FLUSH(Vector sum, Vector few) {
    return _mm_add_epi32(sum, _mm_madd_epi16(_mm_maddubs_epi16(few, _mm_set1_epi8(1)), _mm_set1_epi16(1)));
}
#elif defined(__aarch64__) || defined(__ARM_NEON)
#include <arm_neon.h>
typedef uint32x4_t Vector;
#define ZERO vdupq_n_u32(0)
#define LOAD(p) vld1q_u32(p)
#define STORE(p, v) vst1q_u32(p, v)
#define ALL(word) vdupq_n_u32(word)
#define XOR(a, b) veorq_u32(a, b)
#define AND(a, b) vandq_u32(a, b)
INLINE Vector COUNT(Vector few, Vector v) {
    return vreinterpretq_u32_u8(vaddq_u8(vreinterpretq_u8_u32(few), vcntq_u8(vreinterpretq_u8_u32(v))));
}
#define FLUSH(sum, few) vpadalq_u16(sum, vpaddlq_u8(vreinterpretq_u8_u32(few)))
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
typedef v128_t Vector;
#define ZERO wasm_i32x4_splat(0)
#define LOAD(p) wasm_v128_load(p)
#define STORE(p, v) wasm_v128_store(p, v)
#define ALL(word) wasm_i32x4_splat((int32_t)(word))
#define XOR(a, b) wasm_v128_xor(a, b)
#define AND(a, b) wasm_v128_and(a, b)
#define COUNT(few, v) wasm_i8x16_add(few, wasm_i8x16_popcnt(v))
#define FLUSH(sum, few) wasm_i32x4_add(sum, wasm_u32x4_extadd_pairwise_u16x8(wasm_u16x8_extadd_pairwise_u8x16(few)))
#elif defined(__wasm__) || defined(__POPCNT__) || defined(__riscv_zbb)
typedef uint32_t Vector;
#define ZERO 0
#define LOAD(p) (*(p))
#define STORE(p, v) (*(p) = (v))
#define ALL(word) (word)
#define XOR(a, b) ((a) ^ (b))
#define AND(a, b) ((a) & (b))
#define COUNT(few, v) ((few) + (uint32_t)__builtin_popcount(v))
#define FLUSH(sum, few) ((sum) + (few))
#define MOST 65536
#else /* one or two words of a machine that cannot count bits: those of all bytes at once */
#if UINTPTR_MAX > 0xffffffffu
typedef uint64_t Vector;
#define LOAD(p) ((Vector)(p)[0] | (Vector)(p)[1] << 32)
#define STORE(p, v) ((p)[0] = (uint32_t)(v), (p)[1] = (uint32_t)((v) >> 32))
#else
typedef uint32_t Vector;
#define LOAD(p) (*(p))
#define STORE(p, v) (*(p) = (v))
#endif
#define ZERO 0
#define EVERY(bits, span) ((Vector)-1 / (((Vector)1 << (span)) - 1) * (bits)) /* the bits, again every `span` bits */
#define ALL(word) (sizeof(Vector) == 4 ? (word) : (Vector)-1 / 0xffffffffu * (word))
#define XOR(a, b) ((a) ^ (b))
#define AND(a, b) ((a) & (b))
INLINE Vector COUNT(Vector few, Vector v) {
    v -= v >> 1 & EVERY(1, 2);
    v = (v & EVERY(3, 4)) + (v >> 2 & EVERY(3, 4));
    return few + ((v + (v >> 4)) & EVERY(15, 8));
}
INLINE Vector FLUSH(Vector sum, Vector few) {
    few = (few & EVERY(255, 16)) + (few >> 8 & EVERY(255, 16));
    return sum + (few & ALL(0xffffu)) + (few >> 16 & ALL(0xffffu));
}
#endif
#ifndef MOST
#define MOST 31 /* words whose set bits, at most 8 a byte, a byte can hold */
#endif
#ifndef LOAD_SOME /* the first `n` words of a vector */
INLINE Vector LOAD_SOME(const uint32_t *p, int32_t n) {
    uint32_t words[sizeof(Vector) / 4] = {0};
    for (int32_t i = 0; i < n; i++) words[i] = p[i];
    return LOAD(words);
}
#endif

/* Bits of `COMPARED` numbers: set where x is at least its threshold. */
#if defined(__AVX2__)
#define COMPARED 8
#define AT_LEAST(x, t) \
    ((uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x), _mm256_loadu_ps(t), _CMP_GE_OQ)))
#elif defined(__SSE2__)
#include <emmintrin.h>
#define COMPARED 4
#define AT_LEAST(x, t) ((uint32_t)_mm_movemask_ps(_mm_cmpge_ps(_mm_loadu_ps(x), _mm_loadu_ps(t))))
#elif defined(__aarch64__)
#define COMPARED 4
INLINE uint32_t AT_LEAST(const float *x, const float *t) {
    static const uint32_t places[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcgeq_f32(vld1q_f32(x), vld1q_f32(t)), vld1q_u32(places)));
}
#elif defined(__wasm_simd128__)
#define COMPARED 4
#define AT_LEAST(x, t) ((uint32_t)wasm_i32x4_bitmask(wasm_f32x4_ge(wasm_v128_load(x), wasm_v128_load(t))))
#else
#define COMPARED 1
#define AT_LEAST(x, t) ((uint32_t)(*(x) >= *(t)))
#endif

enum { LANES = (int)sizeof(Vector) / 4, AT_ONCE = 4 };
enum { SIGNS, SIGNS_AT_BORDER, ZERO_ONE };

/* `weights` are the words of a window, those of all output channels of a group beside each other: (group, word, channel).
 * The bits of a window are those of its taps one after the other, each of a group's input channels. */
typedef struct {
    Shape in, out;
    Window window;
    int32_t zero_one, words, row_words; /* words of a window, and of a row of one group's input */
    const float *threshold;
    const uint32_t *weights;
    Tail tail;
} Binary;

/* How many bits of a word are set. */
INLINE uint32_t count_of(uint32_t word) {
#if defined(__POPCNT__) || defined(__wasm__) || defined(__riscv_zbb)
    return (uint32_t)__builtin_popcount(word);
#else
    word -= word >> 1 & 0x55555555u;
    word = (word & 0x33333333u) + (word >> 2 & 0x33333333u);
    return ((word + (word >> 4)) & 0x0f0f0f0fu) * 0x01010101u >> 24;
#endif
}

/* Sets `count` bits of `to` from `at` on, which are zero, to those of `from` from `start` on; or to 1, without `from`. */
INLINE void copy_bits(uint32_t *to, int32_t at, const uint32_t *from, int32_t start, int32_t count) {
    while (count > 0) {
        int32_t n = smaller(count, 32), shift = start & 31, place = at & 31;
        uint32_t bits = 0xffffffffu;
        if (from) {
            bits = from[start >> 5] >> shift;
            if (shift + n > 32) bits |= from[(start >> 5) + 1] << (32 - shift);
        }
        bits &= 0xffffffffu >> (32 - n);
        to[at >> 5] |= bits << place;
        if (place + n > 32) to[(at >> 5) + 1] |= bits >> (32 - place);
        count -= n, start += n, at += n;
    }
}

/* Up to 32 bits of as many channels. */
INLINE uint32_t compare(const float *x, const float *threshold, int32_t count) {
    uint32_t bits = 0;
    int32_t c = 0;
    for (; c + COMPARED <= count; c += COMPARED) bits |= AT_LEAST(x + c, threshold + c) << c;
    for (; c < count; c++) bits |= (uint32_t)(x[c] >= threshold[c]) << c;
    return bits;
}

/* The bits of a convolution's input: (group, row, words), the channels of a group's pixels one after the other. */
static void pack(const Binary *op, const float *x, uint32_t *bits) {
    int32_t group_in = op->in.channels / op->window.groups;
    for (int32_t group = 0; group < op->window.groups; group++)
        for (int32_t row = 0; row < op->in.height; row++) {
            const float *from = x + row * op->in.width * op->in.channels + group * group_in;
            uint64_t pending = 0;
            int32_t filled = 0;
            for (int32_t column = 0; column < op->in.width; column++, from += op->in.channels)
                for (int32_t c = 0; c < group_in; c += 32) {
                    int32_t n = smaller(group_in - c, 32);
                    const float *threshold = op->threshold + group * group_in + c;
                    pending |= (uint64_t)compare(from + c, threshold, n) << filled;
                    if ((filled += n) >= 32) *bits++ = (uint32_t)pending, pending >>= 32, filled -= 32;
                }
            if (filled) *bits++ = (uint32_t)pending;
        }
}

/* Counts of `vectors` vectors of a group's `n` output channels over a window; of fewer than a vector, if `vectors` is 0. */
INLINE void count_bits(int mode, int vectors, const uint32_t *x, const uint32_t *mask, const uint32_t *weights,
                       int32_t words, int32_t n, uint32_t *counts) {
    Vector sums[AT_ONCE];
    int some = vectors == 0;
    vectors += some;
    for (int v = 0; v < vectors; v++) sums[v] = ZERO;
    for (int32_t start = 0; start < words; start += MOST) {
        Vector few[AT_ONCE];
        for (int v = 0; v < vectors; v++) few[v] = ZERO;
        for (int32_t i = start; i < smaller(start + MOST, words); i++) {
            Vector word = ALL(x[i]);
            for (int v = 0; v < vectors; v++) {
                const uint32_t *at = weights + i * n + v * LANES;
                Vector weight = some ? LOAD_SOME(at, n) : LOAD(at);
                Vector bits = mode == ZERO_ONE ? AND(word, weight) : XOR(word, weight);
                if (mode == SIGNS_AT_BORDER) bits = AND(bits, ALL(mask[i]));
                few[v] = COUNT(few[v], bits);
            }
        }
        for (int v = 0; v < vectors; v++) sums[v] = FLUSH(sums[v], few[v]);
    }
    for (int v = 0; v < vectors; v++) STORE(counts + v * LANES, sums[v]);
}

/* The sums of a group's `n` output channels. */
INLINE void group_sums(int mode, const uint32_t *x, const uint32_t *mask, const uint32_t *weights, int32_t words,
                       int32_t n, int32_t base, float *sums) {
    uint32_t counts[AT_ONCE * LANES];
    int32_t sign = mode == ZERO_ONE ? 2 : -2;
    for (int32_t c = 0, done = 0; c < n; c += done) {
        if (c + AT_ONCE * LANES <= n) {
            done = AT_ONCE * LANES;
            count_bits(mode, AT_ONCE, x, mask, weights + c, words, n, counts);
        } else if (n < LANES) {
            done = n;
            count_bits(mode, 0, x, mask, weights, words, n, counts);
        } else { /* of the last vector some may be done already */
            done = LANES;
            c = smaller(c, n - LANES);
            count_bits(mode, 1, x, mask, weights + c, words, n, counts);
        }
        for (int32_t i = 0; i < done; i++) sums[c + i] = (float)(base + sign * (int32_t)counts[i]);
    }
}

/* Fills a window with bits of the input, or, without input, with ones where it meets no padding. */
INLINE void gather(const Binary *op, const uint32_t *bits, Taps down, Taps across, uint32_t *window) {
    const Window *w = &op->window;
    int32_t group_in = op->in.channels / w->groups, run = w->dilation == 1 ? across.end - across.first : 1;
    for (int32_t i = 0; i < op->words; i++) window[i] = 0;
    for (int32_t ky = down.first; ky < down.end; ky++)
        for (int32_t kx = across.first; kx < across.end; kx += run) {
            const uint32_t *row = bits ? bits + (down.origin + ky * w->dilation) * op->row_words : NULL;
            int32_t start = (across.origin + kx * w->dilation) * group_in;
            copy_bits(window, (ky * w->size + kx) * group_in, row, start, run * group_in);
        }
}

/* `memory` has room for a window, its mask and the input's bits; `sums` for one number an output channel. */
static void binary_convolution(const Binary *op, const float *x, const float *shortcut, float *y, uint32_t *memory,
                               float *sums) {
    const Window *w = &op->window;
    int32_t n = op->out.channels / w->groups, words = op->words, image_words = op->in.height * op->row_words;
    int32_t group_in = op->in.channels / w->groups;
    uint32_t *mask = memory + words, *bits = mask + words;
    pack(op, x, bits);
    for (int32_t pixel = 0; pixel < op->out.height * op->out.width; pixel++) {
        Taps down = taps_of(w, pixel / op->out.width, op->in.height);
        Taps across = taps_of(w, pixel % op->out.width, op->in.width);
        int32_t taps = (down.end - down.first) * (across.end - across.first);
        int inside = taps == w->size * w->size;
        if (!inside) gather(op, NULL, down, across, mask);
        for (int32_t group = 0; group < w->groups; group++) {
            const uint32_t *weights = op->weights + group * words * n;
            gather(op, bits + group * image_words, down, across, memory);
            if (op->zero_one) {
                uint32_t set = 0;
                for (int32_t i = 0; i < words; i++) set += count_of(memory[i]);
                group_sums(ZERO_ONE, memory, NULL, weights, words, n, -(int32_t)set, sums + group * n);
            } else if (inside) {
                group_sums(SIGNS, memory, NULL, weights, words, n, taps * group_in, sums + group * n);
            } else {
                group_sums(SIGNS_AT_BORDER, memory, mask, weights, words, n, taps * group_in, sums + group * n);
            }
        }
        finish(&op->tail, &op->out, pixel, shortcut, sums, y);
    }
}
/* end */

/* part: float-convolution */
/* Weights are (tap, input channel of the group, output channel), of 32 bits or of 8. */
typedef struct {
    Shape in, out;
    Window window;
    const float *weights;
    const int8_t *small_weights;
    Tail tail;
} Convolution;

enum { BLOCK = 8 }; /* output channels whose sums are in registers */

INLINE void add_products(const Convolution *op, float x, int32_t at, int32_t count, float *sums) {
    if (op->weights)
        for (int32_t i = 0; i < count; i++) sums[i] += x * op->weights[at + i];
    else
        for (int32_t i = 0; i < count; i++) sums[i] += x * (float)op->small_weights[at + i];
}

/* The sums of a block of output channels from `first` on, of an output pixel. */
INLINE void block_sums(const Convolution *op, const float *x, Taps down, Taps across, int32_t first, int32_t count,
                       float *sums) {
    const Window *w = &op->window;
    int32_t group_in = op->in.channels / w->groups, group = first / (op->out.channels / w->groups);
    for (int32_t i = 0; i < count; i++) sums[i] = 0;
    for (int32_t ky = down.first; ky < down.end; ky++)
        for (int32_t kx = across.first; kx < across.end; kx++) {
            int32_t row = down.origin + ky * w->dilation, column = across.origin + kx * w->dilation;
            const float *from = x + (row * op->in.width + column) * op->in.channels + group * group_in;
            int32_t at = (ky * w->size + kx) * group_in * op->out.channels + first;
            for (int32_t c = 0; c < group_in; c++, at += op->out.channels) add_products(op, from[c], at, count, sums);
        }
}

static void float_convolution(const Convolution *op, const float *x, const float *shortcut, float *y, float *sums) {
    const Window *w = &op->window;
    int32_t n = op->out.channels / w->groups;
    for (int32_t pixel = 0; pixel < op->out.height * op->out.width; pixel++) {
        Taps down = taps_of(w, pixel / op->out.width, op->in.height);
        Taps across = taps_of(w, pixel % op->out.width, op->in.width);
        for (int32_t group = 0; group < w->groups; group++)
            for (int32_t c = 0; c < n; c += BLOCK) {
                float block[BLOCK];
                int32_t first = group * n + c, count = smaller(BLOCK, n - c);
                if (count == BLOCK)
                    block_sums(op, x, down, across, first, BLOCK, block);
                else
                    block_sums(op, x, down, across, first, count, block);
                for (int32_t i = 0; i < count; i++) sums[first + i] = block[i];
            }
        finish(&op->tail, &op->out, pixel, shortcut, sums, y);
    }
}
/* end */

/* part: pointwise */
typedef struct {
    Shape out;
    Tail tail;
} Pointwise;

static void pointwise(const Pointwise *op, const float *x, const float *shortcut, float *y, float *sums) {
    for (int32_t pixel = 0; pixel < op->out.height * op->out.width; pixel++) {
        for (int32_t c = 0; c < op->out.channels; c++) sums[c] = x[pixel * op->out.channels + c];
        finish(&op->tail, &op->out, pixel, shortcut, sums, y);
    }
}
/* end */

/* part: product */
/* `step` is the distance of pixels in `by`: 0 where it has one number a channel. */
typedef struct {
    Shape out;
    int32_t step;
    Tail tail;
} Product;

static void product(const Product *op, const float *x, const float *shortcut, float *y, const float *by, float *sums) {
    int32_t n = op->out.channels;
    for (int32_t pixel = 0; pixel < op->out.height * op->out.width; pixel++, by += op->step) {
        for (int32_t c = 0; c < n; c++) sums[c] = x[pixel * n + c] * by[c];
        finish(&op->tail, &op->out, pixel, shortcut, sums, y);
    }
}
/* end */

/* part: max-pool mean-pool */
typedef struct {
    Shape in, out;
    Window window;
} Pool;

/* The mean of every window, or its largest number, without padding. */
INLINE void pool(const Pool *op, float start, int mean, const float *x, float *y) {
    int32_t n = op->out.channels;
    for (int32_t pixel = 0; pixel < op->out.height * op->out.width; pixel++, y += n) {
        Taps down = taps_of(&op->window, pixel / op->out.width, op->in.height);
        Taps across = taps_of(&op->window, pixel % op->out.width, op->in.width);
        float count = (float)((down.end - down.first) * (across.end - across.first));
        for (int32_t c = 0; c < n; c++) y[c] = start;
        for (int32_t ky = down.first; ky < down.end; ky++)
            for (int32_t kx = across.first; kx < across.end; kx++) {
                const float *from = x + ((down.origin + ky) * op->in.width + across.origin + kx) * n;
                if (mean)
                    for (int32_t c = 0; c < n; c++) y[c] += from[c];
                else
                    for (int32_t c = 0; c < n; c++) y[c] = from[c] > y[c] ? from[c] : y[c];
            }
        for (int32_t c = 0; mean && c < n; c++) y[c] /= count;
    }
}
/* end */

/* part: mean-pool */
static void mean_pool(const Pool *op, const float *x, float *y) { pool(op, 0, 1, x, y); }
/* end */

/* part: max-pool */
static void max_pool(const Pool *op, const float *x, float *y) {
    const union {
        uint32_t bits;
        float value;
    } minus_infinity = {0xff800000u};
    pool(op, minus_infinity.value, 0, x, y);
}
/* end */

/* part: global-average */
static void global_average(int32_t pixels, int32_t channels, const float *x, float *y) {
    for (int32_t c = 0; c < channels; c++) y[c] = 0;
    for (int32_t pixel = 0; pixel < pixels; pixel++)
        for (int32_t c = 0; c < channels; c++) y[c] += x[pixel * channels + c];
    for (int32_t c = 0; c < channels; c++) y[c] /= (float)pixels;
}
/* end */

/* part: concatenate */
/* The channels of one tensor to those of a wider one from `y` on. */
static void copy_channels(int32_t pixels, int32_t channels, int32_t out_channels, const float *x, float *y) {
    for (int32_t pixel = 0; pixel < pixels; pixel++)
        for (int32_t c = 0; c < channels; c++) y[pixel * out_channels + c] = x[pixel * channels + c];
}
/* end */

/* part: zero */
static void zero(int32_t count, float *y) {
    for (int32_t i = 0; i < count; i++) y[i] = 0;
}
/* end */
