"""The values of one hyperparameter as an axis: how many there are, their places, and how to draw and to walk."""

import math
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from spaces.errors import SpaceError, listed
from spaces.parameters import (
    Choice,
    Condition,
    Given,
    Ordered,
    Parameter,
    Range,
    Value,
    as_number,
    read_choice,
    read_number,
)
from spaces.space import number_text

_STEPS = 20  # from one end of a range to the other, as neighbours go


def value_text(value: Value) -> str:
    """The one text of a value."""
    return value if isinstance(value, str) else number_text(value)


@dataclass(frozen=True)
class Steps:
    """Words without an order, or numbers in rising order."""

    name: str
    choices: tuple[Value, ...]
    when: Condition

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.choices)

    def place(self, value: Value) -> int:
        """The place of a value, from 0."""
        return self.choices.index(value)

    def at(self, place: int) -> Value:
        """The value at a place."""
        return self.choices[place]

    def draw(self, rng: random.Random) -> Value:
        """A value, each with the same probability."""
        return self.choices[rng.randrange(len(self.choices))]

    def near(self, value: Value) -> list[Value]:
        """The numbers next to a number; every other word."""
        here = self.choices.index(value)
        others = [place for place in range(len(self.choices)) if place != here]
        return [self.choices[p] for p in others if abs(p - here) == 1 or isinstance(value, str)]

    def some(self) -> Sequence[Value]:
        """Values to begin with: all."""
        return self.choices

    def objection(self, value: object) -> str | None:
        """Why something is not a value, if it is not."""
        if isinstance(value, bool) or value not in self.choices:
            return f"{self.name} is {value!r}; the choices are {listed(map(value_text, self.choices))}"
        return None

    def canonical(self, value: Value) -> Value:
        """A value as it was declared: equal ones may be of another type."""
        return self.choices[self.choices.index(value)]

    def read(self, values: Given) -> Value:
        """The value in a setting. Raises `SpaceError`."""
        words = [choice for choice in self.choices if isinstance(choice, str)]
        if words:
            return read_choice(self.name, values, words)
        return read_number(self.name, values, [c for c in self.choices if not isinstance(c, str)])

    def parameter(self, when: Condition) -> Parameter | None:
        """It as a parameter; None where there is no choice."""
        if len(self.choices) == 1:
            return None
        words = tuple(choice for choice in self.choices if isinstance(choice, str))
        numbers = tuple(choice for choice in self.choices if not isinstance(choice, str))
        return Choice(self.name, words, when) if words else Ordered(self.name, numbers, when)

    def __str__(self) -> str:
        written = [value if isinstance(value, str) else f"{value:g}" for value in self.choices]
        if len(written) > 5 and not isinstance(self.choices[0], str):
            return f"{written[0]} to {written[-1]} ({len(written)} values)"
        return ", ".join(written)


@dataclass(frozen=True)
class Line:
    """The numbers of a range: whole ones, or all floating-point numbers of 64 bits, which can be counted as well.

    Those that are drawn here have six digits. Neighbours are a twentieth of the range away, or of that of the
    logarithms.
    """

    name: str
    range: Range
    when: Condition

    @property
    def size(self) -> int:
        """How many values there are."""
        return self.place(self.range.high) + 1

    def place(self, value: Value) -> int:
        """The place of a value, from 0."""
        return self._ordinal(float(value)) - self._ordinal(self.range.low)

    def at(self, place: int) -> Value:
        """The value at a place."""
        ordinal = place + self._ordinal(self.range.low)
        if self.range.whole:
            return ordinal
        (magnitude,) = struct.unpack("<d", struct.pack("<q", abs(ordinal)))
        return math.copysign(magnitude, ordinal)

    def _ordinal(self, value: float) -> int:
        """The number of a value among all of its kind, from 0 for zero: the bits of a float rise with it."""
        if self.range.whole:
            return int(value)
        (bits,) = struct.unpack("<q", struct.pack("<d", abs(value)))
        return bits if value >= 0 else -bits

    def draw(self, rng: random.Random) -> Value:
        """A value, evenly over the range or over that of its logarithm."""
        if self.range.whole and not self.range.log:
            return rng.randint(int(self.range.low), int(self.range.high))
        return self._between(rng.random())

    def _between(self, share: float) -> Value:
        """The value at a share of the way between the ends."""
        low, high = self.range.low, self.range.high
        value = low * (high / low) ** share if self.range.log else low + (high - low) * share
        value = min(max(float(f"{value:.6g}"), low), high)
        return round(value) if self.range.whole else value + 0.0  # no negative zero

    def near(self, value: Value) -> list[Value]:
        """A step to either side, as far as there is one."""
        low, high, here = self.range.low, self.range.high, float(value)
        share = math.log(here / low) / math.log(high / low) if self.range.log else (here - low) / (high - low)
        found = [self._between(min(max(share + step, 0), 1)) for step in (-1 / _STEPS, 1 / _STEPS)]
        if self.range.whole:  # at least the number next to it
            found = [min(int(here) - 1, int(found[0])), max(int(here) + 1, int(found[1]))]
        return [other for other in dict.fromkeys(found) if other != value and low <= float(other) <= high]

    def some(self) -> Sequence[Value]:
        """Values to begin with: the ends and the middle."""
        return tuple(dict.fromkeys(self._between(share) for share in (0, 0.5, 1)))

    def objection(self, value: object) -> str | None:
        """Why something is not a value, if it is not."""
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else None
        if number is None or not self.range.low <= number <= self.range.high or (self.range.whole and number % 1):
            return f"{self.name} is {value!r}; it takes {self}"
        return None

    def read(self, values: Given) -> Value:
        """The value in a setting. Raises `SpaceError`."""
        if self.name not in values:
            raise SpaceError(f"{self.name} is missing; it takes {self}")
        number = as_number(values[self.name])
        for end in (self.range.low, self.range.high):  # which may have lost digits on its way
            number = end if number is not None and math.isclose(number, end, rel_tol=1e-6) else number
        if problem := self.objection(values[self.name] if number is None else number):
            raise SpaceError(problem)
        return self.canonical(number or 0)

    def canonical(self, value: Value) -> Value:
        """A value as it is written: an integer, or a float."""
        return int(value) if self.range.whole else float(value) + 0.0

    def parameter(self, when: Condition) -> Parameter | None:
        """It as a parameter."""
        return Range(self.name, self.range.low, self.range.high, self.range.log, self.range.whole, when)

    def __str__(self) -> str:
        kind = "whole numbers" if self.range.whole else "numbers"
        return f"{kind} from {self.range.low:g} to {self.range.high:g}" + (", by logarithm" if self.range.log else "")


Axis = Steps | Line
