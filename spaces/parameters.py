"""A space as named integers, declared once and understood by Ray Tune and by Optuna."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol


class SuggestsIntegers(Protocol):
    """The part of `optuna.Trial` that a space uses."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        ...


@dataclass(frozen=True)
class Integer:
    """An integer from `low` to `high`, both included: usually the index of a choice."""

    name: str
    low: int
    high: int


def tune_space(parameters: Iterable[Integer]) -> dict[str, Any]:
    """The parameters as a Ray Tune search space, `{name: tune.randint(low, high + 1)}`.

    Ray is imported here, on use, and not with the package: reading a space must stay light.
    """
    from ray import tune

    return {p.name: tune.randint(p.low, p.high + 1) for p in parameters}


def suggest_values(parameters: Iterable[Integer], trial: SuggestsIntegers) -> dict[str, int]:
    """Ask an Optuna trial for every parameter."""
    return {p.name: trial.suggest_int(p.name, p.low, p.high) for p in parameters}
