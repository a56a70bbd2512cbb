"""The names of the proposers, without loading what they need."""

PROPOSER_NAMES = ("random", "evolution", "fitness", "nsga2", "tpe")
