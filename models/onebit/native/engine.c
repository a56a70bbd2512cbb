/* The native 1-bit engine: runs a whole program, one image after the other, in memory that the caller supplies.
 *
 * Operations come as an array of `Operation`, checked and laid out by Python (`models/onebit/native/plan.py`); nothing
 * is checked again here. Activations are float32, channels last. One source serves every machine: the loops over floats
 * are plain C, compiled once for AVX2 and once for any processor; the binary convolution has kernels for AVX2
 * (kernels_avx2.h), AVX-512 (kernels_avx512.h) and arm64 (kernels_neon.h), and one of 64-bit popcounts. Which ones are
 * used is decided when the program is loaded.
 *
 * Floats are added in a fixed order and each operation rounds once (compile with -ffp-contract=off), so that results
 * equal those of `models/onebit/portable.py` bit for bit.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>
#define HAVE_AVX2 1
#define AVX2 __attribute__((target("avx2")))
#define HAVE_AVX512 1
#define AVX512 __attribute__((target("avx2,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")))
#elif defined(__aarch64__) && defined(__ARM_NEON) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#include <arm_neon.h>
#define HAVE_NEON 1
#endif
#define HAVE_LOOKUP (HAVE_AVX2 || HAVE_NEON)
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-pre") /* gcc would move the counters of `lookup` between registers: 8 % of its time */
#endif
#define INLINE static inline __attribute__((always_inline))
#define EXPORT __attribute__((visibility("default")))
#define RESTRICT __restrict__
#define UNROLL _Pragma("GCC unroll 16") /* loops over vectors that must stay in registers */

enum Kind { FLOAT_CONVOLUTION, BINARY_CONVOLUTION, POINTWISE, MAX_POOL, MEAN_POOL, GLOBAL_AVERAGE, COPY, ZERO, PRODUCT };
enum Encoding { SIGNS, ZERO_ONE };
enum Activation { NONE, RELU, RPRELU, CLIP };
/* Which instructions may be used: a caller asks for a level that `bnn_supports`. */
enum Level { LEVEL_PLAIN, LEVEL_AVX2, LEVEL_AVX512, LEVEL_NEON };
/* How a binary convolution is computed: on any machine; by AVX2 (WIDE to PAIR), AVX-512 (WORDS) and NEON (BYTES). */
enum Kernel {
    POPCOUNT,
    WIDE_1, WIDE_2, WIDE_3, WIDE_4, HALF_1, HALF_2, HALF_3, PAIR_1, PAIR_2,
    WORDS_1, WORDS_2, WORDS_3, WORDS_4,
    BYTES_1, BYTES_2, BYTES_3, BYTES_4
};

/* One operation. Offsets count floats from the beginning of the tensors' memory. Arrays of floats have one number a
 * channel and may be NULL where they have no effect. A linear layer is a float convolution of one pixel. */
typedef struct {
    int32_t kind, encoding, activation, kernel;
    int32_t in_channels, in_height, in_width;
    int32_t out_channels, out_height, out_width;
    int32_t size, stride, padding, dilation, groups;
    int32_t shortcut_channels, shortcut_stride; /* no shortcut: stride 0 */
    int32_t channel;                            /* COPY: the first output channel */
    int32_t packs;                              /* the next one is a binary convolution, and its bits are written */
    int32_t packed;                             /* its input's bits were written by the operation before */
    int32_t step;                               /* PRODUCT: floats from a pixel of `by` to the next, 0 for a gate */
    float low, high;
    int64_t input, output, shortcut, by;
    const float *threshold, *weight, *factor, *constant, *slope, *shift;
    const float *fused;      /* see `fuse_avx2`: NULL where the epilogue and the bits take two passes */
    const uint8_t *arranged; /* binary weights, see `bnn_arrange` */
    const int16_t *base;     /* what a sum is before the count of unequal bits is taken away, see `bnn_arrange` */
} Operation;

/* ------------------------------------------------------------------------------------------------ sizes and layouts */

enum {
    TILE_PAIRS = 32,            /* pairs of output pixels that are computed before their epilogue */
    TILE = 2 * TILE_PAIRS,      /* output pixels of a tile */
    TRIPLES = 21,               /* triples of nibbles that byte counters can hold: 63 * 4 = 252 */
    ROWS = 17,                  /* values of a nibble, and padding */
    PADDING = 16,               /* the nibble that stands for padding */
    NOTHING = 16 * ROWS * ROWS, /* offset of the table's row of zeros, which fills up a sum */
    COLUMNS = 16, GATHERED = 4, /* output channels and pixels whose floats are summed at once, in registers */
    TOGETHER = 16,              /* images that pass through the last linear layer together */
    FLOAT_TILE = 32,            /* output pixels of a float convolution that are summed before their epilogue */
    SLACK = 256,                /* bytes or numbers behind buffers that vector loops may overrun */
    SUM_BYTES = 49152,          /* sums of a tile where words are counted: weights pass once for so many */
    CHAINED = 8, CHAINING = 81, /* words of a window, and its output channels, from which on carries are counted */
    WEIGHT_BYTES = 24576        /* weights that stay in the first cache while a tile passes */
};

static inline int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }
static inline int smaller(int a, int b) { return a < b ? a : b; }

/* What follows from an operation's fields for a binary convolution. */
typedef struct {
    int group_in, group_out;    /* channels of a group */
    int bytes;                  /* of a group's pixel: a nibble each, or eight channels where words are counted */
    int unused;                 /* bits of its last nibble that hold no channel */
    int height, width;          /* of the padded input */
    int runs, run, run_bytes;   /* a window's contiguous parts: how many, distance helper, bytes of each */
    int terms;                  /* bytes of a window */
    int flushes, triples;       /* a window's nibbles, filled up: flushes * triples * 3 */
    int lanes, vectors, pairs;  /* of the kernel: output channels a vector, vectors, pairs of pixels at once */
    int block, blocks;          /* output channels computed at once, and how often */
    int stride;                 /* distance of pixels in the tile of sums */
} Layout;

/* What each kernel computes at once, in the order of `Kernel`, and the bytes that a vector of its weights takes. */
static const int LANES[] = {1, 32, 32, 32, 32, 16, 16, 16, 32, 32, 16, 16, 16, 16, 16, 16, 16, 16};
static const int VECTORS[] = {1, 1, 2, 3, 4, 1, 2, 3, 1, 2, 1, 2, 3, 4, 1, 2, 3, 4};
static const int PAIRS[] = {1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 4, 4, 2, 2, 2, 2, 2, 2};

static inline int counts_words(int kernel) { return kernel >= WORDS_1 && kernel <= WORDS_4; }
static inline int vector_bytes(int kernel) { return counts_words(kernel) ? 64 : kernel >= BYTES_1 ? 16 : 32; }

/* Flushes cost about as much as a triple: as few as the counters allow, filled up evenly. */
static void split_terms(Layout *l) {
    int triples = (l->terms + 2) / 3;
    l->flushes = (triples + TRIPLES - 1) / TRIPLES;
    l->triples = (triples + l->flushes - 1) / l->flushes;
}

/* Bytes of a group's pixel. Where words are counted, a window of one pixel is whole words, which are read in place. */
static int pixel_bytes(const Operation *op, int channels) {
    if (!counts_words(op->kernel)) return (channels + 3) / 4;
    return op->size == 1 ? (channels + 31) / 32 * 4 : (channels + 7) / 8;
}

static Layout layout_of(const Operation *op) {
    Layout l;
    l.group_in = op->in_channels / op->groups;
    l.group_out = op->out_channels / op->groups;
    l.bytes = pixel_bytes(op, l.group_in);
    l.unused = counts_words(op->kernel) ? 0 : 4 * l.bytes - l.group_in;
    l.height = op->in_height + 2 * op->padding;
    l.width = op->in_width + 2 * op->padding;
    l.runs = op->dilation == 1 ? op->size : op->size * op->size;
    l.run = op->dilation == 1 ? op->size : 1;
    l.run_bytes = l.run * l.bytes;
    l.terms = op->size * op->size * l.bytes;
    split_terms(&l);
    l.lanes = LANES[op->kernel];
    l.vectors = VECTORS[op->kernel];
    l.pairs = PAIRS[op->kernel];
    l.block = l.lanes * l.vectors;
    l.blocks = (l.group_out + l.block - 1) / l.block;
    l.stride = (int)round_up(op->out_channels + l.block, 16);
    return l;
}

static inline int64_t padded_terms(const Layout *l) { return (int64_t)l->flushes * l->triples * 3; }

/* The size of a binary convolution's packed and padded input. */
static inline int64_t packed_bytes(const Operation *op, const Layout *l) {
    return round_up((int64_t)op->groups * l->height * l->width * l->bytes + SLACK, 64);
}

/* Output rows, or columns, whose windows meet padding: those before `first`, and from `last` on. Each is a class of its
 * own, and those between are one. */
typedef struct {
    int first, last, classes;
} Sides;

static Sides sides_of(const Operation *op, int in, int out) {
    const int step = op->stride, beyond = in + op->padding - op->dilation * (op->size - 1);
    Sides s = {smaller(out, (op->padding + step - 1) / step), beyond > 0 ? (beyond + step - 1) / step : 0, 0};
    if (s.last < s.first) s.last = s.first;
    s.last = smaller(s.last, out);
    s.classes = s.first + 1 + out - s.last;
    return s;
}

static inline int class_of(const Sides *s, int at) {
    return at < s->first ? at : at < s->last ? s->first : s->first + 1 + at - s->last;
}

/* An output row, or column, of a class; for the class between, where nobody is in it, one of another. */
static inline int member_of(const Sides *s, int number) {
    return number <= s->first ? number : s->last + number - s->first - 1;
}

/* Whether bits of padding are counted like others, so that sums begin with what depends on a window's place. */
static inline int corrects_padding(const Operation *op) {
    return counts_words(op->kernel) && op->encoding == SIGNS && op->padding > 0;
}

/* Numbers of `base`, which overlong loads may overrun: a row of output channels for each class of windows. */
EXPORT int64_t bnn_base_size(const Operation *op) {
    int64_t classes = 1;
    if (corrects_padding(op)) {
        classes = sides_of(op, op->in_height, op->out_height).classes;
        classes *= sides_of(op, op->in_width, op->out_width).classes;
    }
    return classes * op->out_channels + SLACK;
}

/* The distance of pixels in the rows that `float_pixels` writes. */
static inline int64_t row_stride(const Operation *op) { return op->out_channels + COLUMNS; }

/* Where the parts of a thread's scratch memory lie; sizes in bytes. */
typedef struct {
    int64_t bits, index, sums, counters, row, flags, together, total;
} Scratch;

/* 32-bit words of a window, and bytes between pixels in a tile's rows of bits, which vector loops may overrun. */
static inline int64_t words_of_window(const Layout *l) { return (l->terms + 3) / 4; }
static inline int64_t flag_stride(int channels) { return round_up(channels, 64) / 8 + 8; }

static void grow(int64_t *size, int64_t wanted) {
    if (wanted > *size) *size = wanted;
}

/* Whether the last operation is a linear layer, which some images pass through together: its weights, megabytes often,
 * are read once for all of them. */
static inline int ends_linear(const Operation *ops, int count) {
    const Operation *op = &ops[count - 1];
    return op->kind == FLOAT_CONVOLUTION && op->size == 1 && op->groups == 1 && op->in_height * op->in_width == 1 &&
           op->padding == 0 && op->shortcut_stride == 0;
}

/* Floats that one image's input of the last operation, or its output, takes where images lie together. */
static inline int64_t together_floats(const Operation *op) {
    return round_up(op->in_channels > op->out_channels ? op->in_channels : op->out_channels, 16);
}

static Scratch scratch_of(const Operation *ops, int count) {
    Scratch s = {64, 64, 64, 64, 64, 64, 64, 0};
    for (int i = 0; i < count; i++) {
        const Operation *op = &ops[i];
        grow(&s.row, 4 * (TILE * (int64_t)op->shortcut_channels + 2 * SLACK));
        if (op->kind == PRODUCT)
            grow(&s.row, 4 * ((int64_t)op->shortcut_channels + FLOAT_TILE * row_stride(op) + 2 * SLACK));
        if (op->kind == FLOAT_CONVOLUTION) {
            int64_t rows = smaller(FLOAT_TILE, op->out_height * op->out_width);
            grow(&s.row, 4 * ((int64_t)op->shortcut_channels + rows * row_stride(op) + 2 * SLACK));
            int64_t taps = (int64_t)op->size * op->size * (op->in_channels / op->groups);
            grow(&s.index, 4 * (4 * taps + SLACK));
        }
        if (op->kind != BINARY_CONVOLUTION) continue;
        Layout l = layout_of(op);
        grow(&s.bits, packed_bytes(op, &l));
        grow(&s.sums, 2 * ((int64_t)TILE * l.stride + SLACK));
        if (counts_words(op->kernel)) {
            grow(&s.index, 4 * ((TILE + 8) * round_up(words_of_window(&l), 16) + SLACK));
            grow(&s.flags, TILE * flag_stride(op->in_channels));
            continue;
        }
        grow(&s.index, 2 * (TILE_PAIRS * padded_terms(&l) + SLACK));
        grow(&s.counters, (int64_t)TILE_PAIRS * l.vectors * 4 * 32);
    }
    if (ends_linear(ops, count)) {
        const Operation *op = &ops[count - 1];
        s.together = 4 * (2 * TOGETHER * together_floats(op) + SLACK);
        grow(&s.row, 4 * (TOGETHER * row_stride(op) + 2 * SLACK));
    }
    s.bits = round_up(s.bits, 64), s.index = round_up(s.index, 64), s.sums = round_up(s.sums, 64);
    s.counters = round_up(s.counters, 64), s.row = round_up(s.row, 64), s.flags = round_up(s.flags, 64);
    s.together = round_up(s.together, 64);
    s.total = 2 * s.bits + s.index + s.sums + s.counters + s.row + s.flags + s.together;
    return s;
}

/* -------------------------------------------------------------------------------------------------- weights' layout */

/* Bit `at` of the weights as the file has them. */
static inline int bit(const uint8_t *bits, int64_t at) { return bits[at >> 3] >> (at & 7) & 1; }

/* Four signs of one output channel: nibble `term` of its window. */
static int weight_nibble(const Layout *l, const uint8_t *bits, int64_t channel, int term, int window) {
    int tap = term / l->bytes, first = term % l->bytes * 4, nibble = 0;
    int64_t start = (channel * window + tap) * l->group_in;
    for (int i = 0; i < 4 && first + i < l->group_in; i++) nibble |= bit(bits, start + first + i) << i;
    return nibble;
}

/* Which of a vector's output channels byte `lane` holds: even bytes the first half and odd bytes the second, so that
 * both halves come out in order when bytes are widened to 16 bits. A half vector holds its channels twice. */
static inline int channel_of_lane(int lanes, int lane) {
    lane %= lanes;
    return lane % 2 ? lanes / 2 + lane / 2 : lane / 2;
}

static inline int64_t words_of(const Layout *l) { return (l->terms + 15) / 16; }

/* The arranged weights' size in bytes. */
EXPORT int64_t bnn_arranged_size(const Operation *op) {
    Layout l = layout_of(op);
    if (op->kernel == POPCOUNT) return 8 * words_of(&l) * op->out_channels;
    if (counts_words(op->kernel)) return 64 * op->groups * l.blocks * words_of_window(&l) * l.vectors;
    return (int64_t)op->groups * l.blocks * padded_terms(&l) * vector_bytes(op->kernel) * l.vectors;
}

static void arrange_words(const Operation *op, const Layout *l, const uint8_t *bits, uint64_t *out) {
    int64_t words = words_of(l);
    memset(out, 0, (size_t)(8 * words * op->out_channels));
    for (int64_t channel = 0; channel < op->out_channels; channel++)
        for (int term = 0; term < l->terms; term++) {
            uint64_t nibble = (uint64_t)weight_nibble(l, bits, channel, term, op->size * op->size);
            out[channel * words + term / 16] |= nibble << term % 16 * 4;
        }
}

static void arrange_bytes(const Operation *op, const Layout *l, const uint8_t *bits, uint8_t *out) {
    const int vector = vector_bytes(op->kernel);
    int64_t row = vector * l->vectors, at = 0;
    memset(out, 0, (size_t)bnn_arranged_size(op));
    for (int group = 0; group < op->groups; group++)
        for (int block = 0; block < l->blocks; block++, at += padded_terms(l) * row)
            for (int term = 0; term < l->terms; term++)
                for (int lane = 0; lane < row; lane++) {
                    int channel = block * l->block + lane / vector * l->lanes + channel_of_lane(l->lanes, lane % vector);
                    if (channel >= l->group_out) continue;
                    int64_t filter = (int64_t)group * l->group_out + channel;
                    out[at + term * row + lane] =
                        (uint8_t)weight_nibble(l, bits, filter, term, op->size * op->size);
                }
}

/* Whether a window's words are counted by carries; then each, of inputs and weights, is xored with all before it, which
 * takes some vectors of output channels to pay. */
static inline int chains(const Layout *l) { return l->group_out >= CHAINING && words_of_window(l) >= CHAINED; }

/* Words of 32 bits, 16 output channels side by side: groups, blocks, words, vectors. Every tap begins a byte, as in the
 * packed input. */
static void arrange_lanes(const Operation *op, const Layout *l, const uint8_t *bits, uint32_t *out) {
    int64_t window = (int64_t)op->size * op->size * l->group_in, words = words_of_window(l);
    memset(out, 0, (size_t)bnn_arranged_size(op));
    for (int64_t filter = 0; filter < op->out_channels; filter++) {
        int64_t group = filter / l->group_out, channel = filter % l->group_out, lane = channel % l->block;
        uint32_t *to = out + (group * l->blocks + channel / l->block) * words * l->block + lane;
        for (int64_t i = 0; i < window; i++) {
            int64_t place = i / l->group_in * l->bytes * 8 + i % l->group_in;
            to[place / 32 * l->block] |= (uint32_t)bit(bits, filter * window + i) << place % 32;
        }
        for (int64_t i = 1; chains(l) && i < words; i++) to[i * l->block] ^= to[(i - 1) * l->block];
    }
}

/* What a channel's tap adds to `base` of the classes of windows in which it meets padding: its bits are 0 there, which
 * count where the weight is 1, and should not count at all. */
static void correct_tap(const Operation *op, int tap, int correction, int16_t *base) {
    const Sides rows = sides_of(op, op->in_height, op->out_height), columns = sides_of(op, op->in_width, op->out_width);
    const int down = tap / op->size * op->dilation - op->padding, right = tap % op->size * op->dilation - op->padding;
    for (int row = 0; row < rows.classes; row++)
        for (int column = 0; column < columns.classes; column++, base += op->out_channels) {
            const int y = member_of(&rows, row) * op->stride + down, x = member_of(&columns, column) * op->stride + right;
            const int inside = y >= 0 && y < op->in_height && x >= 0 && x < op->in_width;
            if (!inside) *base = (int16_t)(*base + correction);
        }
}

/* Bring weights from the file's order into the kernel's, and compute `base` (`bnn_base_size` numbers).
 *
 * Kernels count unequal bits, n. With signs a sum is terms - 2 n, a nibble of padding counting as two unequal bits of
 * four, hence nothing. With zeros and ones, a = (1 + s) / 2, so that the sum of a * w is (terms + sum of w) / 2 - n,
 * and padding is the bits 0. Where words of signs are counted, padding is the bits 0 as well, and `base` has a row of
 * numbers for each class of windows that meet it alike. */
EXPORT void bnn_arrange(const Operation *op, const uint8_t *bits, uint8_t *arranged, int16_t *base) {
    Layout l = layout_of(op);
    int terms = op->size * op->size * l.group_in;
    if (op->kernel == POPCOUNT)
        arrange_words(op, &l, bits, (uint64_t *)arranged);
    else if (counts_words(op->kernel))
        arrange_lanes(op, &l, bits, (uint32_t *)arranged);
    else
        arrange_bytes(op, &l, bits, arranged);
    const int64_t classes = (bnn_base_size(op) - SLACK) / op->out_channels;
    memset(base, 0, 2 * (size_t)bnn_base_size(op));
    for (int64_t channel = 0; channel < op->out_channels; channel++) {
        int ones = 0;
        for (int i = 0; i < terms; i++) ones += bit(bits, channel * terms + i);
        const int start = op->encoding != SIGNS ? ones : counts_words(op->kernel) ? terms : 4 * l.terms;
        for (int64_t i = 0; i < classes; i++) base[i * op->out_channels + channel] = (int16_t)start;
        for (int tap = 0; corrects_padding(op) && tap < op->size * op->size; tap++) {
            for (int i = ones = 0; i < l.group_in; i++) ones += bit(bits, channel * terms + tap * l.group_in + i);
            correct_tap(op, tap, 2 * ones - l.group_in, base + channel);
        }
    }
}

/* ---------------------------------------------------------------------------------------------- packing activations */

/* The bits of up to 32 channels. */
INLINE uint32_t compare(const float *x, const float *threshold, int count) {
    uint32_t bits = 0;
    for (int i = 0; i < count; i++) bits |= (uint32_t)(x[i] >= threshold[i]) << i;
    return bits;
}

/* Eight bits as two nibbles, a byte each. */
static inline void store_nibbles(int bits, uint8_t *to) {
    uint16_t two = (uint16_t)((bits | bits << 4) & 0x0f0f);
    memcpy(to, &two, 2);
}

static void pack_group(const float *x, const float *threshold, int channels, uint8_t *out) {
    for (int c = 0; c < channels; c += 4)
        out[c / 4] = (uint8_t)compare(x + c, threshold + c, smaller(4, channels - c));
}

/* Nibbles of pixels [first, last) of a binary convolution's input, into its padded memory, group by group. */
static void pack_pixels_plain(const Operation *op, const Layout *l, const float *x, int first, int last, uint8_t *out) {
    const int64_t plane = (int64_t)l->height * l->width * l->bytes;
    int row = first / op->in_width + op->padding, column = first % op->in_width;
    for (int pixel = first; pixel < last; pixel++, x += op->in_channels) {
        uint8_t *to = out + ((int64_t)row * l->width + column + op->padding) * l->bytes;
        for (int group = 0; group < op->groups; group++, to += plane)
            pack_group(x + group * l->group_in, op->threshold + group * l->group_in, l->group_in, to);
        if (++column == op->in_width) column = 0, row++;
    }
}

/* Fill the border of the padded memory: with zeros and ones, padding is a zero like any other; where words are counted,
 * `base` makes up for it. */
static void pack_border(const Operation *op, const Layout *l, uint8_t *packed) {
    int value = op->encoding == SIGNS && !counts_words(op->kernel) ? PADDING : 0;
    int64_t row = (int64_t)l->width * l->bytes, side = (int64_t)op->padding * l->bytes;
    if (counts_words(op->kernel) && 8 * l->bytes >= l->group_in + 8) { /* bytes that nobody writes, see `pixel_bytes` */
        memset(packed, 0, (size_t)(op->groups * l->height * row));
        return;
    }
    if (op->padding == 0) return;
    for (int group = 0; group < op->groups; group++)
        for (int y = 0; y < l->height; y++, packed += row) {
            int inside = y >= op->padding && y < l->height - op->padding;
            memset(packed, value, (size_t)(inside ? side : row));
            if (inside) memset(packed + row - side, value, (size_t)side);
        }
}

/* --------------------------------------------------------------------------------------------------- binary kernels */

/* Where the windows of output pixels [first, last) begin in a group's nibbles; the last one again after them. */
static void find_windows(const Operation *op, const Layout *l, int first, int last, int64_t windows[TILE]) {
    int64_t step = (int64_t)op->stride * l->bytes, row = (int64_t)op->stride * l->width * l->bytes;
    int column = first % op->out_width;
    int64_t start = first / op->out_width * row, at = start + column * step;
    for (int i = 0; i < TILE; i++) {
        windows[i] = at;
        if (first + i >= last - 1) continue;
        at += step;
        if (++column == op->out_width) column = 0, start += row, at = start;
    }
}

/* Where a window's contiguous part begins, from the window's beginning. */
static inline int64_t run_offset(const Operation *op, const Layout *l, int run) {
    if (op->dilation == 1) return (int64_t)run * l->width * l->bytes;
    return (int64_t)op->dilation * (run / op->size * (int64_t)l->width + run % op->size) * l->bytes;
}

/* How many taps of a pixel's window meet no padding. */
static int taps_inside(const Operation *op, int pixel) {
    int y = pixel / op->out_width * op->stride - op->padding, x = pixel % op->out_width * op->stride - op->padding;
    int rows = 0, columns = 0;
    for (int tap = 0; tap < op->size; tap++) {
        rows += y + tap * op->dilation >= 0 && y + tap * op->dilation < op->in_height;
        columns += x + tap * op->dilation >= 0 && x + tap * op->dilation < op->in_width;
    }
    return rows * columns;
}

/* What bits that hold no channel add to a pixel's sums: they are equal, yet should count nothing. */
static inline int surplus(const Operation *op, const Layout *l, int pixel) {
    if (op->encoding != SIGNS || l->unused == 0) return 0;
    return l->unused * (op->padding ? taps_inside(op, pixel) : op->size * op->size);
}

/* Sums of one pixel and one group by popcounts of 64 bits, for processors without a kernel of their own. */
static void popcount_pixel(const Operation *op, const Layout *l, const uint8_t *window, uint64_t *bits,
                           const uint64_t *weights, const int16_t *base, int pixel, int16_t *sums) {
    int64_t words = words_of(l);
    uint64_t *valid = bits + words;
    int term = 0, padding = 0, shift = op->encoding == SIGNS;
    memset(bits, 0, (size_t)(16 * words));
    for (int run = 0; run < l->runs; run++) {
        const uint8_t *from = window + run_offset(op, l, run);
        for (int i = 0; i < l->run_bytes; i++, term++) {
            uint64_t inside = from[i] != PADDING;
            padding += !inside;
            bits[term / 16] |= inside * from[i] << term % 16 * 4;
            valid[term / 16] |= inside * 15 << term % 16 * 4;
        }
    }
    int extra = surplus(op, l, pixel);
    for (int channel = 0; channel < l->group_out; channel++, weights += words) {
        int unequal = 2 * padding;
        for (int64_t i = 0; i < words; i++) unequal += __builtin_popcountll((bits[i] ^ weights[i]) & valid[i]);
        sums[channel] = (int16_t)(base[channel] - extra - (unequal << shift));
    }
}

static void popcount_tile(const Operation *op, const Layout *l, const uint8_t *nibbles, int first, int last,
                          uint64_t *scratch, int16_t *sums) {
    int64_t plane = (int64_t)l->height * l->width * l->bytes, words = words_of(l), windows[TILE];
    find_windows(op, l, first, last, windows);
    for (int pixel = first; pixel < last; pixel++, sums += l->stride)
        for (int group = 0; group < op->groups; group++) {
            int at = group * l->group_out;
            popcount_pixel(op, l, nibbles + group * plane + windows[pixel - first], scratch,
                           (const uint64_t *)op->arranged + at * words, op->base + at, pixel, sums + at);
        }
}

/* -------------------------------------------------------------------------------------------------------- epilogues */

/* What a pixel's epilogue reads: sums as integers or floats, and the shortcut's numbers or NULL. */
typedef struct {
    const int16_t *integers;
    const float *floats, *shortcut;
} Row;

/* The loop that follows may write where it reads, but only the very number that it has read. */
#if defined(__clang__)
#define IN_PLACE _Pragma("clang loop vectorize(assume_safety)")
#else
#define IN_PLACE _Pragma("GCC ivdep")
#endif

/* v = factor * sum + constant + shortcut, then the activation, for `count` channels from channel `c`. The constants
 * `integers`, `added` and `activation` make loops of their own. `out` may be the place of the shortcut. */
INLINE void finish(const Operation *op, const int integers, const int added, const enum Activation activation, Row row,
                   int c, int count, float *out) {
    const float *RESTRICT factor = op->factor + c, *RESTRICT constant = op->constant + c;
    const float *RESTRICT slope = op->slope + c, *RESTRICT shift = op->shift + c;
    const int16_t *RESTRICT sums = row.integers;
    const float *floats = row.floats, *shortcut = row.shortcut;
    const float low = op->low, high = op->high;
    IN_PLACE
    for (int i = 0; i < count; i++) {
        float v = (integers ? (float)sums[i] : floats[i]) * factor[i];
        v = v + constant[i];
        if (added) v = v + shortcut[i];
        if (activation == RELU) v = v > 0 ? v : 0;
        if (activation == RPRELU) {
            float negative = v * slope[i];
            v = (v > 0 ? v : negative) + shift[i];
        }
        if (activation == CLIP) v = v > low ? v : low, v = v < high ? v : high;
        out[i] = v;
    }
}

INLINE void finish_each(const Operation *op, const int integers, const int added, Row row, int c, int n, float *out) {
    switch (op->activation) {
        case RELU: finish(op, integers, added, RELU, row, c, n, out); break;
        case RPRELU: finish(op, integers, added, RPRELU, row, c, n, out); break;
        case CLIP: finish(op, integers, added, CLIP, row, c, n, out); break;
        default: finish(op, integers, added, NONE, row, c, n, out);
    }
}

INLINE void finish_any(const Operation *op, Row row, int c, int n, float *out) {
    if (row.integers && row.shortcut) finish_each(op, 1, 1, row, c, n, out);
    else if (row.integers) finish_each(op, 1, 0, row, c, n, out);
    else if (row.shortcut) finish_each(op, 0, 1, row, c, n, out);
    else finish_each(op, 0, 0, row, c, n, out);
}

/* Means of squares of a shortcut of a larger map: the pixel's C numbers. */
INLINE void mean_row(const Operation *op, const float *x, int y, int column, float *RESTRICT out) {
    int n = op->shortcut_stride, channels = op->shortcut_channels, width = n * op->out_width;
    for (int i = 0; i < channels; i++) out[i] = 0;
    for (int dy = 0; dy < n; dy++)
        for (int dx = 0; dx < n; dx++) {
            const float *RESTRICT from = x + ((int64_t)(n * y + dy) * width + n * column + dx) * channels;
            for (int i = 0; i < channels; i++) out[i] += from[i];
        }
    const float count = (float)(n * n);
    for (int i = 0; i < channels; i++) out[i] /= count;
}

/* The epilogue of one pixel, its shortcut repeated along channels, or cut. */
INLINE void finish_pixel(const Operation *op, float *tensors, int pixel, Row row, float *scratch) {
    float *out = tensors + op->output + (int64_t)pixel * op->out_channels;
    if (op->shortcut_stride == 0) {
        finish_any(op, row, 0, op->out_channels, out);
        return;
    }
    const float *x = tensors + op->shortcut + (int64_t)pixel * op->shortcut_channels;
    if (op->shortcut_stride > 1) {
        mean_row(op, tensors + op->shortcut, pixel / op->out_width, pixel % op->out_width, scratch);
        x = scratch;
    }
    for (int c = 0; c < op->out_channels; c += op->shortcut_channels) {
        Row part = {row.integers ? row.integers + c : 0, row.floats ? row.floats + c : 0, x};
        finish_any(op, part, c, smaller(op->shortcut_channels, op->out_channels - c), out + c);
    }
}

/* ----------------------------------------------------------------------------------------------- float convolutions */

typedef float Vector __attribute__((vector_size(32), aligned(4), may_alias)); /* of the compiler, on any processor */
typedef float WideVector __attribute__((vector_size(64), aligned(4), may_alias));

/* The values under an output pixel's window, one group's, zeros where it meets padding. */
INLINE void gather_floats(const Operation *op, const float *x, int pixel, int group, float *RESTRICT out) {
    int channels = op->in_channels / op->groups, width = op->in_width;
    int y0 = pixel / op->out_width * op->stride - op->padding, x0 = pixel % op->out_width * op->stride - op->padding;
    int whole = op->groups == 1 && op->dilation == 1 && x0 >= 0 && x0 + op->size <= width; /* rows in one piece */
    for (int ky = 0; ky < op->size; ky++, out += op->size * channels) {
        int y = y0 + ky * op->dilation, inside = y >= 0 && y < op->in_height;
        const float *row = x + (int64_t)(inside ? y : 0) * width * op->in_channels + group * channels;
        if (inside && whole) {
            for (int i = 0; i < op->size * channels; i++) out[i] = row[x0 * channels + i];
            continue;
        }
        for (int kx = 0; kx < op->size; kx++) {
            int column = x0 + kx * op->dilation, valid = inside && column >= 0 && column < width;
            const float *from = row + (int64_t)(valid ? column : 0) * op->in_channels;
            for (int i = 0; i < channels; i++) out[kx * channels + i] = valid ? from[i] : 0;
        }
    }
}

/* Values that are multiplied with weights: `runs` times `run` floats for each pixel, the runs `distance` apart. */
typedef struct {
    const float *from[GATHERED];
    int runs, run;
    int64_t distance;
} Values;

/* Sums of `pixels` pixels, a constant, and COLUMNS channels, `stride` floats apart; weights are (taps, COLUMNS). */
INLINE void multiply(const int pixels, const Values *values, const float *RESTRICT weights, float *sums,
                     int64_t stride) {
    Vector local[GATHERED][2];
    for (int p = 0; p < pixels; p++) local[p][0] = local[p][1] = (Vector){0};
    for (int run = 0; run < values->runs; run++) {
        const float *from[GATHERED];
        for (int p = 0; p < pixels; p++) from[p] = values->from[p] + run * values->distance;
        for (int i = 0; i < values->run; i++, weights += COLUMNS) {
            Vector first = *(const Vector *)weights, second = *(const Vector *)(weights + 8);
            for (int p = 0; p < pixels; p++) {
                float value = from[p][i];
                local[p][0] += value * first;
                local[p][1] += value * second;
            }
        }
    }
    for (int p = 0; p < pixels; p++, sums += stride) {
        *(Vector *)sums = local[p][0];
        *(Vector *)(sums + 8) = local[p][1];
    }
}

/* The same with vectors of COLUMNS floats. */
INLINE void multiply_wide(const int pixels, const Values *values, const float *RESTRICT weights, float *sums,
                          int64_t stride) {
    WideVector local[GATHERED];
    for (int p = 0; p < pixels; p++) local[p] = (WideVector){0};
    for (int run = 0; run < values->runs; run++) {
        const float *from[GATHERED];
        for (int p = 0; p < pixels; p++) from[p] = values->from[p] + run * values->distance;
        for (int i = 0; i < values->run; i++, weights += COLUMNS)
            for (int p = 0; p < pixels; p++) local[p] += from[p][i] * *(const WideVector *)weights;
    }
    for (int p = 0; p < pixels; p++, sums += stride) *(WideVector *)sums = local[p];
}

/* Sums of one pixel for GATHERED blocks of COLUMNS channels: one block alone would wait for each of its sums. */
INLINE void multiply_blocks(const int wide, const Values *values, const float *RESTRICT weights, int64_t block,
                            float *sums) {
    Vector local[GATHERED][2];
    WideVector far[GATHERED];
    for (int b = 0; b < GATHERED; b++) local[b][0] = local[b][1] = (Vector){0}, far[b] = (WideVector){0};
    for (int run = 0; run < values->runs; run++) {
        const float *from = values->from[0] + run * values->distance;
        for (int i = 0; i < values->run; i++, weights += COLUMNS)
            for (int b = 0; b < GATHERED; b++) {
                const float *here = weights + b * block;
                if (wide) far[b] += from[i] * *(const WideVector *)here;
                else local[b][0] += from[i] * *(const Vector *)here, local[b][1] += from[i] * *(const Vector *)(here + 8);
            }
    }
    for (int b = 0; b < GATHERED; b++, sums += COLUMNS) {
        if (wide) *(WideVector *)sums = far[b];
        else *(Vector *)sums = local[b][0], *(Vector *)(sums + 8) = local[b][1];
    }
}

/* Whether a pixel's window lies in its input as it is, row by row, without padding. */
INLINE int lies_inside(const Operation *op, int pixel) {
    int y = pixel / op->out_width * op->stride - op->padding, x = pixel % op->out_width * op->stride - op->padding;
    return op->groups == 1 && op->dilation == 1 && y >= 0 && y + op->size <= op->in_height && x >= 0 &&
           x + op->size <= op->in_width;
}

/* The values of pixels [first, last) for one group: where they are, or gathered. For missing pixels the first's. */
INLINE Values find_values(const Operation *op, const float *x, int first, int last, int group, float *gathered) {
    int channels = op->in_channels / op->groups, taps = op->size * op->size * channels;
    Values v = {{0}, 1, taps, 0};
    if (lies_inside(op, first) && lies_inside(op, last - 1) && (last - 1) / op->out_width == first / op->out_width) {
        int64_t row = (int64_t)op->in_width * op->in_channels;
        v.runs = op->size, v.run = op->size * channels, v.distance = row;
        for (int p = 0; p < GATHERED; p++) {
            int pixel = first + p < last ? first + p : first;
            int y = pixel / op->out_width * op->stride - op->padding;
            int column = pixel % op->out_width * op->stride - op->padding;
            v.from[p] = x + y * row + (int64_t)column * channels;
        }
        return v;
    }
    for (int p = 0; p < GATHERED; p++) {
        v.from[p] = first + p < last ? gathered + (int64_t)p * taps : gathered;
        if (first + p < last) gather_floats(op, x, first + p, group, gathered + (int64_t)p * taps);
    }
    return v;
}

/* Weights of a group come in blocks of COLUMNS output channels, the last one filled up with zeros; what it adds to a
 * row is overwritten by the next group, or lies behind the row. */
INLINE void float_pixels(const int wide, const Operation *op, const float *x, int first, int last, float *gathered,
                         float *rows) {
    int taps = op->size * op->size * (op->in_channels / op->groups), channels = op->out_channels / op->groups;
    const float *weights = op->weight;
    for (int group = 0; group < op->groups; group++) {
        Values values = find_values(op, x, first, last, group, gathered);
        int c = 0;
        for (; last - first == 1 && c + GATHERED * COLUMNS <= channels; c += GATHERED * COLUMNS) {
            multiply_blocks(wide, &values, weights, (int64_t)taps * COLUMNS, rows + group * channels + c);
            weights += (int64_t)GATHERED * taps * COLUMNS;
        }
        for (; c < channels; c += COLUMNS, weights += (int64_t)taps * COLUMNS) {
            float *sums = rows + group * channels + c;
            if (wide && last - first > 1)
                multiply_wide(GATHERED, &values, weights, sums, row_stride(op));
            else if (wide)
                multiply_wide(1, &values, weights, sums, row_stride(op));
            else if (last - first > 1)
                multiply(GATHERED, &values, weights, sums, row_stride(op));
            else
                multiply(1, &values, weights, sums, row_stride(op));
        }
    }
}

/* ------------------------------------------------------------------------------------------------- other operations */

INLINE void pool_pixel(const Operation *op, const float *x, int pixel, float *RESTRICT out) {
    int y0 = pixel / op->out_width * op->stride - op->padding, x0 = pixel % op->out_width * op->stride - op->padding;
    int channels = op->in_channels, seen = 0, mean = op->kind == MEAN_POOL;
    for (int i = 0; i < channels; i++) out[i] = mean ? 0 : -__builtin_inff();
    for (int y = y0; y < y0 + op->size; y++)
        for (int column = x0; column < x0 + op->size; column++) {
            if (y < 0 || y >= op->in_height || column < 0 || column >= op->in_width) continue;
            const float *RESTRICT from = x + ((int64_t)y * op->in_width + column) * channels;
            seen++;
            if (mean)
                for (int i = 0; i < channels; i++) out[i] += from[i];
            else
                for (int i = 0; i < channels; i++) out[i] = from[i] > out[i] ? from[i] : out[i];
        }
    const float count = (float)seen;
    for (int i = 0; mean && i < channels; i++) out[i] /= count;
}

INLINE void global_average(const Operation *op, const float *RESTRICT x, float *RESTRICT out) {
    int64_t pixels = (int64_t)op->in_height * op->in_width;
    const float count = (float)pixels;
    memset(out, 0, sizeof(float) * (size_t)op->in_channels);
    for (int64_t pixel = 0; pixel < pixels; pixel++, x += op->in_channels)
        for (int i = 0; i < op->in_channels; i++) out[i] += x[i];
    for (int i = 0; i < op->in_channels; i++) out[i] /= count;
}

/* One input of a concatenation, beside what others bring. */
static void copy_channels(const Operation *op, const float *x, float *out) {
    int64_t pixels = (int64_t)op->in_height * op->in_width;
    for (int64_t pixel = 0; pixel < pixels; pixel++)
        memcpy(out + pixel * op->out_channels + op->channel, x + pixel * op->in_channels,
               sizeof(float) * (size_t)op->in_channels);
}

/* ------------------------------------------------------------------------------------------------------ the program */

/* A thread's memory; all but `tensors` begins at multiples of 64 bytes. `bits` has two parts, since an operation may
 * read one and write the next one's. */
typedef struct {
    float *tensors;
    uint8_t *bits[2];
    void *index;
    int16_t *sums;
    void *counters;
    float *row;
    uint8_t *flags;  /* bits of a tile's pixels, `flag_stride` apart, before they are dealt out to groups */
    float *together; /* inputs of the last operation, and then its outputs, see `ends_linear` */
    int level;
} Memory;

static Memory memory_of(const Operation *ops, int count, int level, float *tensors, uint8_t *scratch) {
    Scratch s = scratch_of(ops, count);
    Memory m;
    m.tensors = tensors;
    m.bits[0] = scratch;
    m.bits[1] = m.bits[0] + s.bits;
    m.index = m.bits[1] + s.bits;
    m.sums = (int16_t *)((uint8_t *)m.index + s.index);
    m.counters = (uint8_t *)m.sums + s.sums;
    m.row = (float *)((uint8_t *)m.counters + s.counters);
    m.flags = (uint8_t *)m.row + s.row;
    m.together = (float *)(m.flags + s.flags);
    m.level = level;
    return m;
}

/* Where the bits of operation `number` lie, if it is a binary convolution. */
static inline uint8_t *bits_of(const Memory *m, int number) { return m->bits[number % 2]; }

static inline int pixels_of(const Operation *op) { return op->out_height * op->out_width; }

/* The binary convolution whose bits an operation writes, or none. */
typedef struct {
    const Operation *op;
    Layout layout;
    uint8_t *bits;
} Next;

static Next next_of(const Operation *ops, const Operation *op, const Memory *m) {
    Next next = {0};
    if (!op->packs) return next;
    next.op = op + 1;
    next.layout = layout_of(next.op);
    next.bits = bits_of(m, (int)(next.op - ops));
    pack_border(next.op, &next.layout, next.bits);
    return next;
}

/* Where the sums of a vector kernel go: rows of pixels, `stride` apart, and what they begin with. */
typedef struct {
    const int16_t *base;
    const int *extra; /* of each pixel */
    int shift;        /* 1 with signs, where a sum is base - extra - 2 n; else 0 */
    int16_t *sums;
    int stride;
} Target;

/* -------------------------------------------------------------------------------- kernels of each kind of processor */

#if HAVE_LOOKUP
#include "lookup_table.h"
#endif
#if HAVE_AVX2
#include "kernels_avx2.h"
#include "processor.h"
#elif HAVE_NEON
#include "kernels_neon.h"
#endif
#if HAVE_LOOKUP
#include "lookup_tiles.h"
#endif
#if HAVE_AVX512
#include "kernels_avx512.h"
#endif

/* ----------------------------------------------------------------------------------------------- choosing among them */

/* Pack pixels [first, last) of a binary convolution's input, which begin at `x`. */
static void pack_pixels(const Operation *op, const Layout *l, const Memory *m, const float *x, int first, int last,
                        uint8_t *packed) {
#if HAVE_AVX512
    if (counts_words(op->kernel)) {
        pack_pixels_avx512(op, l, m->flags, x, first, last, packed);
        return;
    }
#endif
#if HAVE_LOOKUP
    if (op->kernel != POPCOUNT && l->group_in % 8 == 0) {
        PACK_EIGHTS(op, l, x, first, last, packed);
        return;
    }
#endif
    (void)m;
    pack_pixels_plain(op, l, x, first, last, packed);
}

/* Pixels [first, last) are done: write the bits that the next binary convolution reads, while they are in the cache. */
static void pack_next(const Operation *op, const Memory *m, const Next *next, int first, int last) {
    if (next->op == 0) return;
    const float *x = m->tensors + op->output + (int64_t)first * op->out_channels;
    pack_pixels(next->op, &next->layout, m, x, first, last, next->bits);
}

/* The epilogue of pixels [first, last), whose sums lie `stride` apart. */
INLINE void finish_pixels(const Operation *op, const Memory *m, int first, int last, Row row, int64_t stride) {
    for (int pixel = first; pixel < last; pixel++) {
        int64_t at = (pixel - first) * stride;
        Row sums = {row.integers ? row.integers + at : 0, row.floats ? row.floats + at : 0, 0};
        finish_pixel(op, m->tensors, pixel, sums, m->row);
    }
}

static void finish_plain(const Operation *op, const Memory *m, int first, int last, Row row, int64_t stride) {
    finish_pixels(op, m, first, last, row, stride);
}

#if HAVE_AVX2
AVX2 static void finish_avx2(const Operation *op, const Memory *m, int first, int last, Row row, int64_t stride) {
    finish_pixels(op, m, first, last, row, stride);
}
#endif

/* The epilogue of pixels [first, last), whose sums lie `stride` apart, and the next binary convolution's bits. */
static void finish_tile(const Operation *op, const Memory *m, const Next *next, int first, int last, Row row,
                        int64_t stride) {
#if HAVE_AVX512
    if (m->level == LEVEL_AVX512 && op->fused && next->op) {
        fuse_avx512(op, m, next, first, last, row, stride);
        return;
    }
#endif
#if HAVE_AVX2
    if (m->level == LEVEL_AVX2 && op->fused && next->op) {
        (row.integers ? fuse_sums : fuse_floats)(op, m, next, first, last, row, stride);
        return;
    }
    if (m->level != LEVEL_PLAIN) finish_avx2(op, m, first, last, row, stride);
    else finish_plain(op, m, first, last, row, stride);
#else
    finish_plain(op, m, first, last, row, stride);
#endif
    pack_next(op, m, next, first, last);
}

INLINE void float_convolution(const int wide, const Operation *op, const Memory *m, const Next *next) {
    float *rows = m->row + op->shortcut_channels + SLACK;
    for (int first = 0; first < pixels_of(op); first += FLOAT_TILE) {
        int last = smaller(first + FLOAT_TILE, pixels_of(op));
        for (int some = first; some < last; some += GATHERED)
            float_pixels(wide, op, m->tensors + op->input, some, smaller(some + GATHERED, last), m->index,
                         rows + (some - first) * row_stride(op));
        finish_tile(op, m, next, first, last, (Row){0, rows, 0}, row_stride(op));
    }
}

INLINE void by_pixels(const Operation *op, const Memory *m, const Next *next) {
    const float *x = m->tensors + op->input;
    for (int first = 0; first < pixels_of(op); first += TILE) {
        int last = smaller(first + TILE, pixels_of(op));
        if (op->kind == POINTWISE) {
            Row row = {0, x + (int64_t)first * op->in_channels, 0};
            finish_tile(op, m, next, first, last, row, op->in_channels);
        } else {
            for (int pixel = first; pixel < last; pixel++)
                pool_pixel(op, x, pixel, m->tensors + op->output + (int64_t)pixel * op->out_channels);
            pack_next(op, m, next, first, last);
        }
    }
}

/* A tensor times another one, or times one number a channel. */
INLINE void multiply_tensors(const Operation *op, const Memory *m, const Next *next) {
    float *RESTRICT rows = m->row + op->shortcut_channels + SLACK;
    const int channels = op->in_channels;
    for (int first = 0; first < pixels_of(op); first += FLOAT_TILE) {
        const int last = smaller(first + FLOAT_TILE, pixels_of(op));
        for (int pixel = first; pixel < last; pixel++) {
            const float *x = m->tensors + op->input + (int64_t)pixel * channels;
            const float *by = m->tensors + op->by + (int64_t)pixel * op->step;
            float *RESTRICT out = rows + (pixel - first) * row_stride(op);
            for (int i = 0; i < channels; i++) out[i] = x[i] * by[i];
        }
        finish_tile(op, m, next, first, last, (Row){0, rows, 0}, row_stride(op));
    }
}

/* `wide` tells that vectors of 64 bytes are fast. */
INLINE void other_operation(const int wide, const Operation *op, const Memory *m, const Next *next) {
    float *out = m->tensors + op->output;
    switch (op->kind) {
        case FLOAT_CONVOLUTION: float_convolution(wide, op, m, next); break;
        case PRODUCT: multiply_tensors(op, m, next); break;
        case GLOBAL_AVERAGE: global_average(op, m->tensors + op->input, out); break;
        case COPY: copy_channels(op, m->tensors + op->input, out); break;
        case ZERO: memset(out, 0, sizeof(float) * (size_t)pixels_of(op) * (size_t)op->out_channels); break;
        default: by_pixels(op, m, next);
    }
}

static void other_plain(const Operation *op, const Memory *m, const Next *next) { other_operation(0, op, m, next); }

#if HAVE_AVX2
AVX2 static void other_avx2(const Operation *op, const Memory *m, const Next *next) { other_operation(0, op, m, next); }
#endif
#if HAVE_AVX512
AVX512 static void other_avx512(const Operation *op, const Memory *m, const Next *next) {
    other_operation(1, op, m, next);
}
#endif

/* Integer sums of pixels [first, last) into m->sums. */
static void binary_tile(const Operation *op, const Layout *l, const Memory *m, const uint8_t *packed, int first,
                        int last) {
#if HAVE_AVX512
    if (counts_words(op->kernel)) {
        Place places[TILE + 8];
        words_tile(op, l, packed, first, last, m->index, m->sums, places, 0);
        return;
    }
#endif
#if HAVE_LOOKUP
    if (op->kernel != POPCOUNT) {
        lookup_tile(op, l, packed, first, last, m->index, m->counters, m->sums);
        return;
    }
#endif
    popcount_tile(op, l, packed, first, last, m->index, m->sums);
}

/* Output pixels whose sums are computed before their epilogue. */
static int tile_of(const Operation *op, const Layout *l) {
#if HAVE_AVX512
    if (counts_words(op->kernel)) return words_tile_size(l);
#endif
    (void)op, (void)l;
    return TILE;
}

/* A binary convolution: pack where the operation before has not, then tile by tile sums, epilogue, the next one's bits.
 * Where `sums` is not NULL the integers go there, (height, width, out), and nothing follows. */
static void binary_convolution(const Operation *ops, int number, const Memory *m, const Next *next, int16_t *sums) {
    const Operation *op = &ops[number];
    Layout l = layout_of(op);
    const int tile = tile_of(op, &l);
    uint8_t *packed = bits_of(m, number);
    if (!op->packed) {
        pack_border(op, &l, packed);
        pack_pixels(op, &l, m, m->tensors + op->input, 0, op->in_height * op->in_width, packed);
    }
#if HAVE_AVX512
    if (counts_words(op->kernel) && sums == 0 && fuses_words(op, &l, next)) {
        const int most = TILE / pixels_at_once(&l) * pixels_at_once(&l);
        for (int first = 0; first < pixels_of(op); first += most)
            fused_words_tile(op, &l, m, packed, next, first, smaller(first + most, pixels_of(op)));
        return;
    }
#endif
    for (int first = 0; first < pixels_of(op); first += tile) {
        int last = smaller(first + tile, pixels_of(op));
        int16_t *rows = sums ? sums + (int64_t)first * op->out_channels : 0;
#if HAVE_AVX512
        if (sums && fills_words(op, &l, last - first)) { /* at once where they belong */
            Layout close = l;
            close.stride = op->out_channels;
            Place places[TILE + 8];
            words_tile(op, &close, packed, first, last, m->index, rows, places, 0);
            continue;
        }
#endif
        binary_tile(op, &l, m, packed, first, last);
        for (int64_t i = 0; sums && i < last - first; i++)
            memcpy(rows + i * op->out_channels, m->sums + i * l.stride, sizeof(int16_t) * (size_t)op->out_channels);
        if (sums == 0) finish_tile(op, m, next, first, last, (Row){m->sums, 0, 0}, l.stride);
    }
}

static void operate(const Operation *ops, int number, const Memory *m) {
    const Operation *op = &ops[number];
    Next next = next_of(ops, op, m);
    if (op->kind == BINARY_CONVOLUTION) {
        binary_convolution(ops, number, m, &next, 0);
        return;
    }
#if HAVE_AVX512
    if (m->level == LEVEL_AVX512) {
        other_avx512(op, m, &next);
        return;
    }
#endif
#if HAVE_AVX2
    if (m->level == LEVEL_AVX2) {
        other_avx2(op, m, &next);
        return;
    }
#endif
    other_plain(op, m, &next);
}

/* Whether this processor, and its operating system, run the kernels of a level. */
EXPORT int bnn_supports(int level) {
    if (level == LEVEL_PLAIN) return 1;
#if HAVE_AVX2
    return processor_runs(level);
#elif HAVE_NEON
    return level == LEVEL_NEON; /* every arm64 processor has it */
#else
    return 0;
#endif
}

/* Prepare what kernels share, and return the best level. To be called once, before anything else. */
EXPORT int bnn_start(void) {
#if HAVE_LOOKUP
    fill_table();
#endif
    if (bnn_supports(LEVEL_NEON)) return LEVEL_NEON;
    if (bnn_supports(LEVEL_AVX512)) return LEVEL_AVX512;
    return bnn_supports(LEVEL_AVX2) ? LEVEL_AVX2 : LEVEL_PLAIN;
}

/* The kernel for a binary convolution: of those that compute the fewest vectors, the one that loads least for it, or,
 * where carries are counted, whose weights take least of the first cache. */
EXPORT int bnn_choose_kernel(const Operation *op, int level) {
    static const int order[][10] = {
        {POPCOUNT},
        {WIDE_3, PAIR_2, HALF_3, WIDE_4, PAIR_1, HALF_2, HALF_1, WIDE_2, WIDE_1, POPCOUNT},
        {WORDS_3, WORDS_4, WORDS_2, WORDS_1, POPCOUNT},
        {BYTES_3, BYTES_4, BYTES_2, BYTES_1, POPCOUNT},
        {WORDS_2, WORDS_3, WORDS_4, WORDS_1, POPCOUNT},
    };
    int best = POPCOUNT, least = 0, channels = op->out_channels / op->groups;
    Operation words = *op;
    words.kernel = WORDS_1;
    const Layout l = layout_of(&words);
    for (const int *kernel = order[level == LEVEL_AVX512 && chains(&l) ? 4 : level]; *kernel != POPCOUNT; kernel++) {
        int block = LANES[*kernel] * VECTORS[*kernel], lanes = (channels + block - 1) / block * block;
        if (best == POPCOUNT || lanes < least) best = *kernel, least = lanes;
    }
    return best;
}

/* The size of `Operation`, for a caller to compare with its own. */
EXPORT int64_t bnn_operation_size(void) { return (int64_t)sizeof(Operation); }

/* Bytes of scratch memory, aligned to 64, that a thread needs. */
EXPORT int64_t bnn_scratch_size(const Operation *ops, int count) { return scratch_of(ops, count).total; }

/* Whatever comes before the last linear layer has been run for `number` images: their logits. */
static void run_together(const Operation *last, const Memory *m, int number, float *logits, int classes) {
    const int64_t place = TOGETHER * together_floats(last);
    Memory own = *m;
    Operation op = *last; /* images side by side, as pixels are */
    op.in_width = op.out_width = number, op.input = 0, op.output = place;
    own.tensors = m->together;
    operate(&op, 0, &own);
    memcpy(logits, own.tensors + place, sizeof(float) * (size_t)number * (size_t)classes);
}

/* An image to tensor 0; `planes` tells that its channels come first. */
static void take_image(const float *image, int planes, int channels, int64_t pixels, float *tensor) {
    if (!planes) memcpy(tensor, image, sizeof(float) * (size_t)(channels * pixels));
    for (int64_t p = 0; planes && p < pixels; p++)
        for (int c = 0; c < channels; c++) tensor[p * channels + c] = image[c * pixels + p];
}

/* Run a program on images, one after the other but for a linear layer at its end. `planes` tells that channels come
 * first in `images`. Tensor 0 lies at the beginning of `tensors`; the last operation's output is copied to `logits`. Both
 * memories are the thread's own. */
EXPORT void bnn_run(const Operation *ops, int count, int level, const float *images, int64_t number, int planes,
                    int channels, int64_t pixels, float *tensors, uint8_t *scratch, float *logits, int classes) {
    Memory m = memory_of(ops, count, level, tensors, scratch);
    const Operation *last = &ops[count - 1];
    const int alone = ends_linear(ops, count) ? count - 1 : count; /* operations that an image passes alone */
    for (int64_t image = 0; image < number; image++, images += channels * pixels) {
        take_image(images, planes, channels, pixels, tensors);
        for (int i = 0; i < alone; i++) operate(ops, i, &m);
        if (alone == count) {
            memcpy(logits + image * classes, tensors + last->output, sizeof(float) * (size_t)classes);
            continue;
        }
        const int64_t place = image % TOGETHER;
        memcpy(m.together + place * last->in_channels, tensors + last->input, sizeof(float) * (size_t)last->in_channels);
        if (place == TOGETHER - 1 || image == number - 1)
            run_together(last, &m, (int)place + 1, logits + (image - place) * classes, classes);
    }
}

/* One operation alone, on a tensor at its input's place: for measuring, and with `sums` for its integers. */
EXPORT void bnn_run_one(const Operation *op, int level, float *tensors, uint8_t *scratch, int16_t *sums) {
    Memory m = memory_of(op, 1, level, tensors, scratch);
    if (sums)
        binary_convolution(op, 0, &m, 0, sums);
    else
        operate(op, 0, &m);
}
