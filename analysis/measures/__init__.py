"""Numbers from arrays: fronts, hypervolumes, attainment, intervals, rank correlations and verdicts on claims."""
