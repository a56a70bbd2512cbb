"""Spaces of hyperparameters: each a finite list of values, declared as such or as a grid."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from spaces.cost import Cost, Costs
from spaces.errors import SpaceError
from spaces.hyperparameters.kinds import KNOWN, Value, Word
from spaces.hyperparameters.values import Grid, Hyperparameter, Listed
from spaces.parameters import Choice, Integer, Parameter, Values
from spaces.product import Indices, Product, ProductSpace, read_index
from spaces.space import number_text

__all__ = ["Grid", "Hyperparameter", "HyperparameterSpace", "Hyperparameters", "Listed"]

_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{0,30})?(e[+-]?[0-9]{1,3})?")


@dataclass(frozen=True)
class Hyperparameters:
    """A value for each hyperparameter of a space, in its order.

    >>> str(Hyperparameters((("learning_rate", 0.01), ("optimiser", "sgd"))))
    'learning_rate=0.01 optimiser=sgd'
    """

    values: tuple[tuple[str, Value], ...]

    def __str__(self) -> str:
        return " ".join(f"{name}={value_text(value)}" for name, value in self.values)

    def __format__(self, spec: str) -> str:
        return str(self).__format__(spec)


def value_text(value: Value) -> str:
    """The one text of a value."""
    return value if isinstance(value, str) else number_text(value)


@dataclass(frozen=True)
class HyperparameterSpace(ProductSpace[Hyperparameters]):
    """Every combination of the values of some hyperparameters, which `KNOWN` lists with their ranges.

    They build nothing by themselves: a `JointSpace` joins them with architectures. Raises `SpaceError` that lists
    everything wrong with a declaration.
    """

    family: ClassVar[str] = "hyperparameters"

    name: str
    hyperparameters: tuple[Hyperparameter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hyperparameters", tuple(self.hyperparameters))
        problems = [problem for each in self.hyperparameters for problem in each.problems()]
        names = [each.name for each in self.hyperparameters]
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        problems += [f"{name} is declared twice" for name in twice]
        if not names:
            problems = ["needs at least one hyperparameter"]
        if problems:
            raise SpaceError(f"space {self.name!r}: " + "; ".join(problems))

    @property
    def image_size(self) -> int:
        """Zero: without an architecture there are no images."""
        return 0

    @property
    def classes(self) -> int:
        """Zero."""
        return 0

    @property
    def channels(self) -> int:
        """Zero."""
        return 0

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> "HyperparameterSpace":
        """The space of the fields of a declaration, its family left out."""
        return cls(
            fields["name"],
            tuple(Listed(**each) if "values" in each else Grid(**each) for each in fields["hyperparameters"]),
        )

    def for_data(
        self, image_size: int | None = None, classes: int | None = None, channels: int | None = None
    ) -> "HyperparameterSpace":
        """The space itself, whatever the images are."""
        return self

    # Members ----------------------------------------------------------------------------------------------------------

    def values(self, member: Hyperparameters) -> dict[str, Value]:
        """The value of every hyperparameter by name, of the type that it was declared with."""
        return dict(self._member(self._indices(member)).values)

    def genes(self) -> dict[str, tuple[Value, ...]]:
        """Every choice there is by name."""
        return dict(self._choices)

    @cached_property
    def _choices(self) -> dict[str, tuple[Value, ...]]:
        return {each.name: each.choices() for each in self.hyperparameters}

    def _lists(self) -> Product:
        lines = [place for place, name in enumerate(self._choices) if not isinstance(KNOWN[name], Word)]
        return Product(tuple(map(len, self._choices.values())), frozenset(lines))

    def _indices(self, architecture: Hyperparameters) -> Indices:
        return tuple(self._choices[name].index(value) for name, value in self.require(architecture).values)

    def _member(self, indices: Indices) -> Hyperparameters:
        chosen = zip(self._choices.items(), indices, strict=True)
        return Hyperparameters(tuple((name, choices[index]) for (name, choices), index in chosen))

    def _objections(self, architecture: Hyperparameters) -> Iterator[str]:
        names = [name for name, _ in architecture.values]
        if names != list(self._choices):
            yield f"its hyperparameters are {', '.join(names) or 'none'}; those of the space are {self._listed()}"
            return
        for name, value in architecture.values:
            choices = self._choices[name]
            if isinstance(value, bool) or value not in choices:
                yield f"{name} is {value!r}; the choices are {', '.join(map(value_text, choices))}"

    def _listed(self) -> str:
        return ", ".join(self._choices)

    def smallest(self) -> Hyperparameters:
        """The first member: hyperparameters alone have no cost that could be least."""
        return self.unrank(0)

    def largest(self) -> Hyperparameters:
        """The last member."""
        return self.unrank(self.count() - 1)

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Hyperparameters:
        """Read the text form of a member, such as `learning_rate=0.01 optimiser=sgd`, in any order.

        Raises `SpaceError` with the reason where it is none.
        """
        found: dict[str, Value] = {}
        for word in text.split():
            name, equals, value = word.partition("=")
            if not equals or name in found:
                raise SpaceError(f"{text!r}: write each hyperparameter once, as in learning_rate=0.01; got {word!r}")
            found[name] = _read(value)
        return self.from_values(found)

    def _to_json(self, architecture: Hyperparameters) -> dict[str, Any]:
        return {"values": self.values(architecture)}

    def _from_json(self, data: Mapping[str, Any]) -> Hyperparameters:
        return self.from_values(data["values"])

    def from_values(self, values: Mapping[str, Value]) -> Hyperparameters:
        """The member with these values by name, in any order; raises `SpaceError` where there is none."""
        missing = [name for name in self._choices if name not in values]
        unknown = [name for name in values if name not in self._choices]
        if missing or unknown:
            problems = [f"{name} is missing" for name in missing] + [f"there is no {name}" for name in unknown]
            raise SpaceError(f"space {self.name!r} has the hyperparameters {self._listed()}: {'; '.join(problems)}")
        member = self.require(Hyperparameters(tuple((name, values[name]) for name in self._choices)))
        return self._member(self._indices(member))

    def parameters(self) -> tuple[Parameter, ...]:
        """The space as parameters for Tune and Optuna: indices of numbers, and words; single values are left out."""
        return tuple(
            Choice(name, tuple(map(str, choices)))
            if isinstance(KNOWN[name], Word)
            else Integer(name, 0, len(choices) - 1)
            for name, choices in self._choices.items()
            if len(choices) > 1
        )

    def encode(self, architecture: Hyperparameters) -> dict[str, int | str]:
        """The setting of `parameters()` that stands for this member."""
        values = self.values(architecture)
        return {
            p.name: str(values[p.name]) if isinstance(p, Choice) else self._choices[p.name].index(values[p.name])
            for p in self.parameters()
        }

    def decode(self, values: Values) -> Hyperparameters:
        """The member that a setting of `parameters()` stands for. Raises `SpaceError` for a missing or impossible
        value."""
        return self._member(tuple(self._index(name, values) for name in self._choices))

    def _index(self, name: str, values: Values) -> int:
        choices = self._choices[name]
        if not isinstance(KNOWN[name], Word) or len(choices) == 1:
            return read_index(name, values, len(choices))
        chosen = values.get(name)
        if chosen not in choices:
            raise SpaceError(f"{name} must be one of {', '.join(map(value_text, choices))}, got {chosen!r}")
        return choices.index(chosen)

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, architecture: Hyperparameters, image_size: int | None = None, classes: int | None = None) -> Cost:
        """Nothing: only an architecture costs something."""
        return Cost(())

    def costs(
        self, architectures: list[Hyperparameters], image_size: int | None = None, classes: int | None = None
    ) -> Costs:
        """Nothing for each: only architectures cost something."""
        nothing = np.zeros(len(architectures), dtype=np.int64)
        return Costs(nothing, nothing, nothing, nothing, nothing)


def _read(text: str) -> Value:
    """A value as it was written: a number, or a word."""
    if _NUMBER.fullmatch(text) is None:
        return text
    return float(text)
