/* The network of bnn.h: its weights and its operations, in order. */
#include "bnn.h"

#include "kernels.h"

@CONSTANTS@

static const float mean[BNN_CHANNELS] = {@MEAN@}, deviation[BNN_CHANNELS] = {@STD@};

const char *const bnn_class_names[BNN_CLASSES] = {
@NAMES@
};

void bnn_logits(bnn_memory *memory, const float *image, float *logits) {
    float *const tensors = memory->tensors;
    (void)tensors, (void)image;
@CALLS@
}

void bnn_logits_of_pixels(bnn_memory *memory, const uint8_t *pixels, float *logits) {
    float *image = memory->tensors;
    for (int32_t i = 0; i < BNN_VALUES; i++) {
        int32_t channel = i % BNN_CHANNELS;
        image[i] = ((float)pixels[i] / 255 - mean[channel]) / deviation[channel];
    }
    bnn_logits(memory, image, logits);
}

int bnn_best(const float *logits) {
    int best = 0;
    for (int i = 1; i < BNN_CLASSES; i++)
        if (logits[i] > logits[best]) best = i;
    return best;
}
