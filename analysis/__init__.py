"""Trial tables, Pareto fronts, hypervolume and plots. Loads neither torch nor ray."""
