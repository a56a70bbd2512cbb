"""Hyperparameters as a space: the kinds that exist, lists and grids of values, and their product."""
