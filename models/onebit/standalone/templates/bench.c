/* Times the network of bnn.h: milliseconds an image by the processor's clock, median and quartiles of 21 rounds. */
#include <stdio.h>
#include <time.h>

#include "bnn.h"

enum { ROUNDS = 21, ROUNDS_A_SECOND = 50 };

static bnn_memory memory;
static uint8_t pixels[BNN_VALUES];
static float logits[BNN_CLASSES];

/* Milliseconds that some calls take. */
static double time_calls(long calls) {
    clock_t start = clock();
    for (long i = 0; i < calls; i++) bnn_logits_of_pixels(&memory, pixels, logits);
    return (double)(clock() - start) * 1000 / CLOCKS_PER_SEC;
}

int main(void) {
    double readings[ROUNDS];
    long calls = 1;
    for (long i = 0; i < BNN_VALUES; i++) pixels[i] = (uint8_t)(i * 37 + i / 11);
    while (time_calls(calls) < 1000.0 / ROUNDS_A_SECOND) calls *= 2; /* which warms up, too */
    for (int round = 0; round < ROUNDS; round++) {
        double reading = time_calls(calls) / (double)calls;
        int at = round;
        for (; at > 0 && readings[at - 1] > reading; at--) readings[at] = readings[at - 1];
        readings[at] = reading;
    }
    printf("%.6f ms an image (quartiles %.6f to %.6f, %d rounds of %ld images)\n", readings[ROUNDS / 2],
           readings[ROUNDS / 4], readings[3 * ROUNDS / 4], ROUNDS, calls);
    return 0;
}
