/* The table by which AVX2 and NEON count unequal bits; included by engine.c. */

/* For a pair of pixels whose nibbles are a and b, the table's row 17 b + a holds, at byte w, how many bits of a weight
 * nibble w differ from a (its low four bits) and from b (its high four bits). One shuffle thus counts for two pixels
 * and 32 output channels. The last row is zero. */
static uint8_t table[NOTHING + 16] __attribute__((aligned(64)));

static int unequal_bits(int nibble, int weight) {
    return nibble == PADDING ? 2 : __builtin_popcount((unsigned)(nibble ^ weight));
}

static void fill_table(void) {
    for (int b = 0; b < ROWS; b++)
        for (int a = 0; a < ROWS; a++)
            for (int w = 0; w < 16; w++)
                table[(b * ROWS + a) * 16 + w] = (uint8_t)(unequal_bits(a, w) + 16 * unequal_bits(b, w));
}
