"""From a trained network to a 1-bit program: batch norms and scales folded, one file per family."""
