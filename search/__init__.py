"""Data sets, training, proposers, the study, execution on Ray Tune, runs and the command line."""
