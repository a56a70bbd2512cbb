"""Data sets: what a configuration may name, how it is read and checked, and the batches that training sees."""
