"""Members that are one choice out of each of several lists: counting, ranking and operators, on indices.

A member is a tuple of indices, one a list; a space of this shape turns them into its own values.
"""

import random
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeVar

from spaces.errors import SpaceError
from spaces.parameters import Values
from spaces.space import BaseSpace

Indices = tuple[int, ...]
A = TypeVar("A")


@dataclass(frozen=True)
class Product:
    """Every combination of one index below each of `sizes`, all of them at least 1.

    In the lists numbered `lines`, an index neighbours the ones next to it; in the others, every other index.
    """

    sizes: tuple[int, ...]
    lines: frozenset[int] = frozenset()

    @cached_property
    def count(self) -> int:
        """How many members there are."""
        return prod(self.sizes)

    def rank(self, member: Indices) -> int:
        """The place of a member in lexicographic order.

        >>> Product((2, 3)).rank((1, 0))
        3
        """
        place = 0
        for index, size in zip(member, self.sizes, strict=True):
            place = place * size + index
        return place

    def unrank(self, place: int) -> Indices:
        """The member at a place; the inverse of `rank`."""
        indices: list[int] = []
        for size in reversed(self.sizes):
            place, index = divmod(place, size)
            indices.append(index)
        return tuple(reversed(indices))

    def sample(self, rng: random.Random) -> Indices:
        """A member, exactly uniform."""
        return self.unrank(rng.randrange(self.count))

    def mutate(self, member: Indices, rng: random.Random, probability: float) -> Indices:
        """Another member: every index drawn again with `probability`, and where all came out as they were, a neighbour.
        The member itself where it is the only one."""
        mutant = tuple(
            rng.randrange(size) if rng.random() < probability else index
            for index, size in zip(member, self.sizes, strict=True)
        )
        if mutant != member or self.count == 1:
            return mutant
        return rng.choice(list(self.neighbours(member)))

    def crossover(self, first: Indices, second: Indices, rng: random.Random) -> Indices:
        """A member whose every index comes from either parent."""
        return tuple(rng.choice(pair) for pair in zip(first, second, strict=True))

    def neighbours(self, member: Indices) -> Iterator[Indices]:
        """Every member that differs in one index, by one in the lists that are lines."""
        for place, (here, size) in enumerate(zip(member, self.sizes, strict=True)):
            for index in range(size):
                if index != here and (place not in self.lines or abs(index - here) == 1):
                    yield (*member[:place], index, *member[place + 1 :])


class ProductSpace(BaseSpace[A]):
    """A space of this shape; a subclass says which lists there are, and what an index in each stands for."""

    @abstractmethod
    def _lists(self) -> Product:
        """The lists that members choose from."""

    @abstractmethod
    def _indices(self, architecture: A) -> Indices:
        """The indices of a member; raises `SpaceError` for what is none."""

    @abstractmethod
    def _member(self, indices: Indices) -> A:
        """The inverse of `_indices`."""

    @cached_property
    def _product(self) -> Product:
        return self._lists()

    def count(self) -> int:
        """How many members there are, exactly."""
        return self._product.count

    def rank(self, architecture: A) -> int:
        """The place of a member in lexicographic order, from 0 to `count() - 1`."""
        return self._product.rank(self._indices(architecture))

    def _unrank(self, index: int) -> A:
        return self._member(self._product.unrank(index))

    def sample(self, rng: random.Random) -> A:
        """A member, exactly uniform over the space."""
        return self._member(self._product.sample(rng))

    def mutate(self, architecture: A, rng: random.Random, probability: float = 0.2) -> A:
        """Another member: every choice is drawn again with `probability`. Differs from its parent unless the space has
        one member only."""
        return self._member(self._product.mutate(self._indices(architecture), rng, probability))

    def crossover(self, first: A, second: A, rng: random.Random) -> A:
        """A member whose every choice comes from either parent."""
        return self._member(self._product.crossover(self._indices(first), self._indices(second), rng))

    def neighbours(self, architecture: A) -> Iterator[A]:
        """Every member that differs by one choice; a number of a hyperparameter by one step only."""
        return map(self._member, self._product.neighbours(self._indices(architecture)))


def read_index(name: str, values: Values, size: int) -> int:
    """The index below `size` that a setting holds under a name; 0 where there is no choice. Raises `SpaceError`."""
    chosen = values.get(name) if size > 1 else 0
    if not isinstance(chosen, int) or not 0 <= chosen < size:
        raise SpaceError(f"{name} must be an index from 0 to {size - 1}, got {chosen!r}")
    return chosen
