"""The space of one given architecture: where only hyperparameters are searched."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from spaces.cost import Cost, Costs
from spaces.declarations import space_from
from spaces.errors import SpaceError
from spaces.parameters import Parameter, Values
from spaces.space import BaseSpace, Space


@dataclass(frozen=True)
class OnlySpace(BaseSpace[Any]):
    """One member of another space, with that space's name, text form and ids.

    Operators that give another member elsewhere give the same one here; it has no neighbours, no genes and no
    parameters. Raises `SpaceError` for an architecture that is not in the space.
    """

    family: ClassVar[str] = "only"

    space: Space[Any]
    architecture: Any
    name: str = field(init=False)  # see `__post_init__`

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.space.name)
        if self.space.family in ("hyperparameters", "joint", self.family):
            raise SpaceError(
                f"space {self.space.name!r} is one of the family {self.space.family!r}; take a member of a space of "
                "architectures"
            )
        self.space.require(self.architecture)

    @property
    def image_size(self) -> int:
        """Height and width of the images."""
        return self.space.image_size

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.space.classes

    @property
    def channels(self) -> int:
        """Channels of the images."""
        return self.space.channels

    def declaration(self) -> dict[str, Any]:
        """The other space and the architecture's text as JSON; the inverse of `spaces.declarations.space_from`."""
        text = self.space.format(self.architecture)
        return {"family": self.family, "space": self.space.declaration(), "architecture": text}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> "OnlySpace":
        """The space of the fields of a declaration, its family left out."""
        space = space_from(fields["space"])
        return cls(space, space.parse(fields["architecture"]))

    def for_data(
        self, image_size: int | None = None, classes: int | None = None, channels: int | None = None
    ) -> "OnlySpace":
        """The same space for images of another size, number of classes or number of channels; None leaves it."""
        return replace(self, space=self.space.for_data(image_size, classes, channels))

    def count(self) -> int:
        """One."""
        return 1

    def rank(self, architecture: Any) -> int:
        """Zero, for the one member."""
        self.require(architecture)
        return 0

    def _unrank(self, index: int) -> Any:
        return self.architecture

    def _objections(self, architecture: Any) -> Iterator[str]:
        if architecture != self.architecture:
            yield f"its only member is {self.space.format(self.architecture)!r}"

    def smallest(self) -> Any:
        """The one member."""
        return self.architecture

    def largest(self) -> Any:
        """The one member."""
        return self.architecture

    def sample(self, rng: random.Random) -> Any:
        """The one member."""
        return self.architecture

    def mutate(self, architecture: Any, rng: random.Random, probability: float = 0.2) -> Any:
        """The one member: there is no other."""
        return self.require(architecture)

    def crossover(self, first: Any, second: Any, rng: random.Random) -> Any:
        """The one member."""
        return self.require(first) if first == second else self.require(second)

    def neighbours(self, architecture: Any) -> Iterator[Any]:
        """None."""
        self.require(architecture)
        return iter(())

    def parse(self, text: str) -> Any:
        """Read the text form; raises `SpaceError` with the reason for any other member of the other space, too."""
        return self.require(self.space.parse(text))

    def format(self, architecture: Any) -> str:
        """The text form of the other space."""
        return self.space.format(architecture)

    def _to_json(self, architecture: Any) -> dict[str, Any]:
        return self.space.to_json(architecture)

    def _from_json(self, data: Mapping[str, Any]) -> Any:
        return self.space.from_json(data)

    def genes(self) -> dict[str, tuple[int | float | str, ...]]:
        """None: there is nothing to choose."""
        return {}

    def parameters(self) -> tuple[Parameter, ...]:
        """None."""
        return ()

    def encode(self, architecture: Any) -> dict[str, int | str]:
        """The empty setting."""
        self.require(architecture)
        return {}

    def decode(self, values: Values) -> Any:
        """The one member."""
        return self.architecture

    def cost(self, architecture: Any, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What the member costs."""
        return self.space.cost(self.require(architecture), image_size, classes)

    def costs(self, architectures: list[Any], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What it costs, once for each in the list."""
        return self.space.costs(architectures, image_size, classes)
