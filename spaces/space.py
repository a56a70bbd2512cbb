"""What every search space owns, and the words it uses to refuse."""

# ruff: noqa: D102 - the spaces themselves document their methods

import hashlib
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

from spaces.cost import Cost, Costs
from spaces.parameters import Parameter, Suggests, Values


class SpaceError(ValueError):
    """A space, an architecture or a text form that cannot be: says what was given, what is allowed, what to do."""


@dataclass(frozen=True)
class Membership:
    """The answer of `Space.contains`: true for a member; otherwise false, with the first reason why not.

    >>> bool(Membership())
    True
    >>> bool(Membership("stage 1 has 4 layers; its depths are 2, 3"))
    False
    """

    reason: str | None = None

    def __bool__(self) -> bool:
        return self.reason is None


A = TypeVar("A")


class Space(Protocol[A]):
    """A finite set of architectures of type `A` that can be counted, drawn from, walked and priced.

    Every operator returns a member. `A` is frozen, hashable and canonical: two members are equal exactly when they
    build the same network. `rank` and `unrank` are inverse bijections between the members and `range(count())`.

    A space is a frozen dataclass. `family` names what kind it is, `declaration` holds all of it as JSON (its inverse is
    `spaces.declared.space_from`), and `for_data` is the same space for other images.
    """

    family: ClassVar[str]

    @property
    def name(self) -> str: ...
    @property
    def image_size(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def channels(self) -> int: ...
    def declaration(self) -> dict[str, Any]: ...
    def for_data(
        self, image_size: int | None = None, classes: int | None = None, channels: int | None = None
    ) -> "Space[A]": ...
    def genes(self) -> Mapping[str, tuple[int | float | str, ...]]: ...
    def count(self) -> int: ...
    def contains(self, architecture: A) -> Membership: ...
    def require(self, architecture: A) -> A: ...
    def rank(self, architecture: A) -> int: ...
    def unrank(self, index: int) -> A: ...
    def smallest(self) -> A: ...
    def largest(self) -> A: ...
    def sample(self, rng: random.Random) -> A: ...
    def mutate(self, architecture: A, rng: random.Random, probability: float = 0.2) -> A: ...
    def crossover(self, first: A, second: A, rng: random.Random) -> A: ...
    def neighbours(self, architecture: A) -> Iterator[A]: ...
    def parse(self, text: str) -> A: ...
    def format(self, architecture: A) -> str: ...
    def to_json(self, architecture: A) -> dict[str, Any]: ...
    def from_json(self, data: Mapping[str, Any]) -> A: ...
    def id(self, architecture: A) -> str: ...
    def parameters(self) -> tuple[Parameter, ...]: ...
    def encode(self, architecture: A) -> Values: ...
    def decode(self, values: Values) -> A: ...
    def param_space(self) -> dict[str, Any]: ...
    def suggest(self, trial: Suggests) -> A: ...
    def cost(self, architecture: A, image_size: int | None = None, classes: int | None = None) -> Cost: ...
    def costs(self, architectures: list[A], image_size: int | None = None, classes: int | None = None) -> Costs: ...


def content_id(space_name: str, text: str) -> str:
    """Twelve hexadecimal digits that name an architecture in caches, seeds, tables and files.

    `text` must be canonical, so that two spellings of one network get one id.
    """
    return hashlib.sha256(f"{space_name}\n{text}".encode()).hexdigest()[:12]


def number_text(value: float) -> str:
    """The one text of a number: without a point where it is whole, and no digit too many.

    >>> number_text(0.25), number_text(4.0)
    ('0.25', '4')
    """
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))
