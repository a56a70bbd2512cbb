"""Which widths exist: a base network, the ratios each of its layers may have, membership, operators and costs."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Self

from spaces.cost import Cost, Costs, in_full_precision, itemise, total
from spaces.product import ProductSpace
from spaces.tools.json_form import Json, as_list
from spaces.width.architecture import Widths, channels, parse
from spaces.width.declaration import WidthDeclaration
from spaces.width.numberwise import numberwise
from spaces.width.plan import LayerPlan, plan
from spaces.width.pricing import prices


@dataclass(frozen=True)
class WidthSpace(WidthDeclaration, ProductSpace[Widths, float]):
    """Every network that a base network becomes when each gene takes one of the ratios ("Searching for accurate binary
    neural architectures", equation 2).

    `base` is a name of `spaces.width.BASES`, `binariser` one of `BINARISERS`. A layer has its base channels times the
    ratio, rounded half up to a whole number, at least one. Ratios are ascending and give different widths: two members
    are two networks.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "width"
    declared_by: ClassVar[tuple[str, ...]] = ("base",)

    # Networks ---------------------------------------------------------------------------------------------------------

    def layers(self, member: Widths) -> tuple[LayerPlan, ...]:
        """Every layer of a member's network, from input to output."""
        ratios = dict(zip(self.network.genes, self.require(member).ratios, strict=True))
        widths = {c.name: channels(ratios[c.gene], c.channels) for c in self.network.convolutions}
        return plan(self.network, widths, self.image_size, self.channels, self.classes)

    @property
    def network_options(self) -> Mapping[str, str]:
        """The binariser."""
        return {"binariser": self.binariser}

    def with_binariser(self, binariser: str) -> Self:
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

    def genes(self) -> dict[str, tuple[float, ...]]:
        """Every choice there is by name: the ratios, for each gene of the base network."""
        return {f"{gene}_ratio": self.ratios for gene in self.network.genes}

    def _values(self, member: Widths) -> tuple[float, ...]:
        return member.ratios

    def _member(self, values: tuple[float, ...]) -> Widths:
        return Widths(values)

    def smallest(self) -> Widths:
        """The member with the fewest operations: the least ratio everywhere."""
        return self.uniform(self.ratios[0])

    def largest(self) -> Widths:
        """The member with the most operations: the greatest ratio everywhere."""
        return self.uniform(self.ratios[-1])

    # Text and JSON ----------------------------------------------------------------------------------------------------

    def parse(self, text: str) -> Widths:
        """Read the text form of a member, such as `1-0.5-2-4-0.25-1`: the ratios in the order in which an image meets
        them. Raises `SpaceError` with the reason for anything else."""
        return self.require(parse(text))

    def _to_json(self, member: Widths) -> dict[str, Json]:
        return {"ratios": list(member.ratios)}

    def _from_json(self, data: Mapping[str, Json]) -> Widths:
        return Widths(tuple(map(_number, as_list(data["ratios"]))))

    # Cost -------------------------------------------------------------------------------------------------------------

    def cost(self, member: Widths, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member costs, in all and per layer, at the space's own image size and classes or at others."""
        return itemise(prices(self.for_data(image_size, classes), [self.require(member)]))

    def costs(self, members: list[Widths], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What many members cost, in one vectorised call (their membership is not checked)."""
        return total(prices(self.for_data(image_size, classes), members))

    def full_precision_cost(self, member: Widths, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member would cost if it computed and stored everything in float (tables 1 and 2)."""
        layers = prices(self.for_data(image_size, classes), [self.require(member)])
        return itemise([in_full_precision(layer) for layer in layers])

    def papers_ops(self, member: Widths) -> float:
        """Equivalent operations as the paper counts them: with those done number by number for Real-to-Binary."""
        more = sum(map(numberwise, self.layers(member))) if self.network.numberwise else 0
        return self.cost(member).ops + more

    def base_full_precision_cost(self, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What the base network costs in float at ratio 1, against which the paper measures speedups."""
        space = replace(self, ratios=(1.0,))
        return space.full_precision_cost(space.uniform(1), image_size, classes)


def _number(value: Json) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"expected a number, got {value!r}")
    return float(value)
