"""Numbers from arrays: fronts, hypervolumes, attainment, intervals and rank correlations."""
