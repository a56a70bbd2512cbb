"""The one interface of all proposers."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from search.proposers.budget import Budget
from search.runs.records import Proposal, Record, State
from spaces import Space
from spaces.limits import sample_within


@dataclass(frozen=True)
class History:
    """The trials of all finished generations, by number, failed ones among them."""

    records: tuple[Record, ...]

    @property
    def finished(self) -> list[Record]:
        """Trials with values."""
        return [record for record in self.records if record.state is State.FINISHED]

    @property
    def measured(self) -> list[Record]:
        """Trials with metrics: finished ones, and those that were stopped early, with what they had reached."""
        return [record for record in self.records if record.state in (State.FINISHED, State.PRUNED)]

    @property
    def taken(self) -> set[str]:
        """The ids of all candidates that have been tried: none is tried twice."""
        return {record.id for record in self.records}


class Proposer(Protocol):
    """A strategy. It keeps no state: what it proposes follows from its settings, the seed and the history."""

    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """Up to `size` different candidates within the limits, none tried before; fewer only where the space holds no
        more that it can find. The same arguments give the same candidates, in any process."""
        ...


class Picker:
    """Collects the candidates of one generation: members within the budget, none twice, none tried before."""

    def __init__(self, space: Space[Any], budget: Budget, size: int, taken: set[str]) -> None:
        self.space = space
        self.budget = budget
        self.size = size
        self.proposals: list[Proposal] = []
        self._taken = set(taken)

    @property
    def full(self) -> bool:
        """Whether the generation is complete."""
        return len(self.proposals) >= self.size

    def offer(self, architecture: Any, operator: str, parents: Sequence[str] = (), **state: Any) -> bool:
        """Take a candidate that is new and within the budget; whether it was taken."""
        identity = self.space.id(architecture)
        if self.full or identity in self._taken:
            return False
        if not self.budget.allows(self.space, architecture):
            return False
        self._taken.add(identity)
        self.proposals.append(Proposal(self.space.format(architecture), identity, operator, tuple(parents), state))
        return True

    def repair(self, architecture: Any, rng: random.Random) -> Any | None:
        """A candidate that can be taken, near one that perhaps cannot; None where none is found."""
        return self.budget.repair(self.space, architecture, rng, self._taken)

    def fill(self, rng: random.Random) -> list[Proposal]:
        """Complete the generation with random candidates, and return it."""
        draws = self.budget.draws
        while draws and not self.full:
            drawn = sample_within(self.space, rng, self.budget.limits, self.size - len(self.proposals))
            new = sum(self.offer(architecture, "random") for architecture in drawn) > 0
            draws = self.budget.draws if new else draws - 1
        while not self.full and len(self._taken) < self.space.count():
            # Few candidates are left: walk to one from a random member, until even that finds none.
            architecture = self.repair(self.space.sample(rng), rng)
            if architecture is None or not self.offer(architecture, "random"):
                break
        return self.proposals
