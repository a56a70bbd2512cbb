"""A space as named parameters with real values, declared once and understood by Ray Tune and by Optuna.

A setting holds a value for every parameter by name: `{"stem_width": 16, "s1_depth": 2, "optimiser": "sgd"}`. Searches
of our own see numbers of a list by their places in it, so that samplers know their order: `by_place`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from numbers import Integral, Real
from typing import Protocol, cast

from spaces.errors import SpaceError, listed

Value = int | float | str
Values = Mapping[str, Value]
"""A setting."""
Given = Mapping[str, object]
"""A setting as others hand it over: with numbers and texts of numpy, pandas or JSON, and perhaps other names."""
Condition = tuple[tuple[str, tuple[Value, ...]], ...]
"""The values that other parameters must have for one to count."""
When = Condition | Mapping[str, Value | Sequence[Value]]
"""A condition as a user writes it: a value or several for each name."""


class Suggests(Protocol):
    """The part of `optuna.Trial` that a space uses."""

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        """An integer from `low` to `high`, both included, in steps."""
        ...

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        """A number from `low` to `high`."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[Value]) -> object:
        """One of the choices."""
        ...


@dataclass(frozen=True)
class Ordered:
    """One of several numbers, listed in rising order."""

    name: str
    values: tuple[int | float, ...]
    when: Condition = ()

    @property
    def step(self) -> int | None:
        """The step between whole numbers that are spaced evenly; None for other numbers."""
        if not all(type(value) is int for value in self.values):
            return None
        steps = {int(other - one) for one, other in pairwise(self.values)}
        return steps.pop() if len(steps) == 1 else None


@dataclass(frozen=True)
class Choice:
    """One of several words that have no order."""

    name: str
    choices: tuple[str, ...]
    when: Condition = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))


@dataclass(frozen=True)
class Range:
    """A number from `low` to `high`, both included: any, or a whole one; with `log`, drawn evenly by its logarithm."""

    name: str
    low: float
    high: float
    log: bool = False
    whole: bool = False
    when: Condition = ()


Parameter = Ordered | Choice | Range


def as_condition(given: When) -> Condition:
    """A condition as it is kept.

    >>> as_condition({"optimiser": "sgd"})
    (('optimiser', ('sgd',)),)
    """
    pairs = given.items() if isinstance(given, Mapping) else given
    return tuple(
        (name, tuple(wanted) if isinstance(wanted, Sequence) and not isinstance(wanted, str) else (wanted,))
        for name, wanted in pairs
    )


def is_active(parameter: Parameter, values: Given) -> bool:
    """Whether a parameter counts beside these values of others."""
    return all(values.get(name) in wanted for name, wanted in parameter.when)


def tune_space(parameters: Iterable[Parameter]) -> dict[str, object]:
    """The parameters as a Ray Tune search space: `tune.choice` of the real values, or a distribution over a range.

    Ray is imported here, on use, and not with the package: reading a space must stay light.
    """
    from ray import tune

    def domain(p: Parameter) -> object:
        match p:
            case Ordered():
                return tune.choice(list(p.values))  # pyright: ignore[reportUnknownMemberType] - untyped in Ray
            case Choice():
                return tune.choice(list(p.choices))  # pyright: ignore[reportUnknownMemberType]
            case Range(whole=True):
                return (tune.lograndint if p.log else tune.randint)(int(p.low), int(p.high) + 1)
            case Range():
                return (tune.loguniform if p.log else tune.uniform)(p.low, p.high)

    return {p.name: domain(p) for p in parameters}


def suggest_values(parameters: Iterable[Parameter], trial: Suggests) -> dict[str, object]:
    """Ask an Optuna trial for every parameter that counts.

    Whole numbers with even steps and ranges keep their order for Optuna; other numbers and words are categories.
    """
    chosen: dict[str, object] = {}
    for p in parameters:
        if not is_active(p, chosen):
            continue
        match p:
            case Ordered(step=None):
                chosen[p.name] = trial.suggest_categorical(p.name, p.values)
            case Ordered():
                ends = int(p.values[0]), int(p.values[-1])
                chosen[p.name] = trial.suggest_int(p.name, *ends, step=p.step or 1)
            case Choice():
                chosen[p.name] = trial.suggest_categorical(p.name, p.choices)
            case Range(whole=True):
                chosen[p.name] = trial.suggest_int(p.name, int(p.low), int(p.high), log=p.log)
            case Range():
                chosen[p.name] = trial.suggest_float(p.name, p.low, p.high, log=p.log)
    return chosen


# Numbers by their places ----------------------------------------------------------------------------------------------


def by_place(parameters: Iterable[Parameter]) -> tuple[Parameter, ...]:
    """The same parameters for a sampler that should know the order of numbers: the place in the list, from 0, stands
    for each of them, and no parameter has a condition."""
    return tuple(
        Range(p.name, 0, len(p.values) - 1, whole=True)
        if isinstance(p, Ordered)
        else Choice(p.name, p.choices)
        if isinstance(p, Choice)
        else Range(p.name, p.low, p.high, p.log, p.whole)
        for p in parameters
    )


def to_places(parameters: Iterable[Parameter], setting: Values) -> dict[str, Value]:
    """A setting of the parameters as one of `by_place(parameters)`."""
    return {
        p.name: p.values.index(cast("float", setting[p.name])) if isinstance(p, Ordered) else setting[p.name]
        for p in parameters
    }


def from_places(parameters: Iterable[Parameter], places: Given) -> dict[str, object]:
    """The inverse of `to_places`: also for the trials of a study that was written before settings had real values."""
    return {
        p.name: p.values[cast("int", places[p.name])] if isinstance(p, Ordered) else places[p.name] for p in parameters
    }


# Reading settings -----------------------------------------------------------------------------------------------------


def as_number(value: object) -> int | float | None:
    """A number of Python, numpy or pandas, or the text of one, as Python's own; None for anything else.

    >>> as_number("0.01"), as_number(3.0), as_number(True)
    (0.01, 3.0, None)
    """
    item = getattr(value, "item", None)
    value = item() if callable(item) and getattr(value, "ndim", 0) == 0 else value
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) and math.isfinite(value) else None


def read_number(name: str, values: Given, choices: Sequence[int | float]) -> int | float:
    """The number that a setting holds under a name; the only one where there is no choice.

    `1.0`, `numpy.int64(1)` and `"1"` are 1, and a number that lost digits on its way (as one of 32 bits has) is the one
    that it was made of. Raises `SpaceError` for anything else.
    """
    if len(choices) == 1:
        return choices[0]
    number = as_number(values.get(name))
    if number is not None:
        nearest = min(choices, key=lambda choice: abs(choice - number))
        if math.isclose(nearest, number, rel_tol=1e-6):
            return nearest
    raise _refusal(name, values, f"one of {listed(choices)}")


def read_choice(name: str, values: Given, choices: Sequence[str]) -> str:
    """The word that a setting holds under a name; the only one where there is no choice. Raises `SpaceError`."""
    chosen = values.get(name) if len(choices) > 1 else choices[0]
    if not isinstance(chosen, str) or chosen not in choices:
        raise _refusal(name, values, f"one of {listed(map(repr, choices))}")
    return choices[choices.index(chosen)]


def _refusal(name: str, values: Given, allowed: str) -> SpaceError:
    given = f"got {values[name]!r}" if name in values else "and is missing"
    return SpaceError(f"{name} must be {allowed}, {given}")
