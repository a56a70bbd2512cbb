/* Kernels for x86-64 with AVX2: table lookup by shuffles; included by engine.c. */

#define LOOKUP_TARGET AVX2
#define PACK_EIGHTS pack_pixels_avx2

/* The same for groups of a multiple of eight channels. */
AVX2 static void pack_pixels_avx2(const Operation *op, const Layout *l, const float *x, int first, int last,
                                  uint8_t *out) {
    const int channels = op->in_channels, nibbles = l->bytes, group = l->group_in;
    const int64_t line = (int64_t)l->width * nibbles, jump = l->height * line - nibbles;
    const float *threshold = op->threshold;
    int row = first / op->in_width + op->padding, column = first % op->in_width;
    for (int pixel = first; pixel < last; pixel++) {
        uint8_t *to = out + row * line + (int64_t)(column + op->padding) * nibbles;
        for (int c = 0, left = group; c < channels; c += 8, x += 8, to += 2) {
            __m256 reached = _mm256_cmp_ps(_mm256_loadu_ps(x), _mm256_load_ps(threshold + c), _CMP_GE_OQ);
            store_nibbles(_mm256_movemask_ps(reached), to);
            if ((left -= 8) == 0) left = group, to += jump;
        }
        if (++column == op->in_width) column = 0, row++;
    }
}

/* The table's offsets for all nibbles of two pixels' windows, filled up with the row of zeros. */
AVX2 INLINE void gather_pair(const Operation *op, const Layout *l, const uint8_t *a, const uint8_t *b, uint16_t *out) {
    const int count = l->run_bytes;
    uint16_t *end = out + padded_terms(l);
    for (int run = 0; run < l->runs; run++, out += count) {
        const int64_t offset = run_offset(op, l, run);
        for (int i = 0; i < count; i += 16) { /* overruns into what the next run writes */
            __m256i x = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(a + offset + i)));
            __m256i y = _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)(b + offset + i)));
            x = _mm256_add_epi16(x, _mm256_add_epi16(y, _mm256_slli_epi16(y, 4))); /* a + 17 b */
            _mm256_storeu_si256((__m256i *)(out + i), _mm256_slli_epi16(x, 4));
        }
    }
    while (out < end) *out++ = NOTHING;
}

/* A row of the table for both halves of a vector, or one row for each half. */
#define ROW(offset) _mm_load_si128((const __m128i *)(table + (offset)))
#define ROW_WIDE(q, i) _mm256_broadcastsi128_si256(ROW((q)[i]))
#define ROW_HALF(q, r, i) _mm256_inserti128_si256(_mm256_castsi128_si256(ROW((q)[i])), ROW((r)[i]), 1)
#define SHUFFLE(t, w) _mm256_shuffle_epi8(t, _mm256_load_si256((const __m256i *)(w)))

/* Counters of one vector of output channels: 16-bit counts for the first and the second pixel of a pair. */
typedef struct {
    __m256i first[2], second[2];
} Counts;

/* Widen the sums that `lookup` keeps in bytes. With u and v the counts of both pixels, byte sums are t = u + 16 v, and
 * s = v plus 16 times the u of the next higher byte, all modulo 256; high bytes have none above and come first. */
AVX2 INLINE void widen(__m256i t, __m256i s, Counts *counts, int fresh) {
    const __m256i low = _mm256_set1_epi16(255);
    __m256i v1 = _mm256_srli_epi16(s, 8);
    __m256i u1 = _mm256_and_si256(_mm256_sub_epi16(_mm256_srli_epi16(t, 8), _mm256_slli_epi16(v1, 4)), low);
    __m256i v0 = _mm256_and_si256(_mm256_sub_epi16(s, _mm256_slli_epi16(u1, 4)), low);
    __m256i u0 = _mm256_and_si256(_mm256_sub_epi16(t, _mm256_slli_epi16(v0, 4)), low);
    if (fresh) {
        counts->first[0] = u0, counts->first[1] = u1, counts->second[0] = v0, counts->second[1] = v1;
        return;
    }
    counts->first[0] = _mm256_add_epi16(counts->first[0], u0);
    counts->first[1] = _mm256_add_epi16(counts->first[1], u1);
    counts->second[0] = _mm256_add_epi16(counts->second[0], v0);
    counts->second[1] = _mm256_add_epi16(counts->second[1], v1);
}

AVX2 INLINE void store_sums(const Target *to, int pixel, int channel, __m256i n) {
    __m256i base = _mm256_loadu_si256((const __m256i *)(to->base + channel));
    base = _mm256_sub_epi16(base, _mm256_set1_epi16((int16_t)to->extra[pixel]));
    base = _mm256_sub_epi16(base, _mm256_sll_epi16(n, _mm_cvtsi32_si128(to->shift)));
    _mm256_storeu_si256((__m256i *)(to->sums + (int64_t)pixel * to->stride + channel), base);
}

/* Sums of the pixels that were counted together; what overruns a row is overwritten, or lies in its slack. */
AVX2 INLINE void store_counts(const int half, const int P, const int O, const Counts *counts, const Target *to) {
    for (int i = 0; i < P * O; i++)
        for (int second = 0; second < 2; second++) {
            const __m256i *n = second ? counts[i].second : counts[i].first;
            if (half) { /* lower halves are those of the first pair of pixels, upper halves of the next one */
                store_sums(to, second, 16 * i, _mm256_permute2x128_si256(n[0], n[1], 0x20));
                store_sums(to, 2 + second, 16 * i, _mm256_permute2x128_si256(n[0], n[1], 0x31));
            } else {
                store_sums(to, 2 * (i / O) + second, 32 * (i % O), n[0]);
                store_sums(to, 2 * (i / O) + second, 32 * (i % O) + 16, n[1]);
            }
        }
}

/* Count unequal bits over `flushes` times `triples` times three nibbles, for P vectors of pixels by O of channels.
 *
 * index[0] to index[P - 1] are the pairs of pixels of each vector; for half vectors (16 channels, twice) index[2 p] and
 * index[2 p + 1]. A byte of x holds at most 12 for each pixel, so three shuffles are added before the upper counts are
 * shifted out; after 63 nibbles bytes are full and are widened. Counts begin with zero where `fresh`, else with what is
 * there, and become sums where `to` is given. All of P, O and half are constants where it is used. */
AVX2 INLINE void lookup(const int half, const int P, const int O, const uint16_t *const *index, const uint8_t *weights,
                        int flushes, int triples, Counts *counts, int fresh, const Target *to) {
    const uint16_t *q[4];
    for (int i = 0; i < (half ? 2 * P : P); i++) q[i] = index[i];
    for (int flush = 0; flush < flushes; flush++) {
        __m256i t[4], s[4];
        for (int i = 0; i < P * O; i++) t[i] = s[i] = _mm256_setzero_si256();
        for (int triple = 0; triple < triples; triple++) {
            __m256i x[4];
            for (int p = 0; p < P; p++) {
                for (int i = 0; i < 3; i++) {
                    __m256i row = half ? ROW_HALF(q[2 * p], q[2 * p + 1], i) : ROW_WIDE(q[p], i);
                    for (int o = 0; o < O; o++) {
                        __m256i found = SHUFFLE(row, weights + 32 * (i * O + o));
                        x[p * O + o] = i == 0 ? found : _mm256_add_epi8(x[p * O + o], found);
                    }
                }
                for (int o = 0; o < O; o++) {
                    t[p * O + o] = _mm256_add_epi8(t[p * O + o], x[p * O + o]);
                    s[p * O + o] = _mm256_add_epi8(s[p * O + o], _mm256_srli_epi16(x[p * O + o], 4));
                }
            }
            for (int i = 0; i < (half ? 2 * P : P); i++) q[i] += 3;
            weights += 96 * O;
        }
        for (int i = 0; i < P * O; i++) widen(t[i], s[i], &counts[i], fresh && flush == 0);
    }
    if (to) store_counts(half, P, O, counts, to);
}

typedef void (*Lookup)(const uint16_t *const *, const uint8_t *, int, int, Counts *, int, const Target *);
#define LOOKUP(name, half, P, O)                                                                                       \
    AVX2 static void name(const uint16_t *const *index, const uint8_t *weights, int flushes, int triples,              \
                          Counts *counts, int fresh, const Target *to) {                                               \
        Counts local[P * O];                                                                                           \
        if (fresh && to && flushes == 1) /* in registers */                                                            \
            lookup(half, P, O, index, weights, 1, triples, local, 1, to);                                              \
        else                                                                                                           \
            lookup(half, P, O, index, weights, flushes, triples, counts, fresh, to);                                   \
    }
LOOKUP(lookup_wide_1, 0, 1, 1)
LOOKUP(lookup_wide_2, 0, 1, 2)
LOOKUP(lookup_wide_3, 0, 1, 3)
LOOKUP(lookup_wide_4, 0, 1, 4)
LOOKUP(lookup_half_1, 1, 1, 1)
LOOKUP(lookup_half_2, 1, 1, 2)
LOOKUP(lookup_half_3, 1, 1, 3)
LOOKUP(lookup_pair_1, 0, 2, 1)
LOOKUP(lookup_pair_2, 0, 2, 2)
static const Lookup LOOKUPS[] = {0,
                                 lookup_wide_1, lookup_wide_2, lookup_wide_3, lookup_wide_4,
                                 lookup_half_1, lookup_half_2, lookup_half_3,
                                 lookup_pair_1, lookup_pair_2};

/* A batch norm, a shortcut (where there is `added`), RPReLU, and the signs for the next binary convolution, eight
 * channels at a time: the same as `finish` and `pack_pixels`, with the numbers of each eight channels side by side. */
AVX2 INLINE void fuse(const int integers, const int added, const Operation *op, const Memory *m, const Next *next,
                      int first, int last, Row row, int64_t stride) {
    const __m256 zero = _mm256_setzero_ps();
    const int channels = op->out_channels, width = op->out_width, given = op->shortcut_channels;
    const int nibbles = next->layout.bytes, group = next->layout.group_in, padding = next->op->padding;
    const int64_t line = (int64_t)next->layout.width * nibbles, jump = next->layout.height * line - nibbles;
    const int16_t *sums = row.integers;
    const float *floats = row.floats;
    float *out = m->tensors + op->output + (int64_t)first * channels;
    int y = first / width, x = first % width;
    for (int pixel = first; pixel < last; pixel++) {
        const float *begin = m->tensors + op->shortcut + (int64_t)pixel * given, *numbers = op->fused;
        if (added && op->shortcut_stride > 1) mean_row(op, m->tensors + op->shortcut, y, x, m->row), begin = m->row;
        const float *shortcut = begin, *end = begin + given;
        uint8_t *to = next->bits + (y + padding) * line + (int64_t)(x + padding) * nibbles;
        for (int c = 0, left = group; c < channels; c += 8, numbers += 5 * 8, out += 8, to += 2) {
            __m256 v;
            if (integers) v = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(sums + c))));
            else v = _mm256_loadu_ps(floats + c);
            v = _mm256_add_ps(_mm256_mul_ps(v, _mm256_load_ps(numbers)), _mm256_load_ps(numbers + 8));
            if (added) v = _mm256_add_ps(v, _mm256_loadu_ps(shortcut));
            if (added && (shortcut += 8) == end) shortcut = begin;
            __m256 negative = _mm256_mul_ps(v, _mm256_load_ps(numbers + 16));
            v = _mm256_blendv_ps(negative, v, _mm256_cmp_ps(v, zero, _CMP_GT_OQ));
            v = _mm256_add_ps(v, _mm256_load_ps(numbers + 24));
            _mm256_storeu_ps(out, v);
            int bits = _mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_load_ps(numbers + 32), _CMP_GE_OQ));
            store_nibbles(bits, to);
            if ((left -= 8) == 0) left = group, to += jump;
        }
        if (integers) sums += stride;
        else floats += stride;
        if (++x == width) x = 0, y++;
    }
}

AVX2 static void fuse_sums(const Operation *op, const Memory *m, const Next *next, int first, int last, Row row,
                           int64_t stride) {
    fuse(1, 1, op, m, next, first, last, row, stride);
}

AVX2 static void fuse_floats(const Operation *op, const Memory *m, const Next *next, int first, int last, Row row,
                             int64_t stride) {
    fuse(0, 0, op, m, next, first, last, row, stride);
}
