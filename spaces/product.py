"""Members that are one choice out of each of several lists: counting, ranking and operators, on indices.

A member is a tuple of indices, one a list; a space of this shape turns them into its own values.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

Indices = tuple[int, ...]


@dataclass(frozen=True)
class Product:
    """Every combination of one index below each of `sizes`, all of them at least 1."""

    sizes: tuple[int, ...]

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
        """Another member: every index drawn again with `probability`, and where all came out as they were, one of them
        among the others of its list. The member itself where it is the only one."""
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
        """Every member that differs in one index."""
        for place, size in enumerate(self.sizes):
            for index in range(size):
                if index != member[place]:
                    yield (*member[:place], index, *member[place + 1 :])
