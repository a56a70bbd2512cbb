"""What trials say: fronts, choices, comparisons, effects of genes, growth of hypervolumes."""
