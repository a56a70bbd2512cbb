"""Spaces of hyperparameters: each a finite list of values, declared as such or as a grid."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import numpy as np

from spaces.cost import Cost, Costs
from spaces.errors import SpaceError, listed, refuse
from spaces.hyperparameters.kinds import Value
from spaces.hyperparameters.values import Grid, Hyperparameter, Listed
from spaces.product import ProductSpace
from spaces.space import Candidate, number_text
from spaces.tools.json_form import Json, as_list, as_object, built

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
class HyperparameterSpace(ProductSpace[Hyperparameters, Value]):
    """Every combination of the values of some hyperparameters, which `KNOWN` lists with their ranges.

    They build nothing by themselves and cost nothing: a `JointSpace` joins them with architectures.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "hyperparameters"
    of_architectures: ClassVar[bool] = False
    stepwise: ClassVar[bool] = True

    name: str
    hyperparameters: tuple[Hyperparameter, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "hyperparameters", tuple(self.hyperparameters))
        refuse(self.name, self.problems())

    def problems(self) -> Iterator[str]:
        """Everything wrong with the fields."""
        if not self.hyperparameters:
            yield "needs at least one hyperparameter"
        for each in self.hyperparameters:
            yield from each.problems()
        names = [each.name for each in self.hyperparameters]
        yield from (f"{name} is declared twice" for name in dict.fromkeys(names) if names.count(name) > 1)

    @property
    def image_size(self) -> int:
        """Zero: there are no images."""
        return 0

    classes = channels = image_size

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Json]) -> Self:
        """The space of the fields of a declaration, its family left out."""
        declared = map(as_object, as_list(fields["hyperparameters"]))
        each = [built(Listed, one) if "values" in one else built(Grid, one) for one in declared]
        return built(cls, fields, hyperparameters=each)

    def for_data(self, image_size: int | None = None, classes: int | None = None, channels: int | None = None) -> Self:
        """The space itself, whatever the images are."""
        return self

    # Members ----------------------------------------------------------------------------------------------------------

    def values(self, member: Hyperparameters) -> dict[str, Value]:
        """The value of every hyperparameter by name, of the type that it was declared with."""
        return dict(self._at(self._indices(member)).values)

    def genes(self) -> dict[str, tuple[Value, ...]]:
        """Every choice there is by name."""
        return {each.name: each.choices() for each in self.hyperparameters}

    def _values(self, member: Hyperparameters) -> tuple[Value, ...]:
        return tuple(value for _, value in member.values)

    def _member(self, values: tuple[Value, ...]) -> Hyperparameters:
        return Hyperparameters(tuple(zip(self._choices, values, strict=True)))

    def objections(self, member: Hyperparameters) -> Iterator[str]:
        """Every reason why hyperparameters are not a member."""
        names = [name for name, _ in member.values]
        if names != list(self._choices):
            yield f"its hyperparameters are {listed(names) or 'none'}; those of the space are {listed(self._choices)}"
            return
        for name, value in member.values:
            choices = self._choices[name]
            if isinstance(value, bool) or value not in choices:
                yield f"{name} is {value!r}; the choices are {listed(map(value_text, choices))}"

    def split(self, member: Hyperparameters) -> Candidate:
        """Raises `SpaceError`: there is no architecture."""
        raise SpaceError(f"space {self.name!r} holds hyperparameters alone, which build nothing; use a JointSpace")

    def smallest(self) -> Hyperparameters:
        """The first member: hyperparameters alone have no cost that could be least."""
        return self.unrank(0)

    def largest(self) -> Hyperparameters:
        """The last member."""
        return self.unrank(self.count() - 1)

    # Text and JSON ----------------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Hyperparameters:
        """Read the text form of a member, such as `learning_rate=0.01 optimiser=sgd`, in any order.

        Raises `SpaceError` with the reason for anything else.
        """
        given: dict[str, Value] = {}
        for word in text.split():
            name, equals, value = word.partition("=")
            if not equals or name in given:
                raise SpaceError(f"{text!r}: write each hyperparameter once, as in learning_rate=0.01; got {word!r}")
            given[name] = float(value) if _NUMBER.fullmatch(value) else value
        return self.from_values(given)

    def _to_json(self, member: Hyperparameters) -> dict[str, Json]:
        return {"values": self.values(member)}

    def _from_json(self, data: Mapping[str, Json]) -> Hyperparameters:
        return self.from_values(cast("Mapping[str, Value]", as_object(data["values"])))  # refuses values of other types

    def from_values(self, values: Mapping[str, Value]) -> Hyperparameters:
        """The member with these values by name, in any order; raises `SpaceError` where there is none."""
        problems = [f"{name} is missing" for name in self._choices if name not in values]
        problems += [f"unknown {name}" for name in values if name not in self._choices]
        if problems:
            raise SpaceError(
                f"space {self.name!r} has the hyperparameters {listed(self._choices)}: {'; '.join(problems)}"
            )
        return self._at(self._indices(self._member(tuple(values[name] for name in self._choices))))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, member: Hyperparameters, image_size: int | None = None, classes: int | None = None) -> Cost:
        """Nothing: only an architecture costs something."""
        return Cost(())

    def costs(self, members: list[Hyperparameters], image_size: int | None = None, classes: int | None = None) -> Costs:
        """Nothing for each: only architectures cost something."""
        nothing = np.zeros(len(members), dtype=np.int64)
        return Costs(nothing, nothing, nothing, nothing, nothing)
