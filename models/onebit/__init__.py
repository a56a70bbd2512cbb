"""Networks that really are 1-bit: a small program, its file without code, and engines of XNOR and popcount."""
