/* The network of bnn.h for a page, which writes the pixels, calls `run` and reads the logits. */
#include "bnn.h"

static bnn_memory memory;
static uint8_t pixels[BNN_VALUES];
static float logits[BNN_CLASSES];

__attribute__((export_name("pixels"))) uint8_t *bnn_pixels_place(void) { return pixels; }

__attribute__((export_name("logits"))) float *bnn_logits_place(void) { return logits; }

__attribute__((export_name("run"))) void bnn_run(void) { bnn_logits_of_pixels(&memory, pixels, logits); }
