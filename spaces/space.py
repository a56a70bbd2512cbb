"""What every search space owns, and the words it uses to refuse."""

# ruff: noqa: D102 - the spaces themselves document their methods
import dataclasses
import hashlib
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar, cast

from spaces.cost import Cost, Costs
from spaces.errors import SpaceError
from spaces.parameters import Parameter, Suggests, Values, suggest_values, tune_space


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
    `spaces.declarations.space_from`), and `for_data` is the same space for other images.
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
    @property
    def network_options(self) -> Mapping[str, str]: ...
    def with_binariser(self, binariser: str) -> "Space[A]": ...
    @property
    def uniform_ratios(self) -> tuple[float, ...]: ...
    def uniform(self, ratio: float) -> A: ...
    def full_precision_cost(self, architecture: A) -> Cost: ...


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


JSON_VERSION = 1


class BaseSpace(ABC, Generic[A]):
    """The part of `spaces.space.Space` that follows from the rest. A subclass is a frozen dataclass; its members print
    as their text form."""

    family: ClassVar[str]
    declared_by: ClassVar[tuple[str, ...]] = ()  # fields that only declare a space, the main one first (`SpaceConfig`)
    name: str

    @abstractmethod
    def count(self) -> int:
        """How many members there are, exactly."""

    @abstractmethod
    def _unrank(self, index: int) -> A:
        """The member at a place that exists."""

    @abstractmethod
    def _objections(self, architecture: A) -> Iterator[str]:
        """Every reason why an architecture is not in the space."""

    @abstractmethod
    def _to_json(self, architecture: A) -> dict[str, Any]:
        """The fields of the JSON form behind version and space."""

    @abstractmethod
    def _from_json(self, data: Mapping[str, Any]) -> A:
        """The inverse of `_to_json`; raises `KeyError` or `TypeError` for fields that are missing or wrong."""

    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """The space as independent parameters, for Tune and Optuna."""

    @abstractmethod
    def decode(self, values: Values) -> A:
        """The member that a setting of `parameters()` stands for."""

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in _fields(self)}  # caches cannot be pickled

    def declaration(self) -> dict[str, Any]:
        """Every field as JSON, with the family; the inverse of `spaces.declarations.space_from`."""
        return {"family": self.family} | {field.name: _plain(getattr(self, field.name)) for field in _fields(self)}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> Self:
        """The space of the fields of a declaration, its family left out."""
        return cls(**fields)

    def for_data(self, image_size: int | None = None, classes: int | None = None, channels: int | None = None) -> Self:
        """The same space for images of another size, number of classes or number of channels; None leaves it."""
        wanted = {"image_size": image_size, "classes": classes, "channels": channels}
        changes = {key: value for key, value in wanted.items() if value is not None and value != getattr(self, key)}
        return dataclasses.replace(cast("Any", self), **changes) if changes else self

    @property
    def network_options(self) -> Mapping[str, str]:
        """Options of the networks that belong to the space, such as the binariser, by name."""
        return {}

    def with_binariser(self, binariser: str) -> Self:
        """The same space with another binariser; raises `SpaceError` where there is no choice of them."""
        raise SpaceError(f"space {self.name!r} has no choice of binarisers; leave binariser out of the hyperparameters")

    @property
    def uniform_ratios(self) -> tuple[float, ...]:
        """The ratios of which every layer may have the same one (see `uniform`); none in most families."""
        return ()

    def uniform(self, ratio: float) -> A:
        """The member with one ratio everywhere, to compare with; raises `SpaceError` where there is none."""
        raise SpaceError(f"space {self.name!r} has no uniform members")

    def full_precision_cost(self, architecture: A) -> Cost:
        """What the full-precision twin of a member costs; raises `SpaceError` where none is built."""
        raise SpaceError(f"networks of space {self.name!r} have no full-precision twin")

    def unrank(self, index: int) -> A:
        """The member at a place; the inverse of `rank`. Raises `IndexError` outside `range(count())`."""
        if not 0 <= index < self.count():
            raise IndexError(f"space {self.name!r} has {self.count()} members; there is none at {index}")
        return self._unrank(index)

    def contains(self, architecture: A) -> Membership:
        """Whether the architecture belongs to the space and, where not, the first reason why."""
        return Membership(next(self._objections(architecture), None))

    def require(self, architecture: A) -> A:
        """The architecture itself where it is a member; raises `SpaceError` with the reason where not."""
        membership = self.contains(architecture)
        if not membership:
            raise SpaceError(f"{str(architecture)!r} is not in space {self.name!r}: {membership.reason}")
        return architecture

    def format(self, architecture: A) -> str:
        """The text form."""
        return str(architecture)

    def id(self, architecture: A) -> str:
        """The content id of a member: twelve hexadecimal digits made of the space's name and the text form."""
        return content_id(self.name, self.format(architecture))

    def to_json(self, architecture: A) -> dict[str, Any]:
        """The JSON form, with the version of the form, the space and what the member is made of."""
        return {"version": JSON_VERSION, "space": self.name, **self._to_json(architecture)}

    def from_json(self, data: Mapping[str, Any]) -> A:
        """Read the JSON form of a member; raises `SpaceError` where it is not one."""
        try:
            version, space = data["version"], data["space"]
            if version == JSON_VERSION and space == self.name:
                return self.require(self._from_json(data))
        except KeyError as error:
            raise SpaceError(f"a member of space {self.name!r} in JSON needs the field {error}") from error
        except (AttributeError, OverflowError, TypeError) as error:
            raise SpaceError(f"this is not the JSON form of a member of space {self.name!r}: {error}") from error
        raise SpaceError(
            f"expected version {JSON_VERSION} of a member of space {self.name!r}; got version {version!r} of space "
            f"{space!r}"
        )

    def param_space(self) -> dict[str, Any]:
        """The space for Ray Tune; `decode` turns a sampled configuration into a member."""
        return tune_space(self.parameters())

    def suggest(self, trial: Suggests) -> A:
        """A member, from an Optuna trial."""
        return self.decode(suggest_values(self.parameters(), trial))


def _fields(space: object) -> "tuple[dataclasses.Field[Any], ...]":
    return dataclasses.fields(cast("Any", space))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in cast("tuple[Any, ...]", value)]
    return value
