"""The proposers by name, and where the class of each is. A new proposer is one file and one line here.

This file imports nothing, so that the configuration checks names without loading Optuna.
"""

PROPOSERS = {
    "random": ("search.proposers.random", "RandomProposer"),
    "evolution": ("search.proposers.evolution", "EvolutionProposer"),
    "fitness": ("search.proposers.fitness", "FitnessProposer"),
    "nsga2": ("search.proposers.samplers", "Nsga2Proposer"),
    "tpe": ("search.proposers.samplers", "TpeProposer"),
}
