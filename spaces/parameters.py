"""A space as named parameters, declared once and understood by Ray Tune and by Optuna."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from spaces.errors import SpaceError, listed

Values = Mapping[str, int | str]
"""A setting: a value for every parameter, by name."""


class Suggests(Protocol):
    """The part of `optuna.Trial` that a space uses."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> object:
        """One of the choices."""
        ...


@dataclass(frozen=True)
class Integer:
    """An integer from `low` to `high`, both included: usually the index of a choice in an ordered list."""

    name: str
    low: int
    high: int


@dataclass(frozen=True)
class Choice:
    """One of several words that have no order."""

    name: str
    choices: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))


Parameter = Integer | Choice


def tune_space(parameters: Iterable[Parameter]) -> dict[str, object]:
    """The parameters as a Ray Tune search space: `tune.randint(low, high + 1)` or `tune.choice(choices)` by name.

    Ray is imported here, on use, and not with the package: reading a space must stay light.
    """
    from ray import tune

    return {
        p.name: tune.randint(p.low, p.high + 1) if isinstance(p, Integer) else tune.choice(list(p.choices))  # pyright: ignore[reportUnknownMemberType] - untyped in Ray
        for p in parameters
    }


def suggest_values(parameters: Iterable[Parameter], trial: Suggests) -> dict[str, int | str]:
    """Ask an Optuna trial for every parameter."""
    return {
        p.name: trial.suggest_int(p.name, p.low, p.high)
        if isinstance(p, Integer)
        else str(trial.suggest_categorical(p.name, p.choices))
        for p in parameters
    }


def read_index(name: str, values: Values, size: int) -> int:
    """The index below `size` that a setting holds under a name; 0 where there is no choice. Raises `SpaceError`."""
    chosen = values.get(name) if size > 1 else 0
    if not isinstance(chosen, int) or not 0 <= chosen < size:
        raise SpaceError(f"{name} must be an index from 0 to {size - 1}, got {chosen!r}")
    return chosen


def read_choice(name: str, values: Values, choices: Sequence[str]) -> str:
    """The word that a setting holds under a name; the only one where there is no choice. Raises `SpaceError`."""
    chosen = values.get(name) if len(choices) > 1 else choices[0]
    if not isinstance(chosen, str) or chosen not in choices:
        raise SpaceError(f"{name} must be one of {listed(map(repr, choices))}, got {chosen!r}")
    return chosen
