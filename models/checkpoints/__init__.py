"""Weights as files: checkpoints of a training, networks and supernets, and the authors' own format."""
