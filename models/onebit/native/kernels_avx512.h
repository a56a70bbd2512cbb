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

/* Where a pixel's bits of the first group belong. */
static inline uint8_t *place_of(const Operation *op, const Layout *l, int pixel, uint8_t *out) {
    const int row = pixel / op->in_width + op->padding, column = pixel % op->in_width + op->padding;
    return out + ((int64_t)row * l->width + column) * l->bytes;
}

/* The same for a group of at most eight bytes, of `count` pixels side by side. */
AVX512 INLINE void move_short(const uint8_t *from, int64_t distance, int at, int channels, uint8_t *to, int bytes,
                              int count) {
    const uint64_t mask = _bzhi_u64(~0ULL, (unsigned)channels);
    for (from += at >> 3, at &= 7; count > 0; count--, from += distance, to += bytes) {
        uint64_t word, high;
        memcpy(&word, from, 8);
        word = word >> at & mask, high = word >> 8 * (bytes - 4);
        memcpy(to, &word, 4), memcpy(to + bytes - 4, &high, 4);
    }
}

/* Deal out the rows of bits of pixels [first, last) to the groups' padded memory. */
AVX512 static void deal_out(const Operation *op, const Layout *l, const uint8_t *rows, int first, int last,
                            uint8_t *out) {
    const int bytes = l->bytes, group_in = l->group_in, channels = op->in_channels;
    const int64_t plane = (int64_t)l->height * l->width * bytes, distance = flag_stride(channels);
    const int is_short = bytes >= 4 && bytes <= 8 && (group_in <= 56 || group_in % 8 == 0);
    for (int pixel = first, count; pixel < last; pixel += count, rows += count * distance) {
        uint8_t *to = place_of(op, l, pixel, out);
        count = smaller(last - pixel, op->in_width - pixel % op->in_width);
        for (int at = 0; at < channels; at += group_in, to += plane) {
            if (is_short) move_short(rows, distance, at, group_in, to, bytes, count);
            for (int i = 0; !is_short && i < count; i++)
                move_bits(rows + i * distance, at, group_in, to + i * bytes, bytes);
        }
    }
}

/* The bits of `count` pixels, whose rows lie `distance` bytes apart. */
AVX512 static void find_bits(const float *threshold, int channels, const float *x, int count, uint8_t *rows,
                             int64_t distance) {
    const int whole = channels / 16 * 16, rest = channels - whole;
    const __mmask16 valid = (__mmask16)_bzhi_u32(0xffff, (unsigned)rest);
    for (int pixel = 0; pixel < count; pixel++, x += channels, rows += distance) {
        for (int c = 0; c < whole; c += 16) {
            __m512 values = _mm512_loadu_ps(x + c);
            uint16_t bits = _mm512_cmp_ps_mask(values, _mm512_load_ps(threshold + c), _CMP_GE_OQ);
            memcpy(rows + c / 8, &bits, 2);
        }
        if (rest == 0) continue;
        __m512 values = _mm512_maskz_loadu_ps(valid, x + whole);
        uint16_t bits = _mm512_mask_cmp_ps_mask(valid, values, _mm512_load_ps(threshold + whole), _CMP_GE_OQ);
        memcpy(rows + whole / 8, &bits, rest > 8 ? 2 : 1);
    }
}

/* The counterpart of `pack_pixels_plain`: rows of bits at once where they belong, or first aside and then to groups. */
AVX512 static void pack_pixels_avx512(const Operation *op, const Layout *l, uint8_t *rows, const float *x, int first,
                                      int last, uint8_t *out) {
    const int channels = op->in_channels;
    for (int count; first < last; first += count, x += (int64_t)count * channels) {
        count = smaller(TILE, last - first);
        if (op->groups == 1) {
            count = smaller(count, op->in_width - first % op->in_width);
            find_bits(op->threshold, channels, x, count, place_of(op, l, first, out), l->bytes);
        } else {
            find_bits(op->threshold, channels, x, count, rows, flag_stride(channels));
            deal_out(op, l, rows, first, first + count, out);
        }
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

/* The words of `count` windows, each its parts one after the other, filled up with zeros. Overruns by less than 64
 * bytes. (Fields are copied first: the compiler would read them again after every store of bytes.) */
AVX512 static void gather_words(const Operation *op, const Layout *l, const uint8_t *bits, const int64_t *windows,
                                int count, uint8_t *out) {
    const int bytes = l->run_bytes, size = op->size, dense = op->dilation == 1, runs = l->runs;
    const int64_t line = (int64_t)l->width * l->bytes, stride = 4 * words_of_window(l);
    for (int i = 0; i < count; i++) {
        uint8_t *to = out + i * stride;
        for (int run = 0; run < runs; run++, to += bytes) {
            const uint8_t *from = bits + windows[i];
            if (dense) from += run * line;
            else from += op->dilation * (run / size * line + (int64_t)(run % size) * bytes);
            if (bytes <= 16)
                _mm_storeu_si128((__m128i *)to, _mm_loadu_si128((const __m128i *)from));
            else
                for (int part = 0; part < bytes; part += 32)
                    _mm256_storeu_si256((__m256i *)(to + part), _mm256_loadu_si256((const __m256i *)(from + part)));
        }
        memset(to, 0, 4);
    }
}

/* Ones where the window that begins at (y, x) meets no padding, as words; what its sum lacks to one of all taps. */
static int gather_valid(const Operation *op, const Layout *l, int y, int x, uint8_t *out) {
    const int size = op->size, dilation = op->dilation, height = op->in_height, width = op->in_width;
    const size_t bytes = (size_t)l->bytes;
    int outside = 0;
    for (int row = y; row < y + size * dilation; row += dilation)
        for (int column = x; column < x + size * dilation; column += dilation, out += bytes) {
            const int inside = row >= 0 && row < height && column >= 0 && column < width;
            memset(out, -inside, bytes);
            outside += !inside;
        }
    memset(out, 0, 4);
    return outside * l->group_in;
}

/* Masks, in `valid`, for the blocks of 4 or 8 pixels (a power of two, `shift`) where a window meets padding, whose bits
 * would count as signs; which blocks these are; and what the sums of their pixels lack. */
static void find_valid(const Operation *op, const Layout *l, int first, int last, int shift, int pixels,
                       uint32_t *valid, int *extra, uint8_t *masked) {
    const int width = op->out_width, stride = op->stride, reach = op->dilation * (op->size - 1);
    const int bottom = op->in_height - reach, right = op->in_width - reach;
    int ys[TILE], xs[TILE];
    int y = first / width * stride - op->padding, x = first % width * stride - op->padding;
    const int begin = -op->padding, end = begin + width * stride;
    memset(extra, 0, sizeof(int) * TILE);
    memset(masked, 0, TILE);
    if (op->encoding != SIGNS || op->padding == 0) return;
    for (int i = 0; i < pixels; i++) {
        ys[i] = y, xs[i] = x;
        masked[i >> shift] |= (uint8_t)(y < 0 || x < 0 || y >= bottom || x >= right);
        if (first + i < last - 1 && (x += stride) == end) x = begin, y += stride;
    }
    for (int i = 0; i < pixels; i++)
        if (masked[i >> shift])
            extra[i] = gather_valid(op, l, ys[i], xs[i], (uint8_t *)(valid + i * words_of_window(l)));
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
        if (!in_place) gather_words(op, l, bits, windows, pixels, (uint8_t *)index);
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
                              int64_t sums_apart, int count, float *out, uint8_t *flags, int64_t distance) {
    const int channels = op->out_channels, given = op->shortcut_channels;
    const float *numbers = op->fused;
    for (int c = 0, from = 0; c < channels; c += lanes, numbers += 5 * lanes) {
        Column at = {row.integers + (integers ? c : 0), row.floats + (integers ? 0 : c), row.shortcut + from, out + c,
                     flags + c / 8, sums_apart, given, channels, distance};
        fuse_column(lanes, integers, added, numbers, count, at);
        if (added && (from += lanes) == given) from = 0;
    }
}

/* The epilogue of `count` pixels and their bits, row by row. */
AVX512 static void fuse_pixels(const Operation *op, Row row, int64_t apart, int count, float *out, uint8_t *flags,
                               int64_t distance) {
    const int whole = op->out_channels % 16 == 0 && op->shortcut_channels % 16 == 0;
    if (whole && row.integers) fuse_lanes(16, 1, 1, op, row, apart, count, out, flags, distance);
    else if (whole) fuse_lanes(16, 0, 0, op, row, apart, count, out, flags, distance);
    else if (row.integers) fuse_lanes(8, 1, 1, op, row, apart, count, out, flags, distance);
    else fuse_lanes(8, 0, 0, op, row, apart, count, out, flags, distance);
}

/* The shortcut of the pixels from `pixel` on, which is that of one pixel where squares are averaged. */
AVX512 static const float *shortcut_of(const Operation *op, const Memory *m, int pixel) {
    if (op->shortcut_stride <= 1) return m->tensors + op->shortcut + (int64_t)pixel * op->shortcut_channels;
    mean_row(op, m->tensors + op->shortcut, pixel / op->out_width, pixel % op->out_width, m->row);
    return m->row;
}

/* The epilogue of pixels [first, last), and the next binary convolution's bits: where they belong if it has one group,
 * else aside, to be dealt out. */
AVX512 static void fuse_avx512(const Operation *op, const Memory *m, const Next *next, int first, int last, Row row,
                               int64_t stride) {
    const int channels = op->out_channels, width = op->out_width, direct = next->op->groups == 1;
    const int64_t distance = direct ? next->layout.bytes : flag_stride(channels);
    uint8_t *flags = m->flags;
    for (int pixel = first, count; pixel < last; pixel += count, flags += count * distance) {
        count = direct ? smaller(last - pixel, width - pixel % width) : last - pixel;
        if (op->shortcut_stride > 1) count = 1;
        if (direct) flags = place_of(next->op, &next->layout, pixel, next->bits);
        const int64_t at = (pixel - first) * stride;
        Row part = {row.integers ? row.integers + at : 0, row.floats ? row.floats + at : 0, shortcut_of(op, m, pixel)};
        fuse_pixels(op, part, stride, count, m->tensors + op->output + (int64_t)pixel * channels, flags, distance);
    }
    if (!direct) deal_out(next->op, &next->layout, m->flags, first, last, next->bits);
}
