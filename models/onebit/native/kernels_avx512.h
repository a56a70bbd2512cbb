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

/* The same for a group of at most eight bytes, of `count` pixels side by side; of less than four bytes, zeros are
 * written to what follows the last pixel. */
AVX512 INLINE void move_short(const uint8_t *from, int64_t distance, int at, int channels, uint8_t *to, int bytes,
                              int count) {
    const uint64_t mask = _bzhi_u64(~0ULL, (unsigned)channels);
    for (from += at >> 3, at &= 7; count > 0; count--, from += distance, to += bytes) {
        uint64_t word, high;
        memcpy(&word, from, 8);
        word = word >> at & mask, high = word >> 8 * (bytes > 4 ? bytes - 4 : 0);
        memcpy(to, &word, 4);
        if (bytes > 4) memcpy(to + bytes - 4, &high, 4);
    }
}

/* Deal out the rows of bits of pixels [first, last) to the groups' padded memory. */
AVX512 static void deal_out(const Operation *op, const Layout *l, const uint8_t *rows, int first, int last,
                            uint8_t *out) {
    const int bytes = l->bytes, group_in = l->group_in, channels = op->in_channels;
    const int64_t plane = (int64_t)l->height * l->width * bytes, distance = flag_stride(channels);
    const int fits = bytes >= 4 || op->padding > 0; /* behind a row is a border of zeros, or the next row, to come */
    const int is_short = fits && bytes <= 8 && (group_in <= 56 || group_in % 8 == 0);
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

/* -------------------------------------------------------------------------------------------------------- epilogues */

/* What the epilogue of 16 channels takes, as `fused` has it. */
typedef struct {
    __m512 factor, constant, slope, shift, threshold;
} Numbers;

AVX512 INLINE Numbers numbers_at(const float *fused) {
    return (Numbers){_mm512_loadu_ps(fused), _mm512_loadu_ps(fused + 16), _mm512_loadu_ps(fused + 32),
                     _mm512_loadu_ps(fused + 48), _mm512_loadu_ps(fused + 64)};
}

/* A batch norm, a shortcut where it is `added`, and RPReLU, each rounded as in `finish`. */
AVX512 INLINE __m512 finish_vector(const int added, const Numbers *k, __m512 v, __m512 shortcut) {
    v = _mm512_add_ps(_mm512_mul_ps(v, k->factor), k->constant);
    if (added) v = _mm512_add_ps(v, shortcut);
    const __mmask16 positive = _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_GT_OQ);
    return _mm512_add_ps(_mm512_mask_mul_ps(v, (__mmask16)~positive, v, k->slope), k->shift);
}

/* The shortcut of 16 channels from `from` on, of a pixel's `given` ones, which begin again after the last. */
AVX512 INLINE __m512 shortcut_at(const float *pixel, int from, int given) {
    const __m512 found = _mm512_loadu_ps(pixel + from);
    if (from + 16 <= given) return found;
    return _mm512_mask_loadu_ps(found, (__mmask16)(0xffff << (given - from)), pixel + from - given);
}

/* ------------------------------------------------------------------------------------------------------------- sums */

/* Pixels that a kernel takes at once, which stay in registers, by vectors of output channels: by popcounts and by carries. */
static const int PIXELS[2][4] = {{8, 8, 4, 4}, {8, 4, 3, 2}};

static inline int pixels_at_once(const Layout *l) { return PIXELS[chains(l)][l->vectors - 1]; }

/* Pixels of a tile: so few that their sums stay in a cache, and a multiple of what kernels take. */
static int words_tile_size(const Layout *l) {
    const int fit = SUM_BYTES / (2 * l->stride), step = pixels_at_once(l);
    return smaller(fit < 16 ? 16 : fit, TILE) / step * step;
}

/* Where the rows of `base` and of bits begin for a pixel, in numbers and bytes. */
typedef struct {
    int base, bits;
} Place;

/* What a kernel reads and writes: words of some pixels, `distance` apart, and of weights; each pixel's places;
 * and the sums, base - n with n unequal bits, or base - 2 n where `doubled` has ones, in rows `stride` apart. */
typedef struct {
    const uint32_t *words, *weights;
    int64_t distance, count;
    const int16_t *base;
    const Place *places;
    int16_t *sums;
    int64_t stride;
    __mmask16 doubled;
    int pixels;
    /* Where the epilogue follows at once: its numbers, shortcuts, outcome and bits, for `valid` pixels. */
    const float *numbers, *shortcut;
    float *out;
    uint8_t *flags;
    int64_t channels, given;
    int from, left, valid; /* `left` channels from the block's first on, whose shortcut is number `from` */
} Block;

/* The same from a later pixel on. */
INLINE Block later(Block b, int pixels) {
    b.words += pixels * b.distance, b.places += pixels, b.sums += pixels * b.stride;
    b.shortcut += pixels * b.given, b.out += pixels * b.channels, b.valid -= pixels;
    return b;
}

/* Sums of 16 channels from their counts, 32 bits wide. */
AVX512 INLINE __m512i sums_of(const Block *b, int pixel, int o, __m512i n) {
    const __m256i base = _mm256_loadu_si256((const __m256i *)(b->base + b->places[pixel].base + 16 * o));
    return _mm512_sub_epi32(_mm512_cvtepi16_epi32(base), _mm512_mask_add_epi32(n, b->doubled, n, n));
}

/* The epilogue of O vectors' o-th of P pixels, its floats and bits; `plain` if the vector is full, and its shortcut's
 * channels lie side by side. */
AVX512 INLINE void finish_words(const int plain, const int P, const Block *b, int o, int from, __m512i n[8][4]) {
    const Numbers k = numbers_at(b->numbers + 80 * o);
    const float *shortcut = b->shortcut;
    float *out = b->out + 16 * o;
    uint8_t *flags = b->flags + 2 * o;
    UNROLL for (int p = 0; p < P; p++, shortcut += b->given, out += b->channels) {
        if (p >= b->valid) break;
        const __m512 added = plain ? _mm512_loadu_ps(shortcut + from) : shortcut_at(shortcut, from, (int)b->given);
        const __m512 v = finish_vector(1, &k, _mm512_cvtepi32_ps(sums_of(b, p, o, n[p][o])), added);
        const uint16_t bits = _mm512_cmp_ps_mask(v, k.threshold, _CMP_GE_OQ);
        uint8_t *to = flags + b->places[p].bits;
        if (plain || b->left >= 16 * (o + 1)) _mm512_storeu_ps(out, v), memcpy(to, &bits, 2);
        else _mm256_storeu_ps(out, _mm512_castps512_ps256(v)), *to = (uint8_t)bits; /* the last eight */
    }
}

/* What becomes of counts: sums, or, where `fused`, the epilogue's floats and bits. */
AVX512 INLINE void end_block(const int fused, const int P, const int O, const Block *b, __m512i n[8][4]) {
    int from = b->from;
    UNROLL for (int o = 0; o < O; o++) {
        if (!fused) {
            UNROLL for (int p = 0; p < P; p++) {
                int16_t *to = b->sums + p * b->stride + 16 * o;
                _mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(sums_of(b, p, o, n[p][o])));
            }
            continue;
        }
        if (b->left >= 16 * (o + 1) && from + 16 <= b->given) finish_words(1, P, b, o, from, n);
        else finish_words(0, P, b, o, from, n);
        if ((from += 16) >= b->given) from -= (int)b->given;
    }
}

/* Sums of P pixels and O vectors of output channels, constants where this is used. */
AVX512 INLINE void count_words(const int fused, const int P, const int O, const Block *b) {
    const uint32_t *weights = b->weights;
    __m512i n[8][4];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int o = 0; o < O; o++) n[p][o] = _mm512_setzero_si512();
    for (int64_t i = 0; i < b->count; i++, weights += 16 * O) {
        __m512i w[4];
        UNROLL for (int o = 0; o < O; o++) w[o] = _mm512_load_si512(weights + 16 * o);
        UNROLL for (int p = 0; p < P; p++) {
            const __m512i x = _mm512_set1_epi32((int)b->words[p * b->distance + i]);
            UNROLL for (int o = 0; o < O; o++)
                n[p][o] = _mm512_add_epi32(n[p][o], _mm512_popcnt_epi32(_mm512_xor_si512(x, w[o])));
        }
    }
    end_block(fused, P, O, b, n);
}

/* The same by carries: the popcounts of a, b and of a parity p add up to that of p ^ a ^ b and twice that of the carry,
 * of which at least two have a one. With every word xored with all before it, d = p ^ a and s = p ^ a ^ b are one xor
 * each, and the carry is s inverted where d has ones, else p: five operations for two words instead of six. */
AVX512 INLINE void count_carries(const int fused, const int P, const int O, const Block *b) {
    const uint32_t *weights = b->weights;
    __m512i n[8][4], parity[8][4];
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int o = 0; o < O; o++) n[p][o] = parity[p][o] = _mm512_setzero_si512();
    for (int64_t i = 0; i + 1 < b->count; i += 2, weights += 32 * O) {
        __m512i v[4], w[4];
        UNROLL for (int o = 0; o < O; o++) {
            v[o] = _mm512_load_si512(weights + 16 * o);
            w[o] = _mm512_load_si512(weights + 16 * (O + o));
            __asm__("" : "+v"(v[o]), "+v"(w[o])); /* else they would be loaded for each pixel */
        }
        UNROLL for (int p = 0; p < P; p++) {
            const __m512i x = _mm512_set1_epi32((int)b->words[p * b->distance + i]);
            const __m512i y = _mm512_set1_epi32((int)b->words[p * b->distance + i + 1]);
            UNROLL for (int o = 0; o < O; o++) {
                const __m512i d = _mm512_xor_si512(x, v[o]), s = _mm512_xor_si512(y, w[o]);
                const __m512i carry = _mm512_ternarylogic_epi32(d, s, parity[p][o], 0x3a); /* d ? ~s : parity */
                n[p][o] = _mm512_add_epi32(n[p][o], _mm512_popcnt_epi32(carry));
                parity[p][o] = s;
            }
        }
    }
    UNROLL for (int p = 0; p < P; p++) UNROLL for (int o = 0; o < O; o++) {
        if (b->count % 2) {
            const __m512i x = _mm512_set1_epi32((int)b->words[p * b->distance + b->count - 1]);
            const __m512i d = _mm512_xor_si512(x, _mm512_load_si512(weights + 16 * o));
            n[p][o] = _mm512_add_epi32(n[p][o], _mm512_popcnt_epi32(_mm512_andnot_si512(d, parity[p][o])));
            parity[p][o] = d;
        }
        n[p][o] = _mm512_add_epi32(_mm512_add_epi32(n[p][o], n[p][o]), _mm512_popcnt_epi32(parity[p][o]));
    }
    end_block(fused, P, O, b, n);
}

typedef void (*CountBlock)(Block);
#define COUNT_BLOCK(name, count, fused, P, O)                                                                          \
    AVX512 static void name(Block b) {                                                                                 \
        for (; b.pixels > 0; b.pixels -= P, b = later(b, P)) count(fused, P, O, &b);                                   \
    }
#define COUNT_BLOCKS(name, count, fused, P1, P2, P3, P4)                                                               \
    COUNT_BLOCK(name##_1, count, fused, P1, 1)                                                                         \
    COUNT_BLOCK(name##_2, count, fused, P2, 2)                                                                         \
    COUNT_BLOCK(name##_3, count, fused, P3, 3)                                                                         \
    COUNT_BLOCK(name##_4, count, fused, P4, 4)
COUNT_BLOCKS(sum_words, count_words, 0, 8, 8, 4, 4)
COUNT_BLOCKS(fuse_words, count_words, 1, 8, 8, 4, 4)
COUNT_BLOCKS(sum_carries, count_carries, 0, 8, 4, 3, 2)
COUNT_BLOCKS(fuse_carries, count_carries, 1, 8, 4, 3, 2)
/* By whether the epilogue is fused, whether carries are counted, and vectors. */
static const CountBlock COUNTERS[2][2][4] = {
    {{sum_words_1, sum_words_2, sum_words_3, sum_words_4}, {sum_carries_1, sum_carries_2, sum_carries_3, sum_carries_4}},
    {{fuse_words_1, fuse_words_2, fuse_words_3, fuse_words_4},
     {fuse_carries_1, fuse_carries_2, fuse_carries_3, fuse_carries_4}},
};

/* Each word xored with all before it, and with `before`, which is 0 or the last one so far in every lane. */
AVX512 INLINE __m512i chain(__m512i v, __m512i before) {
    const __m512i zero = _mm512_setzero_si512();
    v = _mm512_xor_si512(v, _mm512_alignr_epi32(v, zero, 15));
    v = _mm512_xor_si512(v, _mm512_alignr_epi32(v, zero, 14));
    v = _mm512_xor_si512(v, _mm512_alignr_epi32(v, zero, 12));
    return _mm512_xor_si512(_mm512_xor_si512(v, before), _mm512_alignr_epi32(v, zero, 8));
}

/* The words of a window, chained; those that fill up the last vector may be anything. */
AVX512 INLINE void chain_words(const uint8_t *from, int64_t words, uint8_t *to) {
    const __m512i last = _mm512_set1_epi32(15);
    __m512i before = _mm512_setzero_si512();
    for (; words > 0; words -= 16, from += 64, to += 64) {
        const __m512i chained = chain(_mm512_loadu_si512(from), before);
        _mm512_storeu_si512(to, chained);
        before = _mm512_permutexvar_epi32(last, chained);
    }
}

/* Words from a gathered window to the next. */
static inline int64_t gathered_words(const Layout *l) { return round_up(words_of_window(l), 16); }

/* The words of `count` windows, each its parts one after the other, filled up with zeros. Overruns by less than 64
 * bytes. (Fields are copied first: the compiler would read them again after every store of bytes.) */
AVX512 static void copy_windows(const Operation *op, const Layout *l, const uint8_t *bits, const int64_t *windows,
                                int count, uint8_t *out) {
    const int bytes = l->run_bytes, size = op->size, dense = op->dilation == 1, runs = l->runs;
    const int64_t line = (int64_t)l->width * l->bytes, stride = 4 * gathered_words(l);
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

/* The same for windows of three parts that fit in one vector, put together there. */
AVX512 INLINE void join_windows(const int chained, const Layout *l, const uint8_t *bits, const int64_t *windows,
                                int count, uint8_t *out) {
    const int bytes = l->run_bytes;
    const int64_t line = (int64_t)l->width * l->bytes - bytes; /* where a part lies, seen from where it belongs */
    const __mmask64 part = _bzhi_u64(~0ULL, (unsigned)bytes), second = part << bytes, third = second << bytes;
    for (int i = 0; i < count; i++, out += 64) {
        const uint8_t *from = bits + windows[i];
        __m512i v = _mm512_maskz_loadu_epi8(part, from);
        v = _mm512_or_si512(v, _mm512_maskz_loadu_epi8(second, from + line));
        v = _mm512_or_si512(v, _mm512_maskz_loadu_epi8(third, from + 2 * line));
        _mm512_storeu_si512(out, chained ? chain(v, _mm512_setzero_si512()) : v);
    }
}

/* The words of `count` windows, `gathered_words` apart, chained where carries are counted. */
AVX512 static void gather_words(const Operation *op, const Layout *l, const uint8_t *bits, const int64_t *windows,
                                int count, uint8_t *out) {
    const int64_t words = words_of_window(l), stride = 4 * gathered_words(l);
    if (l->runs == 3 && words <= 16) {
        if (chains(l)) join_windows(1, l, bits, windows, count, out);
        else join_windows(0, l, bits, windows, count, out);
        return;
    }
    for (int i = 0; op->size == 1 && chains(l) && i < count; i++) chain_words(bits + windows[i], words, out + i * stride);
    if (op->size == 1 && chains(l)) return;
    for (int i = 0; i < count; i += 8) { /* parts are stored long before they are loaded again */
        const int some = smaller(8, count - i);
        copy_windows(op, l, bits, windows + i, some, out + i * stride);
        for (int k = i; chains(l) && k < i + some; k++) chain_words(out + k * stride, words, out + k * stride);
    }
}

/* Where `base` begins for output pixels [first, last), and `more` like the last. */
static void find_places(const Operation *op, int first, int last, int more, Place *places) {
    const int width = op->out_width, count = last + more - first;
    for (int i = 0; i < count; i++) places[i].base = 0;
    if (!corrects_padding(op)) return;
    const Sides down = sides_of(op, op->in_height, op->out_height), right = sides_of(op, op->in_width, width);
    int y = first / width, x = first % width, row = class_of(&down, y) * right.classes;
    for (int i = 0; i < count; i++) {
        places[i].base = (row + class_of(&right, x)) * op->out_channels;
        if (first + i < last - 1 && ++x == width) x = 0, row = class_of(&down, ++y) * right.classes;
    }
}

/* Counts of pixels [first, last), for each block of output channels: sums at `sums`, or, where that is NULL, what the
 * epilogue makes of them, as `fused` has it but for what depends on the block. */
AVX512 static void words_tile(const Operation *op, const Layout *l, const uint8_t *bits, int first, int last,
                              uint32_t *index, int16_t *sums, Place *places, const Block *fused) {
    const int64_t plane = (int64_t)l->height * l->width * l->bytes, words = words_of_window(l);
    const int step = pixels_at_once(l), pixels = (last - first + step - 1) / step * step;
    int64_t windows[TILE];
    find_places(op, first, last, pixels - (last - first), places);
    const CountBlock kernel = COUNTERS[sums == 0][chains(l)][l->vectors - 1];
    const int in_place = op->size == 1 && op->stride == 1 && op->padding == 0 && !chains(l); /* a window is a pixel */
    if (in_place) windows[0] = (int64_t)first * l->bytes;
    else find_windows(op, l, first, last, windows); /* a tile is filled up to whole steps by its last pixel, again */
    Block b = sums ? (Block){0} : *fused;
    b.distance = in_place ? words : gathered_words(l), b.count = words;
    b.places = places, b.stride = l->stride, b.doubled = op->encoding == SIGNS ? 0xffff : 0, b.pixels = pixels;
    for (int group = 0; group < op->groups; group++, bits += plane) {
        b.words = in_place ? (const uint32_t *)(bits + windows[0]) : index;
        if (!in_place) gather_words(op, l, bits, windows, pixels, (uint8_t *)index);
        for (int block = 0; block < l->blocks; block++) {
            const int at = group * l->group_out + block * l->block;
            b.weights = (const uint32_t *)op->arranged + (group * l->blocks + block) * words * l->block;
            b.base = op->base + at;
            if (sums) b.sums = sums + at;
            else {
                b.numbers = op->fused + at / 16 * 80, b.out = fused->out + at, b.flags = fused->flags + at / 8;
                b.from = at % op->shortcut_channels, b.left = op->out_channels - at;
            }
            kernel(b);
        }
    }
}

/* -------------------------------------------------------------------------------------------- sums and epilogues */

/* Epilogues of sums that are there. `lanes` channels of `count` pixels, 16 or the last 8. */
typedef struct {
    const int16_t *integers;
    const float *floats, *shortcut;
    float *out;
    uint8_t *flags;
    int64_t sums_apart, out_apart, flags_apart;
    int given, from;
} Column;

AVX512 INLINE void fuse_column(const int lanes, const int integers, const float *fused, int count, Column at) {
    const Numbers k = numbers_at(fused);
    for (int pixel = 0; pixel < count; pixel++) {
        __m512 v, shortcut = _mm512_setzero_ps();
        if (integers) v = _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256((const __m256i *)at.integers)));
        else v = _mm512_loadu_ps(at.floats);
        if (integers) shortcut = shortcut_at(at.shortcut, at.from, at.given);
        v = finish_vector(integers, &k, v, shortcut);
        const uint16_t bits = _mm512_cmp_ps_mask(v, k.threshold, _CMP_GE_OQ);
        if (lanes == 16) _mm512_storeu_ps(at.out, v), memcpy(at.flags, &bits, 2);
        else _mm256_storeu_ps(at.out, _mm512_castps512_ps256(v)), *at.flags = (uint8_t)bits;
        if (integers) at.integers += at.sums_apart, at.shortcut += at.given;
        else at.floats += at.sums_apart;
        at.out += at.out_apart, at.flags += at.flags_apart;
    }
}

/* The epilogue of `count` pixels and their bits, row by row: sums are integers and have a shortcut, or floats. */
AVX512 INLINE void fuse_pixels(const int integers, const Operation *op, Row row, int64_t apart, int count, float *out,
                               uint8_t *flags, int64_t distance) {
    const int channels = op->out_channels, given = op->shortcut_channels;
    const float *numbers = op->fused;
    for (int c = 0, from = 0; c < channels; c += 16, numbers += 80) {
        Column at = {row.integers + (integers ? c : 0), row.floats + (integers ? 0 : c), row.shortcut, out + c,
                     flags + c / 8, apart, channels, distance, given, from};
        if (channels - c >= 16) fuse_column(16, integers, numbers, count, at);
        else fuse_column(8, integers, numbers, count, at);
        if (integers && (from += 16) >= given) from -= given;
    }
}

/* The shortcuts of pixels [first, last), a row of channels each: where they lie, or means of squares in `row`. */
AVX512 static const float *shortcuts_of(const Operation *op, const Memory *m, int first, int last) {
    const int64_t given = op->shortcut_channels;
    if (op->shortcut_stride <= 1) return m->tensors + op->shortcut + first * given;
    float *to = m->row;
    for (int pixel = first; pixel < last; pixel++, to += given)
        mean_row(op, m->tensors + op->shortcut, pixel / op->out_width, pixel % op->out_width, to);
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
        if (direct) flags = place_of(next->op, &next->layout, pixel, next->bits);
        const int64_t at = (pixel - first) * stride;
        Row part = {row.integers ? row.integers + at : 0, row.floats ? row.floats + at : 0, shortcuts_of(op, m, pixel, pixel + count)};
        float *out = m->tensors + op->output + (int64_t)pixel * channels;
        if (row.integers) fuse_pixels(1, op, part, stride, count, out, flags, distance);
        else fuse_pixels(0, op, part, stride, count, out, flags, distance);
    }
    if (!direct) deal_out(next->op, &next->layout, m->flags, first, last, next->bits);
}

/* Whether counts go through the epilogue at once, without sums between: where channels fill vectors, but for the last
 * one, and all sums are within 16 bits. */
static inline int fuses_words(const Operation *op, const Layout *l, const Next *next) {
    return op->fused && next->op && l->group_out % (op->groups == 1 ? 8 : 16) == 0 && op->shortcut_stride > 0 &&
           op->size * op->size * l->group_in <= INT16_MAX / 2;
}

/* Whether vectors of sums are full, so that none overruns its row or the last pixel. */
static inline int fills_words(const Operation *op, const Layout *l, int pixels) {
    return counts_words(op->kernel) && l->group_out % 16 == 0 && pixels % pixels_at_once(l) == 0;
}

/* Output pixels [first, last) of a binary convolution, from bits to floats and the next one's bits, in one pass. */
AVX512 static void fused_words_tile(const Operation *op, const Layout *l, const Memory *m, const uint8_t *packed,
                                    const Next *next, int first, int last) {
    const int channels = op->out_channels, direct = next->op->groups == 1;
    const int distance = direct ? next->layout.bytes : (int)flag_stride(channels);
    Place places[TILE + 8];
    for (int pixel = first, count; pixel < last; pixel += count) {
        count = direct ? smaller(last - pixel, op->out_width - pixel % op->out_width) : last - pixel;
        const int from = direct ? (int)(place_of(next->op, &next->layout, pixel, next->bits) - next->bits) : 0;
        for (int i = 0; i < count; i++) places[pixel - first + i].bits = from + i * distance;
    }
    Block b = {0};
    b.shortcut = shortcuts_of(op, m, first, last), b.given = op->shortcut_channels;
    b.out = m->tensors + op->output + (int64_t)first * channels, b.channels = channels;
    b.flags = direct ? next->bits : m->flags, b.valid = last - first;
    words_tile(op, l, packed, first, last, m->index, 0, places, &b);
    if (!direct) deal_out(next->op, &next->layout, m->flags, first, last, next->bits);
}
