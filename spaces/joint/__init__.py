"""Spaces made of spaces: an architecture with hyperparameters, and one architecture alone."""
