"""Spaces of architectures joined with hyperparameters."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, Self, TypeVar

from spaces.cost import Cost, Costs
from spaces.declarations import space_from
from spaces.errors import SpaceError
from spaces.hyperparameters.kinds import Value
from spaces.hyperparameters.space import Hyperparameters, HyperparameterSpace
from spaces.joint.fixed import Wrapping
from spaces.parameters import Given, Parameter
from spaces.space import BaseSpace, Candidate, Space
from spaces.tools.json_form import Json, built

A = TypeVar("A")

_WITH = re.compile(r"\s+with\s+")


@dataclass(frozen=True)
class Joint(Generic[A]):
    """An architecture, and the hyperparameters to train it with."""

    architecture: A
    hyperparameters: Hyperparameters

    def __str__(self) -> str:
        return f"{self.architecture} with {self.hyperparameters}"

    def __format__(self, spec: str) -> str:
        return str(self).__format__(spec)


@dataclass(frozen=True)
class JointSpace(Wrapping[A], BaseSpace[Joint[A]]):
    """Every architecture of a space with every setting of the hyperparameters of another.

    It costs what its architecture costs. Parameters keep their names. A `binariser` among the hyperparameters is that
    of the architecture's space, which must have one. Raises `SpaceError` for spaces that cannot be joined.
    """

    family: ClassVar[str] = "joint"
    of_architectures: ClassVar[bool] = False

    architectures: Space[A]
    hyperparameters: HyperparameterSpace
    name: str = field(init=False)  # see `__post_init__`

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.architectures.name} with {self.hyperparameters.name}")
        if not self.architectures.of_architectures:
            raise SpaceError(
                f"space {self.architectures.name!r} is one of the family {self.architectures.family!r}; join "
                "hyperparameters with a space of architectures"
            )
        clashes = sorted(self.architectures.genes().keys() & self.hyperparameters.genes().keys())
        if clashes:
            raise SpaceError(f"both spaces of {self.name!r} have {', '.join(clashes)}; names must differ")
        for binariser in self.hyperparameters.genes().get("binariser", ()):
            self.architectures.with_binariser(str(binariser))  # refuses what would fail at some member

    @property
    def wrapped(self) -> Space[A]:
        """The space of architectures."""
        return self.architectures

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Json]) -> Self:
        """The space of the fields of a declaration, its family left out."""
        hyperparameters = space_from(fields["hyperparameters"])
        if not isinstance(hyperparameters, HyperparameterSpace):
            raise SpaceError(f"a joint space has hyperparameters; got a space of the family {hyperparameters.family!r}")
        return built(cls, fields, architectures=space_from(fields["architectures"]), hyperparameters=hyperparameters)

    def for_data(self, image_size: int | None = None, classes: int | None = None, channels: int | None = None) -> Self:
        """The same space for images of another size, number of classes or number of channels; None leaves it."""
        return replace(self, architectures=self.architectures.for_data(image_size, classes, channels))

    # Members ----------------------------------------------------------------------------------------------------------

    def split(self, member: Joint[A]) -> Candidate:
        """The architecture in its own space, with the binariser of the hyperparameters, and all hyperparameters."""
        values = self.hyperparameters.values(self.require(member).hyperparameters)
        candidate = replace(self.architectures.split(member.architecture), hyperparameters=values)
        if "binariser" not in values:
            return candidate
        return replace(candidate, space=candidate.space.with_binariser(str(values["binariser"])))

    def genes(self) -> dict[str, tuple[Value, ...]]:
        """Every choice there is by name, those of the architecture first."""
        return {**self.architectures.genes(), **self.hyperparameters.genes()}

    def count(self) -> int:
        """How many members there are, exactly."""
        return self.architectures.count() * self.hyperparameters.count()

    def rank(self, member: Joint[A]) -> int:
        """The place of a member, from 0 to `count() - 1`: by architecture, then by hyperparameters."""
        place = self.architectures.rank(member.architecture)
        return place * self.hyperparameters.count() + self.hyperparameters.rank(member.hyperparameters)

    def _unrank(self, index: int) -> Joint[A]:
        place, rest = divmod(index, self.hyperparameters.count())
        return Joint(self.architectures.unrank(place), self.hyperparameters.unrank(rest))

    def sample(self, rng: random.Random) -> Joint[A]:
        """A member, exactly uniform over the space."""
        return Joint(self.architectures.sample(rng), self.hyperparameters.sample(rng))

    def objections(self, member: Joint[A]) -> Iterator[str]:
        """The first reason why the architecture is not in its space, and why the hyperparameters are not in theirs."""
        parts = (
            self.architectures.contains(member.architecture),
            self.hyperparameters.contains(member.hyperparameters),
        )
        yield from (membership.reason for membership in parts if membership.reason is not None)

    def smallest(self) -> Joint[A]:
        """The architecture with the fewest operations, and the first hyperparameters."""
        return Joint(self.architectures.smallest(), self.hyperparameters.smallest())

    def largest(self) -> Joint[A]:
        """The architecture with the most operations, and the last hyperparameters."""
        return Joint(self.architectures.largest(), self.hyperparameters.largest())

    # Operators --------------------------------------------------------------------------------------------------------

    def _redrawn(self, member: Joint[A], rng: random.Random, probability: float) -> Joint[A]:
        """Another member: the architecture, the hyperparameters or both are mutated, a third of the time each."""
        one, other = member.architecture, member.hyperparameters
        changed = rng.choice(((True, False), (False, True), (True, True)))
        if self.architectures.count() == 1 or self.hyperparameters.count() == 1:
            changed = (True, True)  # the part with one member stays as it is
        if changed[0]:
            one = self.architectures.mutate(one, rng, probability)
        if changed[1]:
            other = self.hyperparameters.mutate(other, rng, probability)
        return Joint(one, other)

    def crossover(self, first: Joint[A], second: Joint[A], rng: random.Random) -> Joint[A]:
        """A member whose parts are each a crossover of the parents' parts."""
        architecture = self.architectures.crossover(first.architecture, second.architecture, rng)
        return Joint(architecture, self.hyperparameters.crossover(first.hyperparameters, second.hyperparameters, rng))

    def neighbours(self, member: Joint[A]) -> Iterator[Joint[A]]:
        """Every member with a neighbour of the architecture, or with neighbouring hyperparameters."""
        one, other = member.architecture, member.hyperparameters
        yield from (Joint(near, other) for near in self.architectures.neighbours(one))
        yield from (Joint(one, near) for near in self.hyperparameters.neighbours(other))

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Joint[A]:
        """Read the text form of a member, `<architecture> with <hyperparameters>`.

        Raises `SpaceError` with the reason for anything else.
        """
        parts = _WITH.split(text)
        if len(parts) != 2:
            raise SpaceError(f"write an architecture, the word with, and hyperparameters; got {text!r}")
        return Joint(self.architectures.parse(parts[0]), self.hyperparameters.parse(parts[1]))

    def format(self, member: Joint[A]) -> str:
        """The text form, `<architecture> with <hyperparameters>`."""
        return str(Joint(self.architectures.format(member.architecture), member.hyperparameters))

    def _to_json(self, member: Joint[A]) -> dict[str, Json]:
        return {
            "architecture": self.architectures.to_json(member.architecture),
            "hyperparameters": self.hyperparameters.to_json(member.hyperparameters),
        }

    def _from_json(self, data: Mapping[str, Json]) -> Joint[A]:
        architecture = self.architectures.from_json(data["architecture"])
        return Joint(architecture, self.hyperparameters.from_json(data["hyperparameters"]))

    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of both spaces, those of the architecture first."""
        return (*self.architectures.parameters(), *self.hyperparameters.parameters())

    def encode(self, member: Joint[A]) -> dict[str, Value]:
        """A setting of `parameters()` that stands for this member."""
        one = self.architectures.encode(member.architecture)
        return {**one, **self.hyperparameters.encode(member.hyperparameters)}

    def decode(self, values: Given) -> Joint[A]:
        """The member that a setting of `parameters()` stands for. Raises `SpaceError` for a missing or impossible
        value."""
        return Joint(self.architectures.decode(values), self.hyperparameters.decode(values))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, member: Joint[A], image_size: int | None = None, classes: int | None = None) -> Cost:
        """What the architecture of a member costs."""
        return self.architectures.cost(self.require(member).architecture, image_size, classes)

    def costs(self, members: list[Joint[A]], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What the architectures of many members cost, in one vectorised call (their membership is not checked)."""
        return self.architectures.costs([member.architecture for member in members], image_size, classes)
