"""Spaces whose members choose a value for each gene independently: everything follows from the genes."""

import random
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property
from math import prod
from typing import ClassVar, Generic, TypeVar, cast

from spaces.parameters import Choice, Given, Ordered, Parameter, read_choice, read_number
from spaces.space import BaseSpace

A = TypeVar("A")
V = TypeVar("V", bound=int | float | str)


class ProductSpace(BaseSpace[A], Generic[A, V]):
    """Every combination of one choice for each gene. A subclass says what the genes are and how values make a member.

    Choices are words, or numbers in ascending order. Where `stepwise`, a number neighbours only those next to it, and
    else, as a word does, every other one.
    """

    stepwise: ClassVar[bool] = False

    @abstractmethod
    def genes(self) -> dict[str, tuple[V, ...]]:
        """Every choice there is by name, in the order of a member's values."""

    @abstractmethod
    def _values(self, member: A) -> tuple[V, ...]:
        """The value of each gene."""

    @abstractmethod
    def _member(self, values: tuple[V, ...]) -> A:
        """The inverse of `_values`."""

    @cached_property
    def _choices(self) -> dict[str, tuple[V, ...]]:
        return self.genes()

    def _indices(self, member: A) -> tuple[int, ...]:
        """The index of each gene's value among its choices."""
        values = self._values(self.require(member))
        return tuple(choices.index(value) for choices, value in zip(self._choices.values(), values, strict=True))

    def _at(self, indices: tuple[int, ...]) -> A:
        """The inverse of `_indices`."""
        pairs = zip(self._choices.values(), indices, strict=True)
        return self._member(tuple(choices[index] for choices, index in pairs))

    def count(self) -> int:
        """How many members there are, exactly."""
        return prod(map(len, self._choices.values()))

    def rank(self, member: A) -> int:
        """The place of a member in lexicographic order, from 0 to `count() - 1`."""
        place = 0
        for index, choices in zip(self._indices(member), self._choices.values(), strict=True):
            place = place * len(choices) + index
        return place

    def _unrank(self, index: int) -> A:
        indices: list[int] = []
        for choices in reversed(self._choices.values()):
            index, chosen = divmod(index, len(choices))
            indices.append(chosen)
        return self._at(tuple(reversed(indices)))

    def _redrawn(self, member: A, rng: random.Random, probability: float) -> A:
        pairs = zip(self._indices(member), self._choices.values(), strict=True)
        drawn = (rng.randrange(len(choices)) if rng.random() < probability else index for index, choices in pairs)
        return self._at(tuple(drawn))

    def crossover(self, first: A, second: A, rng: random.Random) -> A:
        """A member whose every choice comes from either parent."""
        return self._at(tuple(map(rng.choice, zip(self._indices(first), self._indices(second), strict=True))))

    def neighbours(self, member: A) -> Iterator[A]:
        """Every member that differs by one choice; where `stepwise`, a number by one step only."""
        indices = self._indices(member)
        return (
            self._at((*indices[:place], index, *indices[place + 1 :]))
            for place, (here, choices) in enumerate(zip(indices, self._choices.values(), strict=True))
            for index in range(len(choices))
            if index != here and (abs(index - here) == 1 or not self.stepwise or isinstance(choices[0], str))
        )

    def parameters(self) -> tuple[Parameter, ...]:
        """The space as parameters for Tune and Optuna: numbers in order, and words; single choices are left out."""
        several = {name: choices for name, choices in self._choices.items() if len(choices) > 1}
        return tuple(
            Choice(name, words) if (words := _words(choices)) else Ordered(name, _numbers(choices))
            for name, choices in several.items()
        )

    def encode(self, member: A) -> dict[str, int | float | str]:
        """The setting of `parameters()` that stands for this member."""
        values = dict(zip(self._choices, self._values(self.require(member)), strict=True))
        # as they were declared: equal values may be of another type
        return {name: choices[choices.index(values[name])] for name, choices in self._choices.items() if choices[1:]}

    def decode(self, values: Given) -> A:
        """The member that a setting of `parameters()` stands for. Raises `SpaceError` for a missing or impossible
        value."""
        return self._at(
            tuple(
                words.index(read_choice(name, values, words))
                if (words := _words(choices))
                else choices.index(cast("V", read_number(name, values, _numbers(choices))))
                for name, choices in self._choices.items()
            )
        )


def _words(choices: Iterable[int | float | str]) -> tuple[str, ...]:
    """The choices of a gene of words; none where they are numbers."""
    return tuple(choice for choice in choices if isinstance(choice, str))


def _numbers(choices: Iterable[int | float | str]) -> tuple[int | float, ...]:
    """The choices of a gene of numbers."""
    return tuple(choice for choice in choices if not isinstance(choice, str))
