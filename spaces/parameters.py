"""A space as named parameters, declared once and understood by Ray Tune and by Optuna."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Values = Mapping[str, int | str]
"""A setting: a value for every parameter, by name."""


class Suggests(Protocol):
    """The part of `optuna.Trial` that a space uses."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        ...

    def suggest_categorical(self, name: str, choices: Sequence[str]) -> Any:
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


def tune_space(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """The parameters as a Ray Tune search space: `tune.randint(low, high + 1)` or `tune.choice(choices)` by name.

    Ray is imported here, on use, and not with the package: reading a space must stay light.
    """
    from ray import tune

    def domain(parameter: Parameter) -> Any:
        if isinstance(parameter, Integer):
            return tune.randint(parameter.low, parameter.high + 1)
        return tune.choice(list(parameter.choices))  # pyright: ignore[reportUnknownMemberType] - untyped in Ray

    return {parameter.name: domain(parameter) for parameter in parameters}


def suggest_values(parameters: Iterable[Parameter], trial: Suggests) -> dict[str, int | str]:
    """Ask an Optuna trial for every parameter."""
    return {
        p.name: trial.suggest_int(p.name, p.low, p.high)
        if isinstance(p, Integer)
        else trial.suggest_categorical(p.name, p.choices)
        for p in parameters
    }
