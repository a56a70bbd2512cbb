"""Trainables for a Ray Tune Tuner of your own, and objectives for an Optuna study: around the worker of a run."""
