"""What candidates may cost: operations, which a space counts, and milliseconds, which a predictor tells."""

import random
from collections.abc import Container
from dataclasses import dataclass
from typing import Protocol, TypeVar

from search.config.search import SearchConfig
from spaces import Space, SpaceError
from spaces.limits import Limits, steer

A = TypeVar("A")
_DRAWS = 8
_STEPS = 24
_FANOUT = 4
_STUCK = 4


class Coster(Protocol):
    """Predicts how long candidates take; the same candidate always takes as long."""

    def latency_ms(self, member: object) -> float:
        """Milliseconds per image of the network of a member of the searched space."""
        ...


@dataclass(frozen=True)
class Budget:
    """The limits of operations and, where there are any, of milliseconds and of bytes."""

    limits: Limits
    latency_max: float | None = None
    coster: Coster | None = None
    bytes_max: float | None = None

    @classmethod
    def of(cls, config: SearchConfig, coster: Coster | None) -> "Budget":
        """The budget of a search. Raises `SpaceError` for a limit of latencies without a predictor of them."""
        if config.latency_max is not None and coster is None:
            raise SpaceError("latency_max needs a table of latencies")
        return cls(config.limits, config.latency_max, coster, config.bytes_max)

    @property
    def by_walks(self) -> bool:
        """Whether there are limits that only walks keep to."""
        return self.latency_max is not None or self.bytes_max is not None

    @property
    def draws(self) -> int:
        """How often in a row random members are drawn of which none is within all limits and new."""
        return _DRAWS if self.by_walks else 1

    def allows(self, space: Space[A], member: A) -> bool:
        """Whether a member is within the budget."""
        if self.limits == Limits() and not self.by_walks:
            return True  # without a price, which takes longest of all that a proposer does
        return self.limits.contains(space.cost(member).ops) and self._excess(space, member) == 0

    def repair(self, space: Space[A], member: A, rng: random.Random, taken: Container[str]) -> A | None:
        """A member within the budget that is not taken, near a given one; None where none is found.

        `steer` brings the operations within their limits. Then a walk of mutations that keep to these leads to faster,
        or smaller, members; it is bounded, and starts again from the smallest member when it comes no closer.
        """
        if not self.by_walks:
            return steer(space, member, rng, self.limits, taken)
        here = steer(space, member, rng, self.limits)
        if here is None:
            return None
        excess, stuck = self._excess(space, here), 0
        for _ in range(_STEPS):
            if excess == 0 and space.id(here) not in taken:
                return here
            mutants = [space.mutate(here, rng, rng.choice((0.0, 0.05, 0.2))) for _ in range(_FANOUT)]
            mutants = [mutant for mutant in mutants if self.limits.contains(space.cost(mutant).ops)]
            priced = [(self._excess(space, mutant), place) for place, mutant in enumerate(mutants)]
            free = [place for over, place in priced if over == 0 and space.id(mutants[place]) not in taken]
            if free:
                return mutants[free[0]]
            best, place = min(priced, default=(excess, -1))
            stuck = 0 if best < excess else stuck + 1
            if place >= 0 and best <= excess:
                here, excess = mutants[place], best
            if stuck > _STUCK:
                smallest = steer(space, space.smallest(), rng, self.limits)
                here, stuck = here if smallest is None else smallest, 0
                excess = self._excess(space, here)
        return None

    def _excess(self, space: Space[A], member: A) -> float:
        """Milliseconds too many, and the share of bytes too many."""
        late = large = 0.0
        if self.latency_max is not None and self.coster is not None:
            late = max(self.coster.latency_ms(member) - self.latency_max, 0.0)
        if self.bytes_max is not None:
            large = max(space.cost(member).bytes / self.bytes_max - 1, 0.0)
        return late + large


def require_fast_enough(space: Space[A], budget: Budget) -> None:
    """Raise `SpaceError` where not even walks towards the fastest members find one within the budget."""
    if budget.latency_max is None or budget.coster is None:
        return
    member = budget.repair(space, space.smallest(), random.Random(0), ())
    if member is None:
        least = budget.coster.latency_ms(space.smallest())
        raise SpaceError(
            f"found no architecture of space {space.name!r} that takes at most {budget.latency_max:g} ms per image; "
            f"the smallest one takes {least:.3g} ms on this machine: raise search.latency_max"
        )
