"""The space of one given architecture: where only hyperparameters are searched."""

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Generic, Self, TypeVar

from spaces.cost import Cost, Costs
from spaces.declarations import space_from
from spaces.errors import SpaceError
from spaces.parameters import Given, Parameter
from spaces.space import BaseSpace, Candidate, Space
from spaces.tools.json_form import Json, built

A = TypeVar("A")


class Wrapping(ABC, Generic[A]):
    """What a space has from the space of architectures that it wraps: the images."""

    @property
    @abstractmethod
    def wrapped(self) -> Space[A]:
        """The space of architectures."""

    @property
    def image_size(self) -> int:
        """Height and width of the images."""
        return self.wrapped.image_size

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.wrapped.classes

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.wrapped.channels


@dataclass(frozen=True)
class OnlySpace(Wrapping[A], BaseSpace[A]):
    """One member of another space, with that space's name, text form and ids.

    Operators that give another member elsewhere give the same one here; it has no neighbours, no genes and no
    parameters. Raises `SpaceError` for an architecture that is not in the space.
    """

    family: ClassVar[str] = "only"

    space: Space[A]
    architecture: A
    name: str = field(init=False)  # see `__post_init__`

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.space.name)
        nested = isinstance(self.space, OnlySpace)
        if nested or not self.space.of_architectures:
            raise SpaceError(
                f"space {self.space.name!r} is one of the family {self.space.family!r}; take a member of a space of "
                "architectures"
            )
        self.space.require(self.architecture)

    @property
    def wrapped(self) -> Space[A]:
        """The other space."""
        return self.space

    def declaration(self) -> dict[str, Json]:
        """The other space and the architecture's text as JSON; the inverse of `spaces.declarations.space_from`."""
        text = self.space.format(self.architecture)
        return {"family": self.family, "space": self.space.declaration(), "architecture": text}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Json]) -> Self:
        """The space of the fields of a declaration, its family left out."""
        space = space_from(fields["space"])
        return built(cls, fields, space=space, architecture=space.parse(str(fields["architecture"])))

    def for_data(self, image_size: int | None = None, classes: int | None = None, channels: int | None = None) -> Self:
        """The same space for images of another size, number of classes or number of channels; None leaves it."""
        return replace(self, space=self.space.for_data(image_size, classes, channels))

    def with_binariser(self, binariser: str) -> Self:
        """The same space with another binariser, where the other space has a choice of them."""
        return replace(self, space=self.space.with_binariser(binariser))

    def count(self) -> int:
        """One."""
        return 1

    def rank(self, member: A) -> int:
        """Zero, for the one member."""
        self.require(member)
        return 0

    def _unrank(self, index: int) -> A:
        return self.architecture

    def split(self, member: A) -> Candidate:
        """The member, in the other space."""
        return self.space.split(self.require(member))

    def objections(self, member: A) -> Iterator[str]:
        """Every reason why something is not the one member."""
        if member != self.architecture:
            yield f"its only member is {self.space.format(self.architecture)!r}"

    def smallest(self) -> A:
        """The one member."""
        return self.architecture

    def largest(self) -> A:
        """The one member."""
        return self.architecture

    def sample(self, rng: random.Random) -> A:
        """The one member; draws nothing from `rng`."""
        return self.architecture

    def _redrawn(self, member: A, rng: random.Random, probability: float) -> A:
        return member

    def crossover(self, first: A, second: A, rng: random.Random) -> A:
        """The one member."""
        self.require(first)
        return self.require(second)

    def neighbours(self, member: A) -> Iterator[A]:
        """None."""
        self.require(member)
        return iter(())

    def parse(self, text: str) -> A:
        """Read the text form; raises `SpaceError` with the reason for any other member of the other space, too."""
        return self.require(self.space.parse(text))

    def format(self, member: A) -> str:
        """The text form of the other space."""
        return self.space.format(member)

    def _to_json(self, member: A) -> dict[str, Json]:
        return self.space.to_json(member)

    def _from_json(self, data: Mapping[str, Json]) -> A:
        return self.space.from_json(data)

    def genes(self) -> dict[str, tuple[int | float | str, ...]]:
        """None: there is nothing to choose."""
        return {}

    def parameters(self) -> tuple[Parameter, ...]:
        """None."""
        return ()

    def encode(self, member: A) -> dict[str, int | str]:
        """The empty setting."""
        self.require(member)
        return {}

    def decode(self, values: Given) -> A:
        """The one member."""
        return self.architecture

    def cost(self, member: A, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What the member costs."""
        return self.space.cost(self.require(member), image_size, classes)

    def costs(self, members: list[A], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What it costs, once for each in the list."""
        return self.space.costs(members, image_size, classes)
