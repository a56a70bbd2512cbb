"""Candidates drawn uniformly."""

from search.proposers.base import A, History, Picker, Proposer
from search.runs.records import Proposal
from search.seeds import derive_rng


class RandomProposer(Proposer[A]):
    """The baseline of every comparison: each member within the limits is drawn with the same probability.

    Members are drawn uniformly from the whole space, and those outside the limits are rejected
    (`spaces.limits.sample_within`).
    """

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        picker = Picker(self.space, self.budget, size, history.taken)
        return picker.fill(derive_rng(self.seed, "random", generation))
