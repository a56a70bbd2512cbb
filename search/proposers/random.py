"""Candidates drawn uniformly."""

from typing import Any

from search.config.search import SearchConfig
from search.proposers.base import History, Picker
from search.proposers.budget import Budget, Coster
from search.runs.records import Proposal
from search.seeds import derive_rng
from spaces import Space


class RandomProposer:
    """Candidates drawn uniformly from the members within the limits: the baseline of every comparison."""

    def __init__(self, space: Space[Any], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        self._space = space
        self._budget = Budget.of(config, coster)
        self._seed = seed

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        picker = Picker(self._space, self._budget, size, history.taken)
        return picker.fill(derive_rng(self._seed, "random", generation))
