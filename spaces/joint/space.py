"""Spaces made of spaces: architectures joined with hyperparameters, and the space of one given architecture."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from spaces.cost import Cost, Costs
from spaces.declarations import space_from
from spaces.errors import SpaceError
from spaces.hyperparameters.kinds import Value
from spaces.hyperparameters.space import Hyperparameters, HyperparameterSpace
from spaces.joint.fixed import OnlySpace
from spaces.parameters import Parameter, Values
from spaces.space import BaseSpace, Space

__all__ = ["Joint", "JointSpace", "OnlySpace", "split"]

_WITH = re.compile(r"\s+with\s+")


@dataclass(frozen=True)
class Joint:
    """An architecture, and the hyperparameters to train it with."""

    architecture: Any
    hyperparameters: Hyperparameters

    def __str__(self) -> str:
        return f"{self.architecture} with {self.hyperparameters}"

    def __format__(self, spec: str) -> str:
        return str(self).__format__(spec)


@dataclass(frozen=True)
class JointSpace(BaseSpace[Joint]):
    """Every architecture of a space with every setting of the hyperparameters of another.

    It costs what its architecture costs. Parameters keep their names. A `binariser` among the hyperparameters is that
    of the architecture's space, which must have one. Raises `SpaceError` for spaces that cannot be joined.
    """

    family: ClassVar[str] = "joint"

    architectures: Space[Any]
    hyperparameters: HyperparameterSpace
    name: str = field(init=False)  # see `__post_init__`

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.architectures.name} with {self.hyperparameters.name}")
        if self.architectures.family in (self.family, HyperparameterSpace.family):
            raise SpaceError(
                f"space {self.architectures.name!r} is one of the family {self.architectures.family!r}; join "
                "hyperparameters with a space of architectures"
            )
        clashes = sorted(self.architectures.genes().keys() & self.hyperparameters.genes().keys())
        if clashes:
            raise SpaceError(f"both spaces of {self.name!r} have {', '.join(clashes)}; names must differ")
        for binariser in self.hyperparameters.genes().get("binariser", ()):
            _with_binariser(self.architectures, binariser)  # refuses what would fail at some member

    @property
    def image_size(self) -> int:
        """Height and width of the images."""
        return self.architectures.image_size

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.architectures.classes

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.architectures.channels

    def declaration(self) -> dict[str, Any]:
        """Both spaces as JSON, with the family; the inverse of `spaces.declarations.space_from`."""
        parts = (self.architectures.declaration(), self.hyperparameters.declaration())
        return {"family": self.family, "architectures": parts[0], "hyperparameters": parts[1]}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> "JointSpace":
        """The space of the fields of a declaration, its family left out."""
        hyperparameters = space_from(fields["hyperparameters"])
        if not isinstance(hyperparameters, HyperparameterSpace):
            raise SpaceError(f"a joint space has hyperparameters; got a space of the family {hyperparameters.family!r}")
        return cls(space_from(fields["architectures"]), hyperparameters)

    def for_data(
        self, image_size: int | None = None, classes: int | None = None, channels: int | None = None
    ) -> "JointSpace":
        """The same space for images of another size, number of classes or number of channels; None leaves it."""
        return replace(self, architectures=self.architectures.for_data(image_size, classes, channels))

    # Members ----------------------------------------------------------------------------------------------------------

    def split(self, member: Joint) -> tuple[Any, Hyperparameters]:
        """The architecture and the hyperparameters of a member."""
        member = self.require(member)
        return member.architecture, member.hyperparameters

    def genes(self) -> dict[str, tuple[Value, ...]]:
        """Every choice there is by name, those of the architecture first."""
        return {**self.architectures.genes(), **self.hyperparameters.genes()}

    def count(self) -> int:
        """How many members there are, exactly."""
        return self.architectures.count() * self.hyperparameters.count()

    def rank(self, architecture: Joint) -> int:
        """The place of a member, from 0 to `count() - 1`: by architecture, then by hyperparameters."""
        member = self.require(architecture)
        place = self.architectures.rank(member.architecture)
        return place * self.hyperparameters.count() + self.hyperparameters.rank(member.hyperparameters)

    def _unrank(self, index: int) -> Joint:
        place, rest = divmod(index, self.hyperparameters.count())
        return Joint(self.architectures.unrank(place), self.hyperparameters.unrank(rest))

    def sample(self, rng: random.Random) -> Joint:
        """A member, exactly uniform over the space."""
        return Joint(self.architectures.sample(rng), self.hyperparameters.sample(rng))

    def _objections(self, architecture: Joint) -> Iterator[str]:
        parts = (
            self.architectures.contains(architecture.architecture),
            self.hyperparameters.contains(architecture.hyperparameters),
        )
        yield from (membership.reason for membership in parts if membership.reason is not None)

    def smallest(self) -> Joint:
        """The architecture with the fewest operations, and the first hyperparameters."""
        return Joint(self.architectures.smallest(), self.hyperparameters.smallest())

    def largest(self) -> Joint:
        """The architecture with the most operations, and the last hyperparameters."""
        return Joint(self.architectures.largest(), self.hyperparameters.largest())

    # Operators --------------------------------------------------------------------------------------------------------

    def mutate(self, architecture: Joint, rng: random.Random, probability: float = 0.2) -> Joint:
        """Another member: the architecture, the hyperparameters or both are mutated, a third of the time each. Differs
        from its parent unless the space has one member only."""
        one, other = self.split(architecture)
        changed = rng.choice(((True, False), (False, True), (True, True)))
        if self.architectures.count() == 1 or self.hyperparameters.count() == 1:
            changed = (True, True)  # the part with one member stays as it is
        if changed[0]:
            one = self.architectures.mutate(one, rng, probability)
        if changed[1]:
            other = self.hyperparameters.mutate(other, rng, probability)
        return Joint(one, other)

    def crossover(self, first: Joint, second: Joint, rng: random.Random) -> Joint:
        """A member whose parts are each a crossover of the parents' parts."""
        (one, its), (other, others) = self.split(first), self.split(second)
        architecture = self.architectures.crossover(one, other, rng)
        return Joint(architecture, self.hyperparameters.crossover(its, others, rng))

    def neighbours(self, architecture: Joint) -> Iterator[Joint]:
        """Every member with a neighbour of the architecture, or with neighbouring hyperparameters."""
        one, other = self.split(architecture)
        yield from (Joint(near, other) for near in self.architectures.neighbours(one))
        yield from (Joint(one, near) for near in self.hyperparameters.neighbours(other))

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Joint:
        """Read the text form of a member, `<architecture> with <hyperparameters>`.

        Raises `SpaceError` with the reason where it is none.
        """
        parts = _WITH.split(text)
        if len(parts) != 2:
            raise SpaceError(f"write an architecture, the word with, and hyperparameters; got {text!r}")
        return Joint(self.architectures.parse(parts[0]), self.hyperparameters.parse(parts[1]))

    def format(self, architecture: Joint) -> str:
        """The text form, `<architecture> with <hyperparameters>`."""
        return str(Joint(self.architectures.format(architecture.architecture), architecture.hyperparameters))

    def _to_json(self, architecture: Joint) -> dict[str, Any]:
        return {
            "architecture": self.architectures.to_json(architecture.architecture),
            "hyperparameters": self.hyperparameters.to_json(architecture.hyperparameters),
        }

    def _from_json(self, data: Mapping[str, Any]) -> Joint:
        architecture = self.architectures.from_json(data["architecture"])
        return Joint(architecture, self.hyperparameters.from_json(data["hyperparameters"]))

    def parameters(self) -> tuple[Parameter, ...]:
        """The parameters of both spaces, those of the architecture first."""
        return (*self.architectures.parameters(), *self.hyperparameters.parameters())

    def encode(self, architecture: Joint) -> dict[str, int | str]:
        """A setting of `parameters()` that stands for this member."""
        one, other = self.split(architecture)
        return {**self.architectures.encode(one), **self.hyperparameters.encode(other)}

    def decode(self, values: Values) -> Joint:
        """The member that a setting of `parameters()` stands for. Raises `SpaceError` for a missing or impossible
        value."""
        return Joint(self.architectures.decode(values), self.hyperparameters.decode(values))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, architecture: Joint, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What the architecture of a member costs."""
        return self.architectures.cost(self.require(architecture).architecture, image_size, classes)

    def costs(self, architectures: list[Joint], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What the architectures of many members cost, in one vectorised call (their membership is not checked)."""
        return self.architectures.costs([member.architecture for member in architectures], image_size, classes)


def split(space: Space[Any], member: Any) -> tuple[Space[Any], Any, dict[str, Value]]:
    """What any space's member asks to be built and trained: the space of its architecture, the architecture, and the
    hyperparameters by name (none where the space has none).

    A `binariser` among them is already that of the space. Raises `SpaceError` for hyperparameters without an
    architecture.
    """
    if isinstance(space, HyperparameterSpace):
        raise SpaceError(f"space {space.name!r} holds hyperparameters alone, which build nothing; use a JointSpace")
    values: dict[str, Value] = {}
    if isinstance(space, JointSpace):
        member, hyperparameters = space.split(member)
        values = space.hyperparameters.values(hyperparameters)
        space = space.architectures
    if "binariser" in values:
        return _with_binariser(space, values["binariser"]), member, values
    return _innermost(space), member, values


def _innermost(space: Space[Any]) -> Space[Any]:
    return space.space if isinstance(space, OnlySpace) else space


def _with_binariser(space: Space[Any], binariser: Value) -> Space[Any]:
    """The space of architectures with another binariser; raises `SpaceError` where it has none or not that one."""
    return _innermost(space).with_binariser(str(binariser))
