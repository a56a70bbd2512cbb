"""The interface of all search spaces, and what they have in common."""

# ruff: noqa: D102 - the spaces themselves document their methods
import dataclasses
import hashlib
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Generic, Protocol, Self, TypeVar, cast

from spaces.cost import Cost, Costs
from spaces.errors import SpaceError
from spaces.parameters import Given, Parameter, Suggests, Values, suggest_values, tune_space
from spaces.tools.json_form import Json, as_object, built, plain

A = TypeVar("A")

JSON_VERSION = 1


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


class Space(Protocol[A]):
    """A finite set of members of type `A` that can be counted, drawn from, walked and priced.

    Every operator returns a member. `A` is frozen, hashable and canonical: two members are equal exactly when they
    build the same network. `rank` and `unrank` are inverse bijections between the members and `range(count())`.

    A space is a frozen dataclass. `family` names what kind it is, `declaration` holds all of it as JSON (its inverse is
    `spaces.declarations.space_from`), and `for_data` is the same space for other images. `of_architectures` says
    whether members are architectures, which can be built as they are; hyperparameters, and architectures joined with
    some, are not. Where the kind of the members is not known, a space is a `Space[object]`: it takes back the members
    that it gave.
    """

    family: ClassVar[str]
    of_architectures: ClassVar[bool]
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]

    @property
    def name(self) -> str: ...
    @property
    def image_size(self) -> int: ...
    @property
    def classes(self) -> int: ...
    @property
    def channels(self) -> int: ...
    def declaration(self) -> dict[str, Json]: ...
    @classmethod
    def from_declaration(cls, fields: Mapping[str, Json]) -> Self: ...
    def for_data(
        self, image_size: int | None = None, classes: int | None = None, channels: int | None = None
    ) -> "Space[A]": ...
    def genes(self) -> Mapping[str, tuple[int | float | str, ...]]: ...
    def count(self) -> int: ...
    def split(self, member: A) -> "Candidate": ...
    def contains(self, member: A) -> Membership: ...
    def require(self, member: A) -> A: ...
    def rank(self, member: A) -> int: ...
    def unrank(self, index: int) -> A: ...
    def smallest(self) -> A: ...
    def largest(self) -> A: ...
    def sample(self, rng: random.Random) -> A: ...
    def mutate(self, member: A, rng: random.Random, probability: float = 0.2) -> A: ...
    def crossover(self, first: A, second: A, rng: random.Random) -> A: ...
    def neighbours(self, member: A) -> Iterator[A]: ...
    def parse(self, text: str) -> A: ...
    def format(self, member: A) -> str: ...
    def to_json(self, member: A) -> dict[str, Json]: ...
    def from_json(self, data: Json) -> A: ...
    def id(self, member: A) -> str: ...
    def parameters(self) -> tuple[Parameter, ...]: ...
    def encode(self, member: A) -> Values: ...
    def decode(self, values: Given) -> A: ...
    def param_space(self) -> dict[str, object]: ...
    def suggest(self, trial: Suggests) -> A: ...
    def cost(self, member: A, image_size: int | None = None, classes: int | None = None) -> Cost: ...
    def costs(self, members: list[A], image_size: int | None = None, classes: int | None = None) -> Costs: ...
    @property
    def network_options(self) -> Mapping[str, str]: ...
    def with_binariser(self, binariser: str) -> "Space[A]": ...
    @property
    def uniform_ratios(self) -> tuple[float, ...]: ...
    def uniform(self, ratio: float) -> A: ...
    def full_precision_cost(self, member: A) -> Cost: ...
    def papers_ops(self, member: A) -> float: ...


@dataclass(frozen=True)
class Candidate:
    """A member taken apart into what is built and what trains it: an architecture in its own space, and hyperparameters
    by name, none where the member has none. A `binariser` among them is already that of the space."""

    space: Space[object]
    architecture: object
    hyperparameters: Mapping[str, int | float | str]

    def cost(self) -> dict[str, float]:
        """What it costs, as metrics."""
        return self.space.cost(self.architecture).metrics()

    def full_precision_cost(self) -> dict[str, float]:
        """What its full-precision twin costs, as metrics."""
        return self.space.full_precision_cost(self.architecture).metrics()


class BaseSpace(ABC, Generic[A]):
    """The part of `Space` that follows from the rest. A subclass is a frozen dataclass; its members print as their text
    form."""

    family: ClassVar[str]
    of_architectures: ClassVar[bool] = True
    declared_by: ClassVar[tuple[str, ...]] = ()  # fields that only declare a space, the main one first (`SpaceConfig`)
    __dataclass_fields__: ClassVar[dict[str, dataclasses.Field[object]]]
    name: str

    @abstractmethod
    def count(self) -> int:
        """How many members there are, exactly."""

    @abstractmethod
    def rank(self, member: A) -> int:
        """The place of a member, from 0 to `count() - 1`."""

    @abstractmethod
    def _unrank(self, index: int) -> A:
        """The member at a place that exists."""

    @abstractmethod
    def objections(self, member: A) -> Iterator[str]:
        """Every reason why something is not a member."""

    @abstractmethod
    def neighbours(self, member: A) -> Iterator[A]:
        """Every member that differs by one step."""

    @abstractmethod
    def _redrawn(self, member: A, rng: random.Random, probability: float) -> A:
        """A member, perhaps the same, with every choice drawn again with `probability`."""

    @abstractmethod
    def _to_json(self, member: A) -> dict[str, Json]:
        """The fields of the JSON form after version and space."""

    @abstractmethod
    def _from_json(self, data: Mapping[str, Json]) -> A:
        """The inverse of `_to_json`; raises `KeyError` or `TypeError` for fields that are missing or wrong."""

    @abstractmethod
    def parameters(self) -> tuple[Parameter, ...]:
        """The space as independent parameters, for Tune and Optuna."""

    @abstractmethod
    def decode(self, values: Given) -> A:
        """The member that a setting of `parameters()` stands for: real values, as Python, numpy, pandas or JSON have
        them, other names being ignored."""

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # caches are not pickled

    def declaration(self) -> dict[str, Json]:
        """Every field as JSON, with the family; the inverse of `spaces.declarations.space_from`."""
        fields: dict[str, object] = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.init}
        written = {
            name: value.declaration() if isinstance(value, BaseSpace) else plain(value)
            for name, value in fields.items()
        }
        return {"family": self.family, **written}

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Json]) -> Self:
        """The space of the fields of a declaration, its family left out."""
        return built(cls, fields)

    def for_data(self, image_size: int | None = None, classes: int | None = None, channels: int | None = None) -> Self:
        """The same space for images of another size, number of classes or number of channels; None leaves it."""
        wanted = {"image_size": image_size, "classes": classes, "channels": channels}
        changes = {key: value for key, value in wanted.items() if value is not None and value != getattr(self, key)}
        return dataclasses.replace(self, **changes) if changes else self

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

    def full_precision_cost(self, member: A) -> Cost:
        """What the full-precision twin of a member costs; raises `SpaceError` where none is built."""
        raise SpaceError(f"networks of space {self.name!r} have no full-precision twin")

    def papers_ops(self, member: A) -> float:
        """Equivalent operations as the paper that the networks are of counts them; most count as `cost` does."""
        return cast("Space[A]", self).cost(member).ops

    def unrank(self, index: int) -> A:
        """The member at a place; the inverse of `rank`. Raises `IndexError` outside `range(count())`."""
        if not 0 <= index < self.count():
            raise IndexError(f"space {self.name!r} has {self.count()} members, counted from 0; got place {index}")
        return self._unrank(index)

    def sample(self, rng: random.Random) -> A:
        """A member, exactly uniform over the space (not gene by gene, which is uniform in few spaces)."""
        return self._unrank(rng.randrange(self.count()))

    def mutate(self, member: A, rng: random.Random, probability: float = 0.2) -> A:
        """Another member: every choice is drawn again with `probability`; if all come out as they were, a neighbour.

        Differs from its parent unless the space has one member only.
        """
        mutant = self._redrawn(self.require(member), rng, probability)
        if mutant != member or self.count() == 1:
            return mutant
        near = list(self.neighbours(member))
        if near:
            return rng.choice(near)
        place = rng.randrange(self.count() - 1)  # no neighbours: any other member
        return self.unrank(place + (place >= self.rank(member)))

    def split(self, member: A) -> Candidate:
        """What a member asks to be built and trained. Raises `SpaceError` for hyperparameters alone."""
        return Candidate(cast("Space[object]", self), member, {})

    def contains(self, member: A) -> Membership:
        """Whether something is a member and, where not, the first reason why."""
        return Membership(next(self.objections(member), None))

    def require(self, member: A) -> A:
        """The member itself; raises `SpaceError` with the reason for what is not one."""
        membership = self.contains(member)
        if not membership:
            raise SpaceError(f"{str(member)!r} is not in space {self.name!r}: {membership.reason}")
        return member

    def format(self, member: A) -> str:
        """The text form."""
        return str(member)

    def id(self, member: A) -> str:
        """The content id of a member: twelve hexadecimal digits made of the space's name and the text form."""
        return content_id(self.name, self.format(member))

    def to_json(self, member: A) -> dict[str, Json]:
        """The JSON form, with the version of the form, the space and what the member is made of."""
        return {"version": JSON_VERSION, "space": self.name, **self._to_json(member)}

    def from_json(self, data: Json) -> A:
        """Read the JSON form of a member; raises `SpaceError` where it is not one."""
        try:
            fields = as_object(data)
            version, space = fields["version"], fields["space"]
            if version == JSON_VERSION and space == self.name:
                return self.require(self._from_json(fields))
        except KeyError as error:
            raise SpaceError(f"a member of space {self.name!r} in JSON needs the field {error}") from error
        except (AttributeError, OverflowError, TypeError) as error:
            raise SpaceError(f"this is not the JSON form of a member of space {self.name!r}: {error}") from error
        raise SpaceError(
            f"expected version {JSON_VERSION} of a member of space {self.name!r}; got version {version!r} of space "
            f"{space!r}"
        )

    def param_space(self) -> dict[str, object]:
        """The space for Ray Tune, with real values; `decode` turns a sampled configuration into a member.

        Where several settings stand for one member (NAS-BNN, cells, hyperparameters with conditions), settings drawn
        evenly are not members drawn evenly, as `sample` draws them; see `parameters`.
        """
        return tune_space(self.parameters())

    def suggest(self, trial: Suggests) -> A:
        """A member, from an Optuna trial, whose parameters are real values; as uneven as `param_space`."""
        return self.decode(suggest_values(self.parameters(), trial))


def content_id(space_name: str, text: str) -> str:
    """Twelve hexadecimal digits that name a member in caches, seeds, tables and files.

    `text` must be canonical, so that two spellings of one network get one id.
    """
    return hashlib.sha256(f"{space_name}\n{text}".encode()).hexdigest()[:12]


def number_text(value: float) -> str:
    """The one text of a number: without a point where it is whole, and no digit too many.

    >>> number_text(0.25), number_text(4.0)
    ('0.25', '4')
    """
    return str(int(value)) if math.isfinite(value) and value == int(value) else repr(float(value))


def nearest_multiple(value: int, of: int) -> int:
    """The multiple of a number that is nearest to a value, the larger of two, and at least one time the number.

    >>> nearest_multiple(90, 16), nearest_multiple(8, 16)
    (96, 16)
    """
    return max(1, (2 * value + of) // (2 * of)) * of


def halvings_kept(image_size: int, own_size: int, halvings: int) -> int:
    """How many of a space's halvings are kept at another image size, so that the last map has four pixels, or as many
    as it has at the space's own size."""
    least = min(4, own_size >> halvings)
    while halvings and image_size >> halvings < least:
        halvings -= 1
    return halvings


def ascending(values: Iterable[float]) -> bool:
    """Whether every value is greater than the one before it.

    >>> ascending((1, 2, 4)), ascending((1, 1))
    (True, False)
    """
    return all(one < other for one, other in pairwise(values))
