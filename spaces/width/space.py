"""Which widths exist: a base network, the ratios each of its layers may have, membership, operators and costs."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from spaces.cost import Cost, Costs, in_full_precision, itemise, total
from spaces.errors import SpaceError
from spaces.parameters import Integer, Values
from spaces.product import Indices, Product, ProductSpace, read_index
from spaces.width import declaration as checks
from spaces.width import pricing
from spaces.width.architecture import Widths, channels, parse
from spaces.width.bases import BASES, BaseNetwork
from spaces.width.plan import LayerPlan, plan


@dataclass(frozen=True)
class WidthSpace(ProductSpace[Widths]):
    """Every network that a base network becomes when each gene takes one of the ratios ("Searching for accurate binary
    neural architectures", equation 2).

    `base` is a name of `spaces.width.BASES`, `binariser` one of `BINARISERS`. A layer has its base channels times the
    ratio, rounded half up to a whole number, at least one. Ratios are ascending and tell widths apart: two members are
    two networks.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "width"
    declared_by: ClassVar[tuple[str, ...]] = ("base",)

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

    @property
    def network_options(self) -> Mapping[str, str]:
        """The binariser."""
        return {"binariser": self.binariser}

    def with_binariser(self, binariser: str) -> "WidthSpace":
        """The same space with another binariser."""
        return replace(self, binariser=binariser)

    @property
    def uniform_ratios(self) -> tuple[float, ...]:
        """The ratios of the space."""
        return self.ratios

    def uniform(self, ratio: float) -> Widths:
        """The member with one ratio everywhere; raises `SpaceError` where it is not one of the ratios."""
        return self.require(Widths((ratio,) * len(self.network.genes)))

    # Members ----------------------------------------------------------------------------------------------------------

    def _lists(self) -> Product:
        return Product((len(self.ratios),) * len(self.network.genes))

    def _indices(self, architecture: Widths) -> Indices:
        return tuple(self.ratios.index(ratio) for ratio in self.require(architecture).ratios)

    def _member(self, indices: Indices) -> Widths:
        return Widths(tuple(self.ratios[index] for index in indices))

    def _objections(self, architecture: Widths) -> Iterator[str]:
        return checks.objections(self, architecture)

    def smallest(self) -> Widths:
        """The member with the fewest operations: the least ratio everywhere."""
        return self.uniform(self.ratios[0])

    def largest(self) -> Widths:
        """The member with the most operations: the greatest ratio everywhere."""
        return self.uniform(self.ratios[-1])

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Widths:
        """Read the text form of a member, such as `1-0.5-2-4-0.25-1`: the ratios in the order in which an image meets
        them. Raises `SpaceError` with the reason where it is none."""
        return self.require(parse(text))

    def _to_json(self, architecture: Widths) -> dict[str, Any]:
        return {"ratios": list(architecture.ratios)}

    def _from_json(self, data: Mapping[str, Any]) -> Widths:
        return Widths(tuple(number(ratio) for ratio in data["ratios"]))

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
        return self._member(tuple(read_index(name, values, len(self.ratios)) for name in self._names))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, architecture: Widths, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member costs, in all and per layer, at the space's own image size and classes or at others."""
        return itemise(pricing.prices(self.for_data(image_size, classes), [self.require(architecture)]))

    def costs(self, architectures: list[Widths], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What many members cost, in one vectorised call (their membership is not checked)."""
        return total(pricing.prices(self.for_data(image_size, classes), architectures))

    def full_precision_cost(
        self, architecture: Widths, image_size: int | None = None, classes: int | None = None
    ) -> Cost:
        """What a member's twin would cost that computes and stores everything in float (tables 1 and 2)."""
        layers = pricing.prices(self.for_data(image_size, classes), [self.require(architecture)])
        return itemise([in_full_precision(layer) for layer in layers])

    def base_full_precision_cost(self, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What the base network costs in float at ratio 1, which the papers measure speedups against."""
        space = replace(self, ratios=(1.0,))
        return space.full_precision_cost(space.uniform(1), image_size, classes)


def number(value: object) -> float:
    """A number of JSON; raises `TypeError` for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)
