"""The proposers by name, and where the class of each is. A new proposer is one file and one line here.

This file imports nothing, so that the configuration checks names without loading Optuna.
"""

PROPOSERS = {
    "random": ("search.proposers.random", "RandomProposer"),
    "evolution": ("search.proposers.evolution", "EvolutionProposer"),
    "fitness": ("search.proposers.fitness", "FitnessProposer"),
    "exhaustive": ("search.proposers.exhaustive", "ExhaustiveProposer"),
    "surrogate": ("search.proposers.surrogate", "SurrogateProposer"),
    "nsga2": ("search.proposers.samplers", "Nsga2Proposer"),
    "tpe": ("search.proposers.samplers", "TpeProposer"),
    "gp": ("search.proposers.samplers", "GpProposer"),
}
LOADED = ("search.proposers.loaded", "loaded_proposer")
"""What makes a proposer of a name that is a user's own code, or a sampler: `package.module:Name`."""


def is_extension(text: str) -> bool:
    """Whether a text names a user's own code: `package.module:name`, two Python names with dots around one colon."""
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), *name.split(".")])
