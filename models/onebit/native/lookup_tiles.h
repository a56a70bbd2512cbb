/* Tiles of a binary convolution by table lookup, with the kernels of AVX2 or NEON; included by engine.c. */

/* One block of output channels for all pairs of a tile; weights pass in chunks that stay in the first cache. */
LOOKUP_TARGET static void lookup_block(const Operation *op, const Layout *l, const uint16_t *index, int pairs,
                              const uint8_t *weights, Target to, Counts *counters) {
    int64_t flush_terms = 3 * l->triples, row = vector_bytes(op->kernel) * l->vectors;
    const int64_t terms = padded_terms(l);
    const int whole = l->lanes == vector_bytes(op->kernel); /* a vector holds each output channel once */
    int chunks = (int)((terms * row + WEIGHT_BYTES - 1) / WEIGHT_BYTES);
    int chunk = l->pairs > 1 && whole ? l->flushes : (l->flushes + chunks - 1) / chunks;
    int vectors = whole ? l->pairs * l->vectors : l->vectors;
    Lookup kernel = LOOKUPS[op->kernel];
    for (int flush = 0; flush < l->flushes; flush += chunk) {
        int flushes = smaller(chunk, l->flushes - flush), done = flush + flushes == l->flushes;
        Target here = to;
        Counts *kept = counters;
        for (int pair = 0; pair < pairs; pair += l->pairs, kept += vectors) {
            const uint16_t *from = index + pair * terms + flush * flush_terms, *both[2] = {from, from + terms};
            kernel(both, weights + flush * flush_terms * row, flushes, l->triples, kept, flush == 0, done ? &here : 0);
            here.extra += 2 * l->pairs, here.sums += 2 * (int64_t)l->pairs * l->stride;
        }
    }
}

LOOKUP_TARGET static void lookup_tile(const Operation *op, const Layout *l, const uint8_t *nibbles, int first, int last,
                             uint16_t *index, Counts *counters, int16_t *sums) {
    int64_t plane = (int64_t)l->height * l->width * l->bytes, terms = padded_terms(l);
    int64_t block_bytes = terms * vector_bytes(op->kernel) * l->vectors, windows[TILE];
    int pairs = (int)round_up((last - first + 1) / 2, l->pairs), extra[TILE];
    find_windows(op, l, first, last, windows); /* a tile is filled up to whole pairs by its last pixel, again */
    for (int i = 0; i < 2 * pairs; i++) extra[i] = l->unused ? surplus(op, l, smaller(first + i, last - 1)) : 0;
    for (int group = 0; group < op->groups; group++, nibbles += plane) {
        for (int pair = 0; pair < pairs; pair++)
            gather_pair(op, l, nibbles + windows[2 * pair], nibbles + windows[2 * pair + 1], index + pair * terms);
        for (int block = 0; block < l->blocks; block++) {
            int at = group * l->group_out + block * l->block;
            Target to = {op->base + at, extra, op->encoding == SIGNS, sums + at, l->stride};
            lookup_block(op, l, index, pairs, op->arranged + (int64_t)(group * l->blocks + block) * block_bytes, to,
                         counters);
        }
    }
}
