"""Which widths exist: a base network, the ratios each of its layers may have, membership, operators and costs."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from spaces.cost import Cost, Costs, in_full_precision, itemise, total
from spaces.declared import declared, fitted
from spaces.parameters import Integer, Suggests, Values, suggest_values, tune_space
from spaces.product import Indices, Product
from spaces.space import Membership, SpaceError, content_id
from spaces.width import checks, pricing
from spaces.width.architecture import Widths, channels, format_widths, parse
from spaces.width.bases import BASES, BaseNetwork
from spaces.width.plan import LayerPlan, plan

JSON_VERSION = 1


@dataclass(frozen=True)
class WidthSpace:
    """Every network that a base network becomes when each gene takes one of the ratios ("Searching for accurate binary
    neural architectures", equation 2).

    `base` is a name of `spaces.width.BASES`, `binariser` one of `BINARISERS`. A layer has its base channels times the
    ratio, rounded half up to a whole number, at least one. Ratios are ascending and tell widths apart: two members are
    two networks.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "width"

    name: str
    base: str
    ratios: tuple[float, ...] = (0.25, 0.5, 1, 2, 3, 4)
    binariser: str = "dorefa"
    image_size: int = 32
    classes: int = 10
    channels: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", tuple(self.ratios))
        problems = list(checks.problems(self))
        if problems:
            raise SpaceError(f"space {self.name!r}: " + "; ".join(problems))
        object.__setattr__(self, "ratios", tuple(map(float, self.ratios)))

    def __getstate__(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__dataclass_fields__}  # caches cannot be pickled

    def declaration(self) -> dict[str, Any]:
        """Every field as JSON, with the family; the inverse of `spaces.declared.space_from`."""
        return declared(self)

    @classmethod
    def from_declaration(cls, fields: Mapping[str, Any]) -> "WidthSpace":
        """The space of the fields of a declaration, its family left out."""
        return cls(**fields)

    def for_data(
        self, image_size: int | None = None, classes: int | None = None, channels: int | None = None
    ) -> "WidthSpace":
        """The same space for images of another size, number of classes or number of channels; None leaves it."""
        return fitted(self, image_size, classes, channels)

    # What is built ----------------------------------------------------------------------------------------------------

    @property
    def network(self) -> BaseNetwork:
        """The base network itself."""
        return BASES[self.base]

    def layers(self, architecture: Widths) -> tuple[LayerPlan, ...]:
        """Every layer of a member's network, from input to output."""
        ratios = dict(zip(self.network.genes, self.require(architecture).ratios, strict=True))
        widths = {c.name: channels(ratios[c.gene], c.channels) for c in self.network.convolutions}
        return plan(self.network, widths, self.image_size, self.channels, self.classes)

    def uniform(self, ratio: float) -> Widths:
        """The member with one ratio everywhere; raises `SpaceError` where it is not one of the ratios."""
        return self.require(Widths((ratio,) * len(self.network.genes)))

    # Size and order ---------------------------------------------------------------------------------------------------

    @cached_property
    def _product(self) -> Product:
        return Product((len(self.ratios),) * len(self.network.genes))

    def _indices(self, architecture: Widths) -> Indices:
        return tuple(self.ratios.index(ratio) for ratio in self.require(architecture).ratios)

    def _member(self, indices: Indices) -> Widths:
        return Widths(tuple(self.ratios[index] for index in indices))

    def count(self) -> int:
        """How many architectures the space holds, exactly."""
        return self._product.count

    def rank(self, architecture: Widths) -> int:
        """The place of a member in lexicographic order, from 0 to `count() - 1`."""
        return self._product.rank(self._indices(architecture))

    def unrank(self, index: int) -> Widths:
        """The member at a place; the inverse of `rank`. Raises `IndexError` outside `range(count())`."""
        if not 0 <= index < self.count():
            raise IndexError(f"space {self.name!r} has {self.count()} architectures; there is none at {index}")
        return self._member(self._product.unrank(index))

    def sample(self, rng: random.Random) -> Widths:
        """A member, exactly uniform over the space."""
        return self._member(self._product.sample(rng))

    # Membership -------------------------------------------------------------------------------------------------------

    def contains(self, architecture: Widths) -> Membership:
        """Whether the architecture belongs to the space and, where not, the first reason why."""
        return Membership(next(checks.objections(self, architecture), None))

    def require(self, architecture: Widths) -> Widths:
        """The architecture itself where it is a member; raises `SpaceError` with the reason where not."""
        membership = self.contains(architecture)
        if not membership:
            raise SpaceError(f"{format_widths(architecture)!r} is not in space {self.name!r}: {membership.reason}")
        return architecture

    def smallest(self) -> Widths:
        """The member with the fewest operations: the least ratio everywhere."""
        return self.uniform(self.ratios[0])

    def largest(self) -> Widths:
        """The member with the most operations: the greatest ratio everywhere."""
        return self.uniform(self.ratios[-1])

    # Operators --------------------------------------------------------------------------------------------------------

    def mutate(self, architecture: Widths, rng: random.Random, probability: float = 0.2) -> Widths:
        """Another member: every ratio is drawn again with `probability`. Differs from its parent unless the space has
        one member only."""
        return self._member(self._product.mutate(self._indices(architecture), rng, probability))

    def crossover(self, first: Widths, second: Widths, rng: random.Random) -> Widths:
        """A member whose every ratio comes from either parent."""
        return self._member(self._product.crossover(self._indices(first), self._indices(second), rng))

    def neighbours(self, architecture: Widths) -> Iterator[Widths]:
        """Every member that differs by one ratio."""
        return map(self._member, self._product.neighbours(self._indices(architecture)))

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Widths:
        """Read the text form of a member; raises `SpaceError` with the reason where it is none."""
        return self.require(parse(text))

    def format(self, architecture: Widths) -> str:
        """The text form, such as `1-0.5-2-4-0.25-1`: the ratios in the order in which an image meets them."""
        return format_widths(architecture)

    def to_json(self, architecture: Widths) -> dict[str, Any]:
        """The JSON form, with the version of the form, the space and the ratios."""
        return {"version": JSON_VERSION, "space": self.name, "ratios": list(architecture.ratios)}

    def from_json(self, data: Mapping[str, Any]) -> Widths:
        """Read the JSON form of a member; raises `SpaceError` where it is not one."""
        try:
            version, space = data["version"], data["space"]
            if version == JSON_VERSION and space == self.name:
                return self.require(Widths(tuple(checks.number(ratio) for ratio in data["ratios"])))
        except KeyError as error:
            raise SpaceError(f"an architecture of space {self.name!r} in JSON needs the field {error}") from error
        except (AttributeError, OverflowError, TypeError) as error:
            raise SpaceError(f"this is not the JSON form of an architecture of space {self.name!r}: {error}") from error
        raise SpaceError(
            f"expected version {JSON_VERSION} of an architecture of space {self.name!r}; got version {version!r} of "
            f"space {space!r}"
        )

    def id(self, architecture: Widths) -> str:
        """The content id of a member: twelve hexadecimal digits made of the space's name and the text form."""
        return content_id(self.name, format_widths(architecture))

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(f"{gene}_ratio" for gene in self.network.genes)

    def genes(self) -> dict[str, tuple[float, ...]]:
        """Every choice there is by name."""
        return dict.fromkeys(self._names, self.ratios)

    def parameters(self) -> tuple[Integer, ...]:
        """The space as independent integers (indices of ratios), for Tune and Optuna; none where there is one ratio."""
        return tuple(Integer(name, 0, len(self.ratios) - 1) for name in self._names if len(self.ratios) > 1)

    def encode(self, architecture: Widths) -> dict[str, int]:
        """The setting of `parameters()` that stands for this member."""
        indices = self._indices(architecture)
        return dict(zip(self._names, indices, strict=True)) if len(self.ratios) > 1 else {}

    def decode(self, values: Values) -> Widths:
        """The member that a setting of `parameters()` stands for. Raises `SpaceError` for a missing or impossible
        index."""
        return self._member(tuple(checks.index(name, values, len(self.ratios)) for name in self._names))

    def param_space(self) -> dict[str, Any]:
        """The space for Ray Tune; `decode` turns a sampled configuration into a member."""
        return tune_space(self.parameters())

    def suggest(self, trial: Suggests) -> Widths:
        """A member, from an Optuna trial."""
        return self.decode(suggest_values(self.parameters(), trial))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, architecture: Widths, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member costs, in all and per layer, at the space's own image size and classes or at others."""
        return itemise(pricing.prices(fitted(self, image_size, classes), [self.require(architecture)]))

    def costs(self, architectures: list[Widths], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What many members cost, in one vectorised call (their membership is not checked)."""
        return total(pricing.prices(fitted(self, image_size, classes), architectures))

    def full_precision_cost(
        self, architecture: Widths, image_size: int | None = None, classes: int | None = None
    ) -> Cost:
        """What a member's twin would cost that computes and stores everything in float (tables 1 and 2)."""
        layers = pricing.prices(fitted(self, image_size, classes), [self.require(architecture)])
        return itemise([in_full_precision(layer) for layer in layers])
