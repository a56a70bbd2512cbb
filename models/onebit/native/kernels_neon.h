/* Kernels for arm64 with NEON: table lookup by `tbl`; included by engine.c.
 *
 * The technique of AVX2 (see lookup_table.h and kernels_avx2.h) with vectors of 16 bytes: one lookup counts the unequal
 * bits of a nibble for two pixels and 16 output channels. A loop of `eor`, `cnt` and `add` needs about as many
 * instructions for a product, but more of those that vector units execute, and has no way to leave padding out. The
 * dot products of later processors (sdot, i8mm) multiply bytes: eight times the data for the same sums.
 */

#define LOOKUP_TARGET
#define PACK_EIGHTS pack_pixels_neon

/* Four bits, as a nibble. */
static inline uint8_t reached_neon(const float *x, const float *threshold) {
    static const uint32_t bits[4] = {1, 2, 4, 8};
    return (uint8_t)vaddvq_u32(vandq_u32(vcgeq_f32(vld1q_f32(x), vld1q_f32(threshold)), vld1q_u32(bits)));
}

/* The same as `pack_pixels_plain` for groups of a multiple of eight channels. */
static void pack_pixels_neon(const Operation *op, const Layout *l, const float *x, int first, int last, uint8_t *out) {
    const int channels = op->in_channels, bytes = l->bytes, group = l->group_in, width = op->in_width;
    const int64_t line = (int64_t)l->width * bytes, jump = l->height * line - bytes;
    const float *threshold = op->threshold;
    int row = first / width + op->padding, column = first % width;
    const int padding = op->padding;
    for (int pixel = first; pixel < last; pixel++) {
        uint8_t *to = out + row * line + (int64_t)(column + padding) * bytes;
        for (int c = 0, left = group; c < channels; c += 4, x += 4) {
            *to++ = reached_neon(x, threshold + c);
            if ((left -= 4) == 0) left = group, to += jump;
        }
        if (++column == width) column = 0, row++;
    }
}

/* The table's offsets for all nibbles of two pixels' windows, filled up with the row of zeros. */
static inline void gather_pair(const Operation *op, const Layout *l, const uint8_t *a, const uint8_t *b,
                               uint16_t *out) {
    const int count = l->run_bytes, runs = l->runs;
    uint16_t *end = out + padded_terms(l);
    for (int run = 0; run < runs; run++, out += count) {
        const int64_t offset = run_offset(op, l, run);
        for (int i = 0; i < count; i += 8) { /* overruns into what the next run writes */
            const uint16x8_t x = vmovl_u8(vld1_u8(a + offset + i)), y = vmovl_u8(vld1_u8(b + offset + i));
            vst1q_u16(out + i, vshlq_n_u16(vmlaq_n_u16(x, y, ROWS), 4)); /* 16 * (a + 17 b) */
        }
    }
    while (out < end) *out++ = NOTHING;
}

/* Counters of one vector of output channels: 16-bit counts for the first and the second pixel of a pair. */
typedef struct {
    uint16x8_t first[2], second[2];
} Counts;

/* Even bytes, then odd ones (see `channel_of_lane`), to `n`; added to it unless `fresh`. */
INLINE void widen_half(uint8x16_t bytes, uint16x8_t n[2], int fresh) {
    const uint16x8_t both = vreinterpretq_u16_u8(bytes), even = vandq_u16(both, vdupq_n_u16(255));
    n[0] = fresh ? even : vaddq_u16(n[0], even);
    n[1] = fresh ? vshrq_n_u16(both, 8) : vsraq_n_u16(n[1], both, 8);
}

/* Widen sums in bytes. With u and v the counts of both pixels, t = u + 16 v modulo 256, and s = v. */
INLINE void widen(uint8x16_t t, uint8x16_t s, Counts *counts, int fresh) {
    widen_half(vsubq_u8(t, vshlq_n_u8(s, 4)), counts->first, fresh);
    widen_half(s, counts->second, fresh);
}

INLINE void store_sums(const Target *to, int pixel, int channel, uint16x8_t n) {
    int16x8_t base = vsubq_s16(vld1q_s16(to->base + channel), vdupq_n_s16((int16_t)to->extra[pixel]));
    const int16x8_t counted = vreinterpretq_s16_u16(vshlq_u16(n, vdupq_n_s16((int16_t)to->shift)));
    vst1q_s16(to->sums + (int64_t)pixel * to->stride + channel, vsubq_s16(base, counted));
}

/* Sums of the pixels that were counted together; what overruns a row is overwritten, or lies in its slack. */
INLINE void store_counts(const int O, const Counts *counts, const Target *to) {
    UNROLL for (int i = 0; i < 2 * O; i++) UNROLL for (int second = 0; second < 2; second++) {
        const uint16x8_t *n = second ? counts[i].second : counts[i].first;
        store_sums(to, 2 * (i / O) + second, 16 * (i % O), n[0]);
        store_sums(to, 2 * (i / O) + second, 16 * (i % O) + 8, n[1]);
    }
}

/* Count unequal bits over `flushes` times `triples` times three nibbles, for two pairs of pixels by O vectors of 16
 * output channels. A byte of x holds at most 12 for each pixel, so three lookups are added before the upper counts are
 * shifted out; after 63 nibbles bytes are full and are widened. */
INLINE void lookup(const int O, const uint16_t *const *index, const uint8_t *weights, int flushes, int triples,
                   Counts *counts, int fresh, const Target *to) {
    const uint16_t *q[2] = {index[0], index[1]};
    for (int flush = 0; flush < flushes; flush++) {
        uint8x16_t t[2][4], s[2][4];
        UNROLL for (int p = 0; p < 2; p++) UNROLL for (int o = 0; o < O; o++) t[p][o] = s[p][o] = vdupq_n_u8(0);
        for (int triple = 0; triple < triples; triple++, weights += 48 * O) {
            uint8x16_t x[2][4];
            UNROLL for (int i = 0; i < 3; i++) {
                const uint8x16_t row[2] = {vld1q_u8(table + *q[0]++), vld1q_u8(table + *q[1]++)};
                UNROLL for (int o = 0; o < O; o++) {
                    const uint8x16_t w = vld1q_u8(weights + 16 * (i * O + o));
                    UNROLL for (int p = 0; p < 2; p++) {
                        const uint8x16_t found = vqtbl1q_u8(row[p], w);
                        x[p][o] = i == 0 ? found : vaddq_u8(x[p][o], found);
                    }
                }
            }
            UNROLL for (int p = 0; p < 2; p++) UNROLL for (int o = 0; o < O; o++) {
                t[p][o] = vaddq_u8(t[p][o], x[p][o]);
                s[p][o] = vsraq_n_u8(s[p][o], x[p][o], 4);
            }
        }
        UNROLL for (int p = 0; p < 2; p++) UNROLL for (int o = 0; o < O; o++)
            widen(t[p][o], s[p][o], &counts[p * O + o], fresh && flush == 0);
    }
    if (to) store_counts(O, counts, to);
}

typedef void (*Lookup)(const uint16_t *const *, const uint8_t *, int, int, Counts *, int, const Target *);
#define LOOKUP(name, O)                                                                                                \
    static void name(const uint16_t *const *index, const uint8_t *weights, int flushes, int triples, Counts *counts,   \
                     int fresh, const Target *to) {                                                                    \
        lookup(O, index, weights, flushes, triples, counts, fresh, to);                                                \
    }
LOOKUP(lookup_bytes_1, 1)
LOOKUP(lookup_bytes_2, 2)
LOOKUP(lookup_bytes_3, 3)
LOOKUP(lookup_bytes_4, 4)
static const Lookup LOOKUPS[] = {[BYTES_1] = lookup_bytes_1, [BYTES_2] = lookup_bytes_2, [BYTES_3] = lookup_bytes_3,
                                 [BYTES_4] = lookup_bytes_4};
