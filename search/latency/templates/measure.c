/* Measures the operations and networks of table.h on this machine and prints a table of latencies for binarynas:
 *
 *   ./measure > latency.json             what it does meanwhile goes to the terminal
 *   ./measure "Raspberry Pi 5" > ...     the table calls the processor so
 *
 * Keep the machine idle meanwhile. The protocol is that of `binarynas latency-table`: one image, one thread on one core,
 * everything in turns, the thread's own time, medians and quartiles. Weights do not change times and are the same.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#if defined(__linux__)
#include <sched.h>
#include <unistd.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#endif

#include "engine.c"
#include "table.h"

enum { ROUNDS = TABLE_ROUNDS, WARM_UP = TABLE_WARM_UP, AT_ONCE = TABLE_AT_ONCE, MOST_CALLS = 100 };

static void *or_end(void *memory) {
    if (memory) return memory;
    fputs("measure: there is not enough memory for the operations of this space\n", stderr);
    exit(1);
}

/* ------------------------------------------------------------------------------------------------------------ clocks */

/* Milliseconds that this thread has worked; where a system does not tell them finely, of the wall. */
static double now(void) {
#if defined(_WIN32)
    LARGE_INTEGER count, frequency;
    QueryPerformanceCounter(&count);
    QueryPerformanceFrequency(&frequency);
    return 1e3 * (double)count.QuadPart / (double)frequency.QuadPart;
#else
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return 1e3 * (double)time.tv_sec + 1e-6 * (double)time.tv_nsec;
#endif
}

/* Stay on the last core that this process may use, where the system lets one ask. */
static void pin(void) {
#if defined(__linux__)
    cpu_set_t allowed, one;
    if (sched_getaffinity(0, sizeof allowed, &allowed)) return;
    for (int core = CPU_SETSIZE - 1; core >= 0; core--)
        if (CPU_ISSET(core, &allowed)) {
            CPU_ZERO(&one);
            CPU_SET(core, &one);
            (void)!sched_setaffinity(0, sizeof one, &one);
            return;
        }
#endif
}

/* ---------------------------------------------------------------------------------------------------------- programs */

/* Memory that is handed out part by part; counted first, without a base. */
typedef struct {
    uint8_t *base;
    int64_t used;
} Arena;

static void *take(Arena *arena, int64_t bytes) {
    void *part = arena->base ? arena->base + arena->used : NULL;
    arena->used += round_up(bytes, 64);
    return part;
}

static const float *floats(Arena *arena, int64_t count, float value) {
    float *values = take(arena, 4 * (count + SLACK));
    for (int64_t i = 0; values && i < count + SLACK; i++) values[i] = value;
    return values;
}

static const void *bytes(Arena *arena, int64_t count, int value) {
    void *values = take(arena, count);
    if (values) memset(values, value, (size_t)count);
    return values;
}

/* Weights of its own for an operation, as every operation of a network has. */
static void add_weights(Operation *op, int lanes, int level, Arena *arena) {
    op->factor = floats(arena, op->out_channels, 1);
    op->constant = floats(arena, op->out_channels, 0);
    op->slope = floats(arena, op->out_channels, 0.25f);
    op->shift = floats(arena, op->out_channels, 0);
    op->fused = lanes ? floats(arena, 5 * round_up(op->out_channels, lanes), 0.25f) : NULL;
    if (op->kind == FLOAT_CONVOLUTION) {
        int64_t taps = (int64_t)op->size * op->size * (op->in_channels / op->groups);
        op->weight = floats(arena, taps * op->groups * round_up(op->out_channels / op->groups, 16), 0.0625f);
    }
    if (op->kind == BINARY_CONVOLUTION) {
        op->threshold = floats(arena, op->in_channels, 0);
        op->kernel = bnn_choose_kernel(op, level);
        op->arranged = bytes(arena, bnn_arranged_size(op), 5);
        op->base = bytes(arena, 2 * bnn_base_size(op), 0);
    }
}

/* A program in memory of its own, and how often it is called for one reading. */
typedef struct {
    Operation *ops;
    Arena arena;
    uint8_t *memory, *scratch;
    float *tensors, *image, *logits;
    int count, level, channels, classes, calls;
    int64_t pixels;
} Clock;

/* Step `i` of a program: of a list, or of `copies` of one operation. Two of three copies write to two places in turn;
 * the third is the last. */
typedef struct {
    const Step *steps;
    int begin, body, copies;
} Sequence;

static const Step *step_of(const Sequence *s, int i) {
    int copy = (i - s->begin) / s->body, end = s->begin + s->body * s->copies;
    if (s->copies == 0 || i < s->begin) return &s->steps[i];
    if (i >= end) return &s->steps[s->begin + 3 * s->body + i - end];
    return &s->steps[s->begin + (copy == s->copies - 1 ? 2 : copy % 2) * s->body + (i - s->begin) % s->body];
}

static void fill(Clock *clock, const Sequence *sequence) {
    clock->arena.used = 0;
    for (int i = 0; i < clock->count; i++) {
        const Step *step = step_of(sequence, i);
        clock->ops[i] = step->op;
        add_weights(&clock->ops[i], step->fused[clock->level], clock->level, &clock->arena);
    }
}

static uint8_t *aligned(uint8_t *memory) { return memory + (64 - (uintptr_t)memory % 64) % 64; }

static double read_clock(const Clock *clock) {
    double start = now();
    for (int i = 0; i < clock->calls; i++)
        bnn_run(clock->ops, clock->count, clock->level, clock->image, 1, 0, clock->channels, clock->pixels,
                clock->tensors, clock->scratch, clock->logits, clock->classes);
    double taken = now() - start;
    return (taken > 1e-6 ? taken : 1e-6) / clock->calls;
}

static Clock make_clock(const Plan *plan, Sequence sequence, int count, int level) {
    Clock clock = {.count = count, .level = level, .channels = plan->channels, .pixels = plan->pixels,
                   .classes = plan->classes, .calls = 1};
    clock.ops = or_end(calloc((size_t)count, sizeof(Operation)));
    fill(&clock, &sequence);
    int64_t weights = clock.arena.used, values = clock.channels * clock.pixels;
    int64_t tensors = round_up(4 * plan->tensors, 64), image = round_up(4 * values, 64);
    int64_t logits = round_up(4 * (int64_t)clock.classes, 64), scratch = bnn_scratch_size(clock.ops, count);
    clock.memory = or_end(calloc(1, (size_t)(weights + tensors + image + logits + scratch + 64)));
    clock.arena.base = aligned(clock.memory);
    fill(&clock, &sequence);
    clock.tensors = take(&clock.arena, tensors);
    clock.image = take(&clock.arena, image);
    clock.logits = take(&clock.arena, logits);
    clock.scratch = take(&clock.arena, scratch);
    for (int64_t i = 0; i < values; i++) clock.image[i] = (float)(i * 37 % 101) / 50 - 1;
    for (int i = 0; i < WARM_UP; i++) read_clock(&clock);
    double calls = TABLE_BLOCK / read_clock(&clock);
    clock.calls = calls >= MOST_CALLS ? MOST_CALLS : (int)calls + (calls > (int)calls);
    if (clock.calls < 1) clock.calls = 1;
    return clock;
}

static void free_clock(Clock *clock) {
    free(clock->memory);
    free(clock->ops);
}

static Clock clock_of_copies(const Timed *timed, int copies, int level) {
    Sequence sequence = {timed->plan.steps, timed->begin, timed->body, copies};
    return make_clock(&timed->plan, sequence, timed->begin + timed->body * copies + 1, level);
}

static Clock clock_of_network(const Plan *plan, int level) {
    return make_clock(plan, (Sequence){plan->steps, 0, 1, 0}, plan->count, level);
}

/* --------------------------------------------------------------------------------------------------------- statistics */

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(double *values, int count) {
    qsort(values, (size_t)count, sizeof *values, compare_doubles);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

typedef struct {
    double median, low, high;
} Timing;

/* Sorted numbers at a part of the way from before the first to behind the last, as Python's `quantiles` has it. */
static double quartile(const double *sorted, int quarter) {
    int at = quarter * (ROUNDS + 1) / 4, rest = quarter * (ROUNDS + 1) % 4;
    return (sorted[at - 1] * (4 - rest) + sorted[at] * rest) / 4;
}

static Timing timing_of(double readings[ROUNDS]) {
    qsort(readings, ROUNDS, sizeof *readings, compare_doubles);
    return (Timing){quartile(readings, 2), quartile(readings, 1), quartile(readings, 3)};
}

/* ---------------------------------------------------------------------------------------------------------- measuring */

typedef struct {
    Clock one, many;
    int copies;
} Pair;

/* A program with one copy of an operation, and one with so many more that their difference can be read. */
static Pair make_pair(const Timed *timed, int level) {
    Pair pair = {.one = clock_of_copies(timed, 1, level)};
    Clock few = clock_of_copies(timed, 3, level);
    double readings[5];
    for (int i = 0; i < 5; i++) {
        double taken = read_clock(&few) - read_clock(&pair.one);
        readings[i] = (taken > 1e-5 ? taken : 1e-5) / 2;
    }
    free_clock(&few);
    double wanted = TABLE_BLOCK / median_of(readings, 5);
    pair.copies = wanted >= timed->most_copies ? timed->most_copies : (int)wanted + (wanted > (int)wanted);
    if (pair.copies < 2) pair.copies = 2;
    pair.many = clock_of_copies(timed, 1 + pair.copies, level);
    return pair;
}

static void time_operations(Timing *found, int level) {
    static Pair pairs[AT_ONCE];
    static double readings[AT_ONCE][ROUNDS];
    for (int first = 0; first < TABLE_OPERATIONS; first += AT_ONCE) {
        int count = smaller(AT_ONCE, TABLE_OPERATIONS - first);
        fprintf(stderr, "\roperations %d of %d", first, TABLE_OPERATIONS);
        for (int i = 0; i < count; i++) pairs[i] = make_pair(&timed_operations[first + i], level);
        for (int round = 0; round < ROUNDS; round++)
            for (int i = 0; i < count; i++) {
                double taken = read_clock(&pairs[i].many) - read_clock(&pairs[i].one);
                readings[i][round] = (taken > 0 ? taken : 0) / pairs[i].copies;
            }
        for (int i = 0; i < count; i++) {
            found[first + i] = timing_of(readings[i]);
            free_clock(&pairs[i].one);
            free_clock(&pairs[i].many);
        }
    }
    fprintf(stderr, "\roperations %d of %d\n", TABLE_OPERATIONS, TABLE_OPERATIONS);
}

/* Constant and factor of `constant + factor * sum` of least relative squares, neither negative. */
typedef struct {
    double constant, factor, error;
} Fit;

static Fit fit_networks(const Timing *operations, int level) {
    static Clock clocks[TABLE_NETWORKS];
    static double readings[TABLE_NETWORKS][ROUNDS], measured[TABLE_NETWORKS], sums[TABLE_NETWORKS],
        errors[TABLE_NETWORKS];
    double a = 0, b = 0, c = 0, d = 0, e = 0;
    fprintf(stderr, "%d networks\n", TABLE_NETWORKS);
    for (int i = 0; i < TABLE_NETWORKS; i++) clocks[i] = clock_of_network(&networks[i].plan, level);
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < TABLE_NETWORKS; i++) readings[i][round] = read_clock(&clocks[i]);
    for (int i = 0; i < TABLE_NETWORKS; i++) {
        double m = measured[i] = timing_of(readings[i]).median, s = 0;
        for (int k = 0; k < networks[i].count; k++) s += operations[networks[i].operations[k]].median;
        sums[i] = s;
        a += 1 / (m * m), b += s / (m * m), c += s * s / (m * m), d += 1 / m, e += s / m;
        free_clock(&clocks[i]);
    }
    double determinant = a * c - b * b;
    Fit fit = {(d * c - b * e) / determinant, (a * e - b * d) / determinant, 0};
    if (!(determinant > 1e-9 * a * c) || fit.constant < 0 || fit.factor <= 0) { /* all alike, or a busy machine */
        for (int i = 0; i < TABLE_NETWORKS; i++) errors[i] = measured[i] / sums[i];
        fit.constant = 0, fit.factor = median_of(errors, TABLE_NETWORKS);
    }
    for (int i = 0; i < TABLE_NETWORKS; i++) {
        double error = (fit.constant + fit.factor * sums[i] - measured[i]) / measured[i];
        errors[i] = error < 0 ? -error : error;
    }
    fit.error = median_of(errors, TABLE_NETWORKS);
    return fit;
}

/* ----------------------------------------------------------------------------------------------------------- printing */

/* The rest of the first line of a file that begins with some words; of any line where there are none. */
static int line_of(const char *path, const char *words, char *name, size_t size) {
    char line[256];
    FILE *file = fopen(path, "r");
    int found = 0;
    while (file && !found && fgets(line, sizeof line, file)) {
        const char *rest = words[0] ? strchr(line, ':') : line;
        found = rest && strncmp(line, words, strlen(words)) == 0;
        if (found) snprintf(name, size, "%.*s", (int)strcspn(rest, "\n"), words[0] ? rest + 2 : rest);
    }
    if (file) fclose(file);
    return found;
}

static void processor_name(char *name, size_t size) {
    if (line_of("/proc/cpuinfo", "model name", name, size)) return;
    if (line_of("/proc/device-tree/model", "", name, size)) return;
#if defined(__APPLE__)
    if (sysctlbyname("machdep.cpu.brand_string", name, &size, NULL, 0) == 0) return;
#endif
    const char *told = getenv("PROCESSOR_IDENTIFIER");
#if defined(__aarch64__)
    snprintf(name, size, "%s", told ? told : "arm64");
#elif defined(__x86_64__)
    snprintf(name, size, "%s", told ? told : "x86-64");
#else
    snprintf(name, size, "%s", told ? told : "unknown");
#endif
}

static void print_text(const char *name, const char *text) {
    printf(" \"%s\": \"", name);
    for (; *text && *text != '\n' && *text != '\r'; text++)
        if (*text >= ' ' && *text < 127 && *text != '"' && *text != '\\') putchar(*text);
    printf("\",\n");
}

int main(int count, char **arguments) {
    static const char *const names[] = {"native, plain C", "native, AVX2", "native, AVX-512", "native, NEON"};
    static Timing operations[TABLE_OPERATIONS];
    char processor[256] = "";
    if (count > 2 || (count == 2 && arguments[1][0] == '-')) {
        fputs("usage: measure [NAME OF THE PROCESSOR] > latency.json\n", stderr);
        return 2;
    }
    if (count == 2) snprintf(processor, sizeof processor, "%s", arguments[1]);
    else processor_name(processor, sizeof processor);
    pin();
    int level = bnn_start();
    fprintf(stderr, "%s, %s\n", processor, names[level]);
    time_operations(operations, level);
    Fit fit = fit_networks(operations, level);
    printf("{\n \"version\": %d,\n", TABLE_VERSION);
    print_text("processor", processor);
    print_text("engine", names[level]);
    print_text("kit", TABLE_ENGINE);
    print_text("space", TABLE_SPACE);
    printf(" \"constant\": %.9g,\n \"factor\": %.9g,\n", fit.constant, fit.factor);
    printf(" \"fit\": {\"networks\": %d, \"median_error\": %.9g},\n \"threads\": 1,\n", TABLE_NETWORKS, fit.error);
    print_text("protocol", TABLE_PROTOCOL);
    printf(" \"operations\": {");
    for (int i = 0; i < TABLE_OPERATIONS; i++)
        printf("%s\n  \"%s\": {\"median\": %.9g, \"low\": %.9g, \"high\": %.9g, \"calls\": %d}", i ? "," : "",
               timed_operations[i].key, operations[i].median, operations[i].low, operations[i].high, ROUNDS);
    printf("\n },\n \"networks\": {}\n}\n");
    return fflush(stdout) || ferror(stdout) ? 1 : 0;
}
