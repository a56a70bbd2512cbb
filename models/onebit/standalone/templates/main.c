/* Tells the classes of images in files of BNN_VALUES bytes each, see bnn.h; --logits prints all logits, too. */
#include <stdio.h>
#include <string.h>

#include "bnn.h"

static bnn_memory memory;
static uint8_t pixels[BNN_VALUES];
static float logits[BNN_CLASSES];

/* Reads the pixels; what is wrong with the file, or NULL. */
static const char *read_pixels(const char *path) {
    const char *problem = NULL;
    FILE *file = fopen(path, "rb");
    if (!file) return "cannot be opened";
    size_t count = fread(pixels, 1, BNN_VALUES, file);
    if (ferror(file))
        problem = "cannot be read";
    else if (count < BNN_VALUES)
        problem = "is too short";
    else if (fgetc(file) != EOF)
        problem = "is too long";
    fclose(file);
    return problem;
}

/* Prints a name, without what could steer a terminal. */
static void print_name(const char *name) {
    for (; *name; name++) putchar((unsigned char)*name < 32 || *name == 127 ? '?' : *name);
}

int main(int count, char **words) {
    int first = count > 1 && strcmp(words[1], "--logits") == 0 ? 2 : 1, failed = 0;
    if (first >= count) {
        fprintf(stderr, "give files of %ld bytes: %d rows of %d pixels, %d bytes each\n", (long)BNN_VALUES, BNN_HEIGHT,
                BNN_WIDTH, BNN_CHANNELS);
        return 2;
    }
    for (int i = first; i < count; i++) {
        const char *problem = read_pixels(words[i]);
        if (problem) {
            fprintf(stderr, "%s %s; an image has %ld bytes\n", words[i], problem, (long)BNN_VALUES);
            failed = 1;
            continue;
        }
        bnn_logits_of_pixels(&memory, pixels, logits);
        print_name(bnn_class_names[bnn_best(logits)]);
        printf("  %s\n", words[i]);
        for (int c = 0; first == 2 && c < BNN_CLASSES; c++) printf("%.9g\n", (double)logits[c]);
    }
    return failed;
}
