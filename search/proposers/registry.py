"""The proposers by name."""

from typing import Any

from search.config.search import SearchConfig
from search.proposers.base import Proposer
from search.proposers.budget import Coster
from search.proposers.random import RandomProposer
from spaces import Space


def make_proposer(space: Space[Any], config: SearchConfig, seed: int, coster: Coster | None = None) -> Proposer:
    """The proposer that the configuration names; a `coster` is needed where latencies are limited."""
    from search.proposers.evolution import EvolutionProposer
    from search.proposers.fitness import FitnessProposer
    from search.proposers.samplers import Nsga2Proposer, TpeProposer

    kinds: dict[str, type[Proposer]] = {
        "random": RandomProposer,
        "evolution": EvolutionProposer,
        "fitness": FitnessProposer,
        "nsga2": Nsga2Proposer,
        "tpe": TpeProposer,
    }
    return kinds[config.proposer](space, config, seed, coster)  # type: ignore[call-arg]  -- a protocol has no constructor
