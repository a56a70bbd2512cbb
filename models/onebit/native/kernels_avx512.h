/* Kernels for x86-64 with AVX-512 (F, BW, DQ, VL, VPOPCNTDQ): popcounts of words; included by engine.c.
 *
 * A vector holds a 32-bit word of the weights of 16 output channels, and is compared with the same word of a pixel's
 * window, broadcast: three operations (unequal bits, their count, the sum) for 512 products, and no lane is wasted
 * on groups of 48 or 96 channels. Counts are 32 bits wide, so that nothing overflows or is widened. Eight channels of a
 * pixel lie in a byte; where a group does not fill its last byte, bits are zero in inputs and weights alike.
 */

/* --------------------------------------------------------------------------------------------------- packing floats */

/* The lowest `count` bytes (at most four) of a word. */
static inline void store_bytes(uint8_t *to, uint32_t word, int count) {
    if (count == 4) {
        memcpy(to, &word, 4);
        return;
    }
    if (count & 2) memcpy(to, &word, 2), word >>= 16, to += 2;
    if (count & 1) *to = (uint8_t)word;
}

/* `count` bits from bit `at` on, to whole bytes; what fills up the last one is zero. Eight bytes behind may be read. */
AVX512 INLINE void move_bits(const uint8_t *from, int at, int count, uint8_t *to) {
    for (; count > 0; count -= 32, at += 32, to += 4) {
        uint64_t word;
        memcpy(&word, from + (at >> 3), 8);
        const int bits = smaller(count, 32);
        store_bytes(to, (uint32_t)_bzhi_u64(word >> (at & 7), (unsigned)bits), (bits + 7) / 8);
    }
}

/* Deal out the rows of bits of pixels [first, last) to the groups' padded memory. */
AVX512 static void deal_out(const Operation *op, const Layout *l, const uint8_t *rows, int first, int last,
                            uint8_t *out) {
    const int64_t plane = (int64_t)l->height * l->width * l->bytes, line = (int64_t)l->width * l->bytes;
    const int64_t distance = flag_stride(op->in_channels);
    int row = first / op->in_width + op->padding, column = first % op->in_width;
    for (int pixel = first; pixel < last; pixel++, rows += distance) {
        uint8_t *to = out + row * line + (int64_t)(column + op->padding) * l->bytes;
        for (int group = 0; group < op->groups; group++, to += plane)
            move_bits(rows, group * l->group_in, l->group_in, to);
        if (++column == op->in_width) column = 0, row++;
    }
}

/* Nibbles' counterpart of `pack_pixels_plain`: all of the pixels' bits first, then groups. */
AVX512 static void pack_pixels_avx512(const Operation *op, const Layout *l, uint8_t *rows, const float *x, int first,
                                      int last, uint8_t *out) {
    const int channels = op->in_channels;
    const int64_t distance = flag_stride(channels);
    for (; first < last; first += TILE) {
        const int end = smaller(first + TILE, last);
        uint8_t *row = rows;
        for (int pixel = first; pixel < end; pixel++, x += channels, row += distance)
            for (int c = 0; c < channels; c += 16) {
                const __mmask16 valid = (__mmask16)_bzhi_u32(0xffff, (unsigned)smaller(16, channels - c));
                __m512 values = _mm512_maskz_loadu_ps(valid, x + c);
                __m512 threshold = _mm512_load_ps(op->threshold + c);
                uint16_t bits = _mm512_mask_cmp_ps_mask(valid, values, threshold, _CMP_GE_OQ);
                memcpy(row + c / 8, &bits, 2);
            }
        deal_out(op, l, rows, first, end, out);
    }
}

/* ------------------------------------------------------------------------------------------------------------- sums */

/* Pixels of a tile: few enough that their sums stay in the first cache, and a multiple of what kernels take. */
static int words_tile_size(const Layout *l) {
    const int fit = SUM_BYTES / (2 * l->stride) / 8 * 8;
    return fit < 16 ? 16 : smaller(fit, TILE);
}

/* Unequal bits of P pixels, whose words lie `distance` apart, and O vectors of output channels; only where `valid`
 * has ones, if `masked`. Becomes sums at `to`. P, O and `masked` are constants where this is used. */
AVX512 INLINE void count_words(const int masked, const int P, const int O, const uint32_t *words, const uint32_t *valid,
                               int64_t distance, const uint32_t *weights, int count, const Target *to) {
    __m512i n[8][4];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int o = 0; o < O; o++) n[p][o] = _mm512_setzero_si512();
    for (int i = 0; i < count; i++, weights += 16 * O) {
        __m512i w[4];
        UNROLL for (int o = 0; o < O; o++) w[o] = _mm512_load_si512(weights + 16 * o);
        UNROLL for (int p = 0; p < P; p++) {
            const __m512i x = _mm512_set1_epi32((int)words[p * distance + i]);
            const __m512i mask = _mm512_set1_epi32(masked ? (int)valid[p * distance + i] : -1);
            UNROLL for (int o = 0; o < O; o++) {
                const __m512i unequal = masked ? _mm512_ternarylogic_epi32(x, w[o], mask, 0x28) /* (x ^ w) & mask */
                                               : _mm512_xor_si512(x, w[o]);
                n[p][o] = _mm512_add_epi32(n[p][o], _mm512_popcnt_epi32(unequal));
            }
        }
    }
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int o = 0; o < O; o++) {
        __m256i base = _mm256_loadu_si256((const __m256i *)(to->base + 16 * o));
        base = _mm256_sub_epi16(base, _mm256_set1_epi16((int16_t)to->extra[p]));
        const __m256i counted = _mm256_sll_epi16(_mm512_cvtepi32_epi16(n[p][o]), _mm_cvtsi32_si128(to->shift));
        _mm256_storeu_si256((__m256i *)(to->sums + p * (int64_t)to->stride + 16 * o), _mm256_sub_epi16(base, counted));
    }
}

typedef void (*CountWords)(const uint32_t *, const uint32_t *, int64_t, const uint32_t *, int, const Target *);
#define COUNT_WORDS(name, masked, P, O)                                                                                \
    AVX512 static void name(const uint32_t *words, const uint32_t *valid, int64_t distance, const uint32_t *weights,   \
                            int count, const Target *to) {                                                             \
        count_words(masked, P, O, words, valid, distance, weights, count, to);                                         \
    }
COUNT_WORDS(count_words_1, 0, 8, 1)
COUNT_WORDS(count_words_2, 0, 8, 2)
COUNT_WORDS(count_words_3, 0, 4, 3)
COUNT_WORDS(count_words_4, 0, 4, 4)
COUNT_WORDS(count_valid_1, 1, 8, 1)
COUNT_WORDS(count_valid_2, 1, 8, 2)
COUNT_WORDS(count_valid_3, 1, 4, 3)
COUNT_WORDS(count_valid_4, 1, 4, 4)
static const CountWords COUNTERS[2][4] = {{count_words_1, count_words_2, count_words_3, count_words_4},
                                          {count_valid_1, count_valid_2, count_valid_3, count_valid_4}};

/* The words of a window, one part after the other, filled up with zeros. Overruns by less than 64 bytes. */
AVX512 INLINE void gather_words(const Operation *op, const Layout *l, const uint8_t *window, uint8_t *out) {
    const int count = l->run_bytes;
    for (int run = 0; run < l->runs; run++, out += count) {
        const uint8_t *from = window + run_offset(op, l, run);
        if (count <= 16) {
            _mm_storeu_si128((__m128i *)out, _mm_loadu_si128((const __m128i *)from));
            continue;
        }
        for (int i = 0; i < count; i += 64) _mm512_storeu_si512(out + i, _mm512_loadu_si512(from + i));
    }
    memset(out, 0, 4);
}

/* Ones where a pixel's window meets no padding, as words; what is missing to a sum of the whole window. */
static int gather_valid(const Operation *op, const Layout *l, int pixel, uint8_t *out) {
    int y0 = pixel / op->out_width * op->stride - op->padding, x0 = pixel % op->out_width * op->stride - op->padding;
    int missing = 0;
    for (int tap = 0; tap < op->size * op->size; tap++, out += l->bytes) {
        int y = y0 + tap / op->size * op->dilation, x = x0 + tap % op->size * op->dilation;
        int inside = y >= 0 && y < op->in_height && x >= 0 && x < op->in_width;
        memset(out, inside ? 0xff : 0, (size_t)l->bytes);
        missing += inside ? 0 : l->group_in;
    }
    memset(out, 0, 4);
    return missing;
}

/* Whether a pixel's window meets padding that has to be masked: a bit of zero would count as a sign. */
static inline int meets_padding(const Operation *op, int pixel) {
    const int reach = op->dilation * (op->size - 1);
    int y = pixel / op->out_width * op->stride - op->padding, x = pixel % op->out_width * op->stride - op->padding;
    return y < 0 || x < 0 || y + reach >= op->in_height || x + reach >= op->in_width;
}

/* Masks of a tile's pixels where windows meet padding, in `valid`; what their sums lack, and which blocks of `step`
 * pixels need masks. */
static void find_valid(const Operation *op, const Layout *l, int first, int last, int step, int pixels, uint32_t *valid,
                       int *extra, uint8_t *masked) {
    memset(extra, 0, sizeof(int) * (size_t)pixels);
    memset(masked, 0, TILE);
    if (op->encoding != SIGNS || op->padding == 0) return;
    for (int i = 0; i < pixels; i++) masked[i / step] |= (uint8_t)meets_padding(op, smaller(first + i, last - 1));
    for (int i = 0; i < pixels; i++)
        if (masked[i / step])
            extra[i] = gather_valid(op, l, smaller(first + i, last - 1), (uint8_t *)(valid + i * words_of_window(l)));
}

AVX512 static void words_tile(const Operation *op, const Layout *l, const uint8_t *bits, int first, int last,
                              uint32_t *index, int16_t *sums) {
    const int64_t plane = (int64_t)l->height * l->width * l->bytes, words = words_of_window(l);
    const int step = 2 * l->pairs, pixels = (int)round_up(last - first, step), count = (int)words;
    uint32_t *valid = index + TILE * words + SLACK / 4;
    int64_t windows[TILE];
    int extra[TILE];
    uint8_t masked[TILE];
    find_windows(op, l, first, last, windows); /* a tile is filled up to whole steps by its last pixel, again */
    find_valid(op, l, first, last, step, pixels, valid, extra, masked);
    for (int group = 0; group < op->groups; group++, bits += plane) {
        for (int i = 0; i < pixels; i++) gather_words(op, l, bits + windows[i], (uint8_t *)(index + i * words));
        for (int block = 0; block < l->blocks; block++) {
            const int at = group * l->group_out + block * l->block;
            const uint32_t *weights = (const uint32_t *)op->arranged + (group * l->blocks + block) * words * l->block;
            for (int i = 0; i < pixels; i += step) {
                Target to = {op->base + at, extra + i, op->encoding == SIGNS, sums + at + (int64_t)i * l->stride, l->stride};
                COUNTERS[masked[i / step]][l->vectors - 1](index + i * words, valid + i * words, words, weights, count, &to);
            }
        }
    }
}

/* -------------------------------------------------------------------------------------------------------- epilogues */

/* A batch norm, a shortcut (where there is `added`), RPReLU, and the signs for the next binary convolution, LANES
 * channels at a time, 8 or 16: the same as `finish` and `pack_pixels`. `numbers` has, for each LANES channels side by
 * side, factor, constant, slope, shift and threshold. */
AVX512 INLINE void fuse_lanes(const int lanes, const int integers, const int added, const Operation *op,
                              const Memory *m, int first, int last, Row row, int64_t stride) {
    const int channels = op->out_channels, width = op->out_width, given = op->shortcut_channels;
    const int64_t distance = flag_stride(channels);
    const int16_t *sums = row.integers;
    const float *floats = row.floats;
    float *out = m->tensors + op->output + (int64_t)first * channels;
    uint8_t *flags = m->flags;
    for (int pixel = first; pixel < last; pixel++, flags += distance) {
        const float *begin = m->tensors + op->shortcut + (int64_t)pixel * given, *numbers = op->fused;
        if (added && op->shortcut_stride > 1)
            mean_row(op, m->tensors + op->shortcut, pixel / width, pixel % width, m->row), begin = m->row;
        const float *shortcut = begin, *end = begin + given;
        for (int c = 0; c < channels; c += lanes, numbers += 5 * lanes, out += lanes) {
            __m512 v;
            if (integers) v = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)(sums + c))));
            else v = _mm512_loadu_ps(floats + c);
            v = _mm512_add_ps(_mm512_mul_ps(v, _mm512_loadu_ps(numbers)), _mm512_loadu_ps(numbers + lanes));
            if (added) v = _mm512_add_ps(v, _mm512_loadu_ps(shortcut));
            if (added && (shortcut += lanes) == end) shortcut = begin;
            const __mmask16 positive = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);
            v = _mm512_mask_blend_ps(positive, _mm512_mul_ps(v, _mm512_loadu_ps(numbers + 2 * lanes)), v);
            v = _mm512_add_ps(v, _mm512_loadu_ps(numbers + 3 * lanes));
            const uint16_t bits = _mm512_cmp_ps_mask(v, _mm512_loadu_ps(numbers + 4 * lanes), _CMP_GE_OQ);
            if (lanes == 16) _mm512_storeu_ps(out, v), memcpy(flags + c / 8, &bits, 2);
            else _mm256_storeu_ps(out, _mm512_castps512_ps256(v)), flags[c / 8] = (uint8_t)bits;
        }
        if (integers) sums += stride;
        else floats += stride;
    }
}

AVX512 static void fuse_avx512(const Operation *op, const Memory *m, const Next *next, int first, int last, Row row,
                               int64_t stride) {
    const int whole = op->out_channels % 16 == 0 && op->shortcut_channels % 16 == 0;
    if (whole && row.integers) fuse_lanes(16, 1, 1, op, m, first, last, row, stride);
    else if (whole) fuse_lanes(16, 0, 0, op, m, first, last, row, stride);
    else if (row.integers) fuse_lanes(8, 1, 1, op, m, first, last, row, stride);
    else fuse_lanes(8, 0, 0, op, m, first, last, row, stride);
    deal_out(next->op, &next->layout, m->flags, first, last, next->bits);
}
