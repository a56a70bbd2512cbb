"""Members within limits of operations: drawn at random, or reached by a walk from a member outside."""

import math
import random
from collections.abc import Container, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from spaces.errors import SpaceError
from spaces.space import Space

A = TypeVar("A")

CHUNK = 256  # members priced in one call
FREE_DRAWS, DRAWS_EACH = 4096, 128  # uniform sampling gives up after this many draws, the latter for each member wanted
STARTS = 16  # walks tried for one member
STEPS = 128  # steps of one walk
FANOUT = 8  # mutants priced at each step
STUCK = 8  # steps without coming closer, after which a walk takes a step away


@dataclass(frozen=True)
class Limits:
    """The least and the most equivalent operations (OPs) per image, both included; None leaves a side open.

    >>> 20e6 in Limits(None, 60e6), 61e6 in Limits(None, 60e6)
    (True, False)
    """

    ops_min: float | None = None
    ops_max: float | None = None

    def __post_init__(self) -> None:
        for name, value in (("ops_min", self.ops_min), ("ops_max", self.ops_max)):
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise SpaceError(f"{name} must be a finite number of operations, not negative; got {value}")
        if self.ops_min is not None and self.ops_max is not None and self.ops_min > self.ops_max:
            raise SpaceError(f"ops_min {self.ops_min:,.0f} is above ops_max {self.ops_max:,.0f}; exchange them")

    def contains(self, ops: float) -> bool:
        """Whether a number of operations is within the limits."""
        return self.distance(ops) == 0

    __contains__ = contains

    def distance(self, ops: float) -> float:
        """By how many operations a number is below the least or above the most; zero within the limits."""
        low = 0.0 if self.ops_min is None else self.ops_min
        high = math.inf if self.ops_max is None else self.ops_max
        return max(low - ops, ops - high, 0.0)

    def __str__(self) -> str:
        low = "" if self.ops_min is None else f"at least {self.ops_min:,.0f}"
        high = "" if self.ops_max is None else f"at most {self.ops_max:,.0f}"
        return " and ".join(filter(None, (low, high))) or "any number of"


def require_reachable(space: Space[A], limits: Limits) -> None:
    """Raise `SpaceError` if all members are outside the limits: even the smallest is above, or the largest below."""
    least, most = (float(ops) for ops in space.costs([space.smallest(), space.largest()]).ops)
    above = limits.ops_min is not None and limits.ops_min > most
    below = limits.ops_max is not None and limits.ops_max < least
    if above or below:
        raise SpaceError(
            f"no architecture of space {space.name!r} has {limits} OPs; it holds {least:,.0f} to {most:,.0f} OPs"
        )


def sample_within(space: Space[A], rng: random.Random, limits: Limits, count: int = 1) -> list[A]:
    """Draw members within the limits, independently, so that one may come twice.

    Exactly uniform over the members within the limits, by rejection, unless these are rare (fewer than about one in a
    hundred). Then time is bounded instead: `steer` reaches the remaining ones from uniform members, which favours some
    members over others.

    Raises `SpaceError` if no member can be within the limits, or if the walks reach none.
    """
    if limits == Limits():
        return [space.sample(rng) for _ in range(count)]
    require_reachable(space, limits)
    draws = islice(_priced(space, rng), FREE_DRAWS + DRAWS_EACH * count)
    members = list(islice((member for member, ops in draws if ops in limits), count))
    while len(members) < count:
        members.append(_reach(space, rng, limits))
    return members


def steer(space: Space[A], member: A, rng: random.Random, limits: Limits, taken: Container[str] = ()) -> A | None:
    """Walk from a member to one that is within the limits and whose id is not in `taken`; None if the walk fails.

    A member that fulfils both is returned itself. Otherwise every step draws some mutants and moves to the one that is
    closest to the limits, unless that is further away than the walk is already; after `STUCK` steps without coming
    closer it moves there even so. The result depends on the arguments and the state of `rng` alone.
    """
    here = limits.distance(space.cost(member).ops)
    stuck = 0
    for _ in range(STEPS):
        if here == 0 and space.id(member) not in taken:
            return member
        mutants = [space.mutate(member, rng, rng.choice((0.0, 0.05, 0.2))) for _ in range(FANOUT)]
        distances = [limits.distance(float(ops)) for ops in space.costs(mutants).ops]
        for mutant, distance in zip(mutants, distances, strict=True):
            if distance == 0 and space.id(mutant) not in taken:
                return mutant
        best = distances.index(min(distances))
        stuck = 0 if distances[best] < here else stuck + 1
        if distances[best] <= here or stuck > STUCK:
            member, here = mutants[best], distances[best]
            stuck = 0 if stuck > STUCK else stuck
    return None


def _priced(space: Space[A], rng: random.Random) -> Iterator[tuple[A, float]]:
    """Uniform members without end, with their operations."""
    while True:
        chunk = [space.sample(rng) for _ in range(CHUNK)]
        yield from zip(chunk, space.costs(chunk).ops.tolist(), strict=True)


def _reach(space: Space[A], rng: random.Random, limits: Limits) -> A:
    for _ in range(STARTS):
        member = steer(space, space.sample(rng), rng, limits)
        if member is not None:
            return member
    raise SpaceError(
        f"found no architecture of space {space.name!r} with {limits} OPs in {STARTS} walks of {STEPS} steps; "
        "widen the limits"
    )
