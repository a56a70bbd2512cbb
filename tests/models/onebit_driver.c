/* Runs what `test_onebit_arm64.py` writes, on processors that Python does not run on: plans of the native engine, their
 * images and what must come out, and compares bits. Called as `driver FILE [REPEATS]`; REPEATS runs the first case so
 * often and compares nothing, for counting instructions; 0 counts bits by a plain loop of `cnt` instead.
 *
 * A file holds cases, each a Header, operations, constants (to which pointers in operations are offsets), images, and
 * logits or, for the first operation alone, the integers of its sums.
 *
 * Compiled with -DLIBRARY="..." it takes the functions from that library, as Python does, in place of compiling them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine.c"

#ifdef _WIN32
#include <malloc.h>
#include <windows.h>
#define aligned_alloc(alignment, bytes) _aligned_malloc(bytes, alignment)
#define free _aligned_free
#define LOAD(name) (void *)LoadLibraryA(name)
#define FIND(library, name) (void *)GetProcAddress(library, name)
#else
#include <dlfcn.h>
#define LOAD(name) dlopen(name, RTLD_NOW)
#define FIND(library, name) dlsym(library, name)
#endif

#ifdef LIBRARY
static void *function(const char *name) {
    static void *library;
    if (library == 0) library = LOAD(LIBRARY);
    void *found = library ? FIND(library, name) : 0;
    if (found == 0) printf("%s has no %s\n", LIBRARY, name), exit(6);
    return found;
}
#define OF_LIBRARY(name) ((__typeof__(&name))function(#name))
#define bnn_start OF_LIBRARY(bnn_start)
#define bnn_supports OF_LIBRARY(bnn_supports)
#define bnn_scratch_size OF_LIBRARY(bnn_scratch_size)
#define bnn_run OF_LIBRARY(bnn_run)
#define bnn_run_one OF_LIBRARY(bnn_run_one)
#endif

typedef struct {
    int64_t operations, level, tensors, constants, images, planes, channels, pixels, classes, sums;
} Header;

static void *memory(int64_t bytes) {
    void *found = aligned_alloc(64, (size_t)round_up(bytes + 1, 64));
    if (found == 0) exit(3);
    return found;
}

static void *part(FILE *file, int64_t bytes) {
    void *read = memory(bytes);
    if (fread(read, 1, (size_t)bytes, file) != (size_t)bytes) exit(4);
    return read;
}

static void relocate(Operation *op, const uint8_t *constants) {
    const void **pointers[] = {
        (const void **)&op->threshold, (const void **)&op->weight, (const void **)&op->factor,
        (const void **)&op->constant,  (const void **)&op->slope,  (const void **)&op->shift,
        (const void **)&op->fused,     (const void **)&op->arranged, (const void **)&op->base,
    };
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        if (*pointers[i]) *pointers[i] = constants + (intptr_t)*pointers[i];
}

/* Whether a case's bits are the wanted ones. */
static int run_case(const Header *h, FILE *file, int repeats) {
    Operation *ops = part(file, h->operations * (int64_t)sizeof(Operation));
    uint8_t *constants = part(file, h->constants);
    float *images = part(file, 4 * h->images * h->channels * h->pixels);
    const int64_t size = h->sums ? 2 * h->sums : 4 * h->images * h->classes;
    void *wanted = part(file, size), *found = memory(size);
    float *tensors = memory(4 * h->tensors);
    for (int64_t i = 0; i < h->operations; i++) relocate(&ops[i], constants);
    const int count = (int)h->operations, level = (int)h->level;
    uint8_t *scratch = memory(bnn_scratch_size(ops, count));
    memset(found, 0xff, (size_t)size);
    for (int i = 0; i < repeats; i++) {
        if (h->sums) {
            memcpy(tensors, images, (size_t)(4 * h->channels * h->pixels));
            bnn_run_one(ops, level, tensors, scratch, found);
        } else {
            bnn_run(ops, count, level, images, h->images, (int)h->planes, (int)h->channels, h->pixels, tensors, scratch,
                    found, (int)h->classes);
        }
    }
    const int equal = memcmp(wanted, found, (size_t)size) == 0;
    free(ops), free(constants), free(images), free(wanted), free(found), free(tensors), free(scratch);
    return equal;
}

/* What a compiler makes of the plain loop: words of two rows, unequal bits, their count. */
static __attribute__((noinline)) int64_t plain_cnt(const uint8_t *a, const uint8_t *b, int64_t bytes) {
#if HAVE_NEON
    uint16x8_t n = vdupq_n_u16(0);
    for (int64_t i = 0; i < bytes; i += 16)
        n = vpadalq_u8(n, vcntq_u8(veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i))));
    return vaddlvq_u16(n);
#else
    int64_t n = 0;
    for (int64_t i = 0; i < bytes; i++) n += __builtin_popcount((unsigned)(a[i] ^ b[i]));
    return n;
#endif
}

int main(int arguments, char **argument) {
    static uint8_t bits[8192];
    if (arguments < 2) return 2;
    const int repeats = arguments > 2 ? atoi(argument[2]) : 1;
    if (repeats == 0) return (int)plain_cnt(bits, bits + 4096, 4096); /* 32,768 products */
    FILE *file = fopen(argument[1], "rb");
    if (file == 0) return 2;
    int cases = 0, wrong = 0;
    const int best = bnn_start();
    for (Header h; fread(&h, sizeof h, 1, file) == 1; cases++) {
        if (!bnn_supports((int)h.level)) {
            printf("level %d does not run here, the best is %d\n", (int)h.level, best);
            return 5;
        }
        if (!run_case(&h, file, repeats)) wrong++, printf("case %d differs\n", cases);
        if (arguments > 2) return 0;
    }
    fclose(file);
    printf("%d cases, %d differ\n", cases, wrong);
    return wrong != 0;
}
