/* Kernels for x86-64 with AVX-512 (F, BW, DQ, VL, VPOPCNTDQ): popcounts of words; included by engine.c.
 *
 * A vector holds a 32-bit word of the weights of 16 output channels, and is compared with the same word of a pixel's
 * window, broadcast: three operations (unequal bits, their count, the sum) for 512 products, and no lane is wasted
 * on groups of 48 or 96 channels. Counts are 32 bits wide, so that nothing overflows or is widened. Eight channels of a
 * pixel lie in a byte; where a group does not fill its last byte, bits are zero in inputs and weights alike.
 */

/* --------------------------------------------------------------------------------------------------- packing floats */

/* The lowest `count` bytes (at most eight) of a word, by two stores that may overlap. */
static inline void store_bytes(uint8_t *to, uint64_t word, int count) {
    const uint64_t high = word >> 8 * (count >= 4 ? count - 4 : count >= 2 ? count - 2 : 0);
    if (count >= 4) memcpy(to, &word, 4), memcpy(to + count - 4, &high, 4);
    else if (count >= 2) memcpy(to, &word, 2), memcpy(to + count - 2, &high, 2);
    else *to = (uint8_t)word;
}

/* `count` bits from bit `at` on, to `bytes` bytes that are filled up with zeros. Eight bytes after them may be read. */
AVX512 INLINE void move_bits(const uint8_t *from, int at, int count, uint8_t *to, int bytes) {
    const int piece = at % 8 || count % 8 ? 7 : 8; /* bytes at once, of the eight that are loaded at a whole one */
    for (; bytes > 0; count -= 8 * piece, at += 8 * piece, to += piece, bytes -= piece) {
        uint64_t word;
        memcpy(&word, from + (at >> 3), 8);
        word = count > 0 ? _bzhi_u64(word >> (at & 7), (unsigned)smaller(count, 8 * piece)) : 0;
        store_bytes(to, word, smaller(bytes, piece));
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
            move_bits(rows, group * l->group_in, l->group_in, to, l->bytes);
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
    const int64_t line = (int64_t)l->width * l->bytes;
    for (int run = 0; run < l->runs; run++, out += count) {
        const uint8_t *from = op->dilation == 1 ? window + run * line : window + run_offset(op, l, run);
        if (count <= 16)
            _mm_storeu_si128((__m128i *)out, _mm_loadu_si128((const __m128i *)from));
        else
            for (int i = 0; i < count; i += 32)
                _mm256_storeu_si256((__m256i *)(out + i), _mm256_loadu_si256((const __m256i *)(from + i)));
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

/* Masks, in `valid`, for the blocks of 4 or 8 pixels (a power of two, `shift`) where a window meets padding, whose bits
 * would count as signs; which blocks these are; and what the sums of their pixels lack. */
static void find_valid(const Operation *op, const Layout *l, int first, int last, int shift, int pixels,
                       uint32_t *valid, int *extra, uint8_t *masked) {
    const int reach = op->dilation * (op->size - 1) - op->padding;
    int row = first / op->out_width, column = first % op->out_width;
    memset(extra, 0, sizeof(int) * TILE);
    memset(masked, 0, TILE);
    if (op->encoding != SIGNS || op->padding == 0) return;
    for (int i = 0; i < last - first; i++) {
        const int y = row * op->stride, x = column * op->stride;
        masked[i >> shift] |= (uint8_t)(y < op->padding || x < op->padding || y + reach >= op->in_height ||
                                        x + reach >= op->in_width);
        if (++column == op->out_width) column = 0, row++;
    }
    for (int i = 0; i < pixels; i++)
        if (masked[i >> shift])
            extra[i] = gather_valid(op, l, smaller(first + i, last - 1), (uint8_t *)(valid + i * words_of_window(l)));
}

AVX512 static void words_tile(const Operation *op, const Layout *l, const uint8_t *bits, int first, int last,
                              uint32_t *index, int16_t *sums) {
    const int64_t plane = (int64_t)l->height * l->width * l->bytes, words = words_of_window(l);
    const int shift = l->pairs == 4 ? 3 : 2, step = 1 << shift, count = (int)words;
    const int pixels = (last - first + step - 1) >> shift << shift;
    uint32_t *valid = index + TILE * words + SLACK / 4;
    int64_t windows[TILE];
    int extra[TILE];
    uint8_t masked[TILE];
    find_windows(op, l, first, last, windows); /* a tile is filled up to whole steps by its last pixel, again */
    find_valid(op, l, first, last, shift, pixels, valid, extra, masked);
    const int in_place = op->size == 1 && op->stride == 1 && op->padding == 0; /* a window is a pixel */
    for (int group = 0; group < op->groups; group++, bits += plane) {
        const uint32_t *inputs = in_place ? (const uint32_t *)(bits + windows[0]) : index;
        for (int i = 0; i < pixels && !in_place; i++)
            gather_words(op, l, bits + windows[i], (uint8_t *)(index + i * words));
        for (int block = 0; block < l->blocks; block++) {
            const int at = group * l->group_out + block * l->block;
            const uint32_t *weights = (const uint32_t *)op->arranged + (group * l->blocks + block) * words * l->block;
            for (int i = 0; i < pixels; i += step) {
                Target to = {op->base + at, extra + i, op->encoding == SIGNS, sums + at + (int64_t)i * l->stride, l->stride};
                COUNTERS[masked[i / step]][l->vectors - 1](inputs + i * words, valid + i * words, words, weights, count, &to);
            }
        }
    }
}

/* -------------------------------------------------------------------------------------------------------- epilogues */

/* What `fuse_lanes` reads for some channels: a sum, a shortcut, and where the outcome goes, for the first of some pixels
 * which lie so far apart. */
typedef struct {
    const int16_t *integers;
    const float *floats, *shortcut;
    float *out;
    uint8_t *flags;
    int64_t sums_apart, shortcuts_apart, out_apart, flags_apart;
} Column;

/* A batch norm, a shortcut (where there is one), RPReLU, and the signs for the next binary convolution, of `lanes`
 * channels, 8 or 16, of `count` pixels: the same as `finish` and `pack_pixels`. `numbers` has factor, constant, slope,
 * shift and threshold of the channels, which stay in registers. */
AVX512 INLINE void fuse_column(const int lanes, const int integers, const int added, const float *numbers, int count,
                               Column at) {
    const __m512 factor = _mm512_loadu_ps(numbers), constant = _mm512_loadu_ps(numbers + lanes);
    const __m512 slope = _mm512_loadu_ps(numbers + 2 * lanes), shift = _mm512_loadu_ps(numbers + 3 * lanes);
    const __m512 threshold = _mm512_loadu_ps(numbers + 4 * lanes);
    for (int pixel = 0; pixel < count; pixel++) {
        __m512 v;
        if (integers) v = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)at.integers)));
        else v = _mm512_loadu_ps(at.floats);
        v = _mm512_add_ps(_mm512_mul_ps(v, factor), constant);
        if (added) v = _mm512_add_ps(v, _mm512_loadu_ps(at.shortcut));
        const __mmask16 positive = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);
        v = _mm512_add_ps(_mm512_mask_mul_ps(v, (__mmask16)~positive, v, slope), shift);
        const uint16_t bits = _mm512_cmp_ps_mask(v, threshold, _CMP_GE_OQ);
        if (lanes == 16) _mm512_storeu_ps(at.out, v), memcpy(at.flags, &bits, 2);
        else _mm256_storeu_ps(at.out, _mm512_castps512_ps256(v)), *at.flags = (uint8_t)bits;
        if (integers) at.integers += at.sums_apart;
        else at.floats += at.sums_apart;
        if (added) at.shortcut += at.shortcuts_apart;
        at.out += at.out_apart, at.flags += at.flags_apart;
    }
}

AVX512 INLINE void fuse_lanes(const int lanes, const int integers, const int added, const Operation *op, Row row,
                              int64_t sums_apart, int count, float *out, uint8_t *flags) {
    const int channels = op->out_channels, given = op->shortcut_channels;
    const float *numbers = op->fused;
    for (int c = 0, from = 0; c < channels; c += lanes, numbers += 5 * lanes) {
        Column at = {row.integers + (integers ? c : 0), row.floats + (integers ? 0 : c), row.shortcut + from, out + c,
                     flags + c / 8, sums_apart, given, channels, flag_stride(channels)};
        fuse_column(lanes, integers, added, numbers, count, at);
        if (added && (from += lanes) == given) from = 0;
    }
}

/* The epilogue of `count` pixels and their bits, row by row. */
AVX512 static void fuse_pixels(const Operation *op, Row row, int64_t apart, int count, float *out, uint8_t *flags) {
    const int whole = op->out_channels % 16 == 0 && op->shortcut_channels % 16 == 0;
    if (whole && row.integers) fuse_lanes(16, 1, 1, op, row, apart, count, out, flags);
    else if (whole) fuse_lanes(16, 0, 0, op, row, apart, count, out, flags);
    else if (row.integers) fuse_lanes(8, 1, 1, op, row, apart, count, out, flags);
    else fuse_lanes(8, 0, 0, op, row, apart, count, out, flags);
}

/* The epilogue of pixels [first, last), and the next binary convolution's bits. */
AVX512 static void fuse_avx512(const Operation *op, const Memory *m, const Next *next, int first, int last, Row row,
                               int64_t stride) {
    const int channels = op->out_channels, width = op->out_width;
    float *out = m->tensors + op->output + (int64_t)first * channels;
    if (op->shortcut_stride <= 1) {
        row.shortcut = m->tensors + op->shortcut + (int64_t)first * op->shortcut_channels;
        fuse_pixels(op, row, stride, last - first, out, m->flags);
    }
    for (int i = 0; op->shortcut_stride > 1 && i < last - first; i++, out += channels) {
        Row one = {row.integers ? row.integers + i * stride : 0, row.floats ? row.floats + i * stride : 0, m->row};
        mean_row(op, m->tensors + op->shortcut, (first + i) / width, (first + i) % width, m->row);
        fuse_pixels(op, one, stride, 1, out, m->flags + i * flag_stride(channels));
    }
    deal_out(next->op, &next->layout, m->flags, first, last, next->bits);
}
