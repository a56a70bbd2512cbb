"""The one interface of all proposers."""

import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import ClassVar, Generic, TypeVar

from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.proposers.budget import Budget, Coster
from search.registry import LOADED, PROPOSERS
from search.runs.records import Proposal, Record, State
from spaces import Space
from spaces.limits import sample_within

A = TypeVar("A")


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
        """Trials with metrics: the finished ones, and those that were stopped early, with what they had reached."""
        return [record for record in self.records if record.state in (State.FINISHED, State.PRUNED)]

    @property
    def taken(self) -> set[str]:
        """The ids of all candidates that were tried: none is tried twice."""
        return {record.id for record in self.records}


class Proposer(ABC, Generic[A]):
    """A strategy. It keeps no state: what it proposes follows from its settings, the seed and the history.

    A subclass gives its formulas and their source in its docstring. `coster` predicts latencies; it is needed where the
    configuration limits them, and `SpaceError` is raised where it is missing. One that uses `config.constraints` says
    so with `heeds_constraints`; options of its own are in `config.proposer_options`.
    """

    heeds_constraints: ClassVar[bool] = False

    def __init__(self, space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> None:
        self.space = space
        self.config = config
        self.seed = seed
        self.budget = Budget.of(config, coster)

    @abstractmethod
    def propose(self, generation: int, size: int, history: History) -> list[Proposal]:
        """Up to `size` different candidates within the budget, none tried before; fewer only where the space holds no
        more that it can find. The same arguments give the same candidates, in any process."""


def make_proposer(space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> Proposer[A]:
    """The proposer that the configuration names; see `Proposer` for the arguments. Raises `ConfigError` for one that
    cannot be loaded, or that does not take the options or the constraints of the configuration."""
    module, name = PROPOSERS.get(config.proposer, LOADED)
    kind: type[Proposer[A]] = getattr(import_module(module), name)
    if config.proposer in PROPOSERS and config.proposer_options:
        raise ConfigError(f"search.proposer_options are for samplers and code of yours; {config.proposer!r} has none")
    proposer = kind(space, config, seed, coster)
    if config.constraints and not proposer.heeds_constraints:
        raise ConfigError(f"search.constraints are for samplers (nsga2, tpe, optuna:...), not for {config.proposer!r}")
    return proposer


class Picker(Generic[A]):
    """Collects the candidates of one generation: members within the budget, none twice, none tried before."""

    def __init__(self, space: Space[A], budget: Budget, size: int, taken: set[str]) -> None:
        self.space = space
        self.budget = budget
        self.size = size
        self.proposals: list[Proposal] = []
        self._taken = set(taken)

    @property
    def full(self) -> bool:
        """Whether the generation is complete."""
        return len(self.proposals) >= self.size

    def offer(self, member: A, operator: str, parents: Sequence[str] = (), **state: object) -> bool:
        """Take a candidate that is new and within the budget; whether it was taken."""
        identity = self.space.id(member)
        if self.full or identity in self._taken or not self.budget.allows(self.space, member):
            return False
        self._taken.add(identity)
        self.proposals.append(Proposal(self.space.format(member), identity, operator, tuple(parents), state))
        return True

    def repair(self, member: A, rng: random.Random) -> A | None:
        """A candidate that can be taken, near one that perhaps cannot; None where none is found."""
        return self.budget.repair(self.space, member, rng, self._taken)

    def fill(self, rng: random.Random) -> list[Proposal]:
        """Complete the generation with random candidates, and return it."""
        draws = self.budget.draws
        while draws and not self.full:
            drawn = sample_within(self.space, rng, self.budget.limits, self.size - len(self.proposals))
            new = sum(self.offer(member, "random") for member in drawn) > 0
            draws = self.budget.draws if new else draws - 1
        while not self.full and len(self._taken) < self.space.count():
            # Few candidates are left: walk to one from a random member, until even that finds none.
            member = self.repair(self.space.sample(rng), rng)
            if member is None or not self.offer(member, "random"):
                break
        return self.proposals
