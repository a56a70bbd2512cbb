"""Every candidate, one after another."""

import math

from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.proposers.base import A, History, Picker, Proposer
from search.proposers.budget import Coster
from search.runs.records import Proposal
from search.seeds import derive_rng
from spaces import Space

MOST = 1_000_000
"""Members of a space that are tried one by one."""


class ExhaustiveProposer(Proposer[A]):
    """All members of the space within the budget; for small spaces, and for tables of all networks of one.

    Member i of N is the one at the place (a + b i) mod N (`Space.unrank`), where a and b, which has no divisor in
    common with N, follow from the seed: what was tried so far is spread over the whole space. It goes on after the last
    one that was tried, so several pieces make one enumeration.
    """

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        super().__init__(space, config, seed, coster)
        rng, self._count = derive_rng(seed, "exhaustive"), space.count()
        if self._count > MOST:
            raise ConfigError(
                f"search.proposer exhaustive tries every network, and space {space.name!r} has {self._count:,}: choose "
                f"a space of at most {MOST:,}, or another proposer"
            )
        self._first, self._step = rng.randrange(self._count), rng.randrange(self._count)
        while math.gcd(self._step, self._count) > 1:
            self._step += 1

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """See `Proposer.propose`."""
        picker = Picker(self.space, self.budget, size, history.taken)
        for turn in range(self._turns_taken(history), self._count):
            if picker.full:
                break
            picker.offer(self.space.unrank((self._first + self._step * turn) % self._count), "exhaustive")
        return picker.proposals

    def _turns_taken(self, history: History) -> int:
        """How many members come before the first one that was not tried."""
        if not history.records:
            return 0
        place = self.space.rank(self.space.parse(history.records[-1].architecture))
        return (place - self._first) * pow(self._step, -1, self._count) % self._count + 1
