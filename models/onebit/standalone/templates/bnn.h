/* A 1-bit network that classifies images of BNN_HEIGHT x BNN_WIDTH pixels with BNN_CHANNELS channels.
@FACTS@ *
 * It allocates nothing and calls nothing; several threads may run it, each with memory of its own. All machines give the
 * same logits, to the bit.
 */
#ifndef BNN_H
#define BNN_H
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

@SIZES@

/* What a call works in; its content needs no care, before or after. */
typedef struct {
    float tensors[@TENSORS@];
    float sums[@SUMS@];
    uint32_t bits[@BITS@];
} bnn_memory;

extern const char *const bnn_class_names[BNN_CLASSES]; /* UTF-8 */

/* The logits, BNN_CLASSES floats, of an image of BNN_VALUES bytes: rows from the top, pixels from the left, the channels
 * of a pixel beside each other. */
void bnn_logits_of_pixels(bnn_memory *memory, const uint8_t *pixels, float *logits);

/* The same of floats that are normalised already: (pixel / 255 - mean) / std of their channel. */
void bnn_logits(bnn_memory *memory, const float *image, float *logits);

/* The class of the largest logit, the first of several. */
int bnn_best(const float *logits);

#ifdef __cplusplus
}
#endif
#endif
