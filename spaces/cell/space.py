"""Which cell architectures exist: the search space of BNAS as data, membership, operators and costs."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from spaces.cell import declaration as checks
from spaces.cell import operators, pricing
from spaces.cell.architecture import LAYER_TYPES, Edge, Genotype, parse, read_cell
from spaces.cell.declaration import Template
from spaces.cell.encoding import CELLS, Encoding
from spaces.cell.plan import LayerPlan, NetworkPlan
from spaces.cell.ranking import CellRanking, cell_ranking
from spaces.cell.template import network_plan
from spaces.cost import Cost, Costs, itemise
from spaces.errors import SpaceError
from spaces.parameters import Choice, Values
from spaces.space import BaseSpace


@dataclass(frozen=True)
class CellSpace(BaseSpace[Genotype]):
    """Every network that repeats a normal and a reduction cell of binary layers (BNAS v2, table 1 and figure 2b).

    A cell has `nodes` intermediate nodes, each the sum of two layers that read two different earlier states. Two
    genotypes are one member where their cells differ by the order of nodes or of a node's edges alone. An edge of
    Zeroise keeps the state that it reads as a gene, though that state does not matter. (Strictly, the order of nodes
    also says which of them are added up where a skip leads from a reduction cell to a normal one; the network is built
    in the canonical order, so that a member is one network.)

    The network has `cells` cells of `width` channels a node, twice as many in and behind each of the two reduction
    cells at one and two thirds of the depth. The stem of the template "cifar" is one float 3x3 convolution to 3 x width
    channels; that of "imagenet" are three of stride 2, to width / 2, width and width channels, and the first cell reads
    the outputs of the last two. Each cell brings its two inputs to its width by binary 1x1 convolutions, or 3x3 of
    stride 2 for an input before last that is twice as large. Its output is the concatenation of its nodes, and with
    `inter_cell_skip` the output of the cell before is added: behind batch norm and a float 2x2 convolution of stride 2
    in reduction cells, as it is in others; the first cell has no skip. `groups` are those of the binary convolutions on
    edges (v2). `dataclasses.replace(space, cells=8, width=16)` has the same members in a smaller network.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "cell"
    declared_by: ClassVar[tuple[str, ...]] = ("template",)

    name: str
    template: Template
    cells: int
    width: int
    image_size: int
    classes: int
    channels: int = 3
    layer_types: tuple[str, ...] = LAYER_TYPES
    nodes: int = 4
    groups: int = 1
    inter_cell_skip: bool = True

    def __post_init__(self) -> None:
        types = tuple(self.layer_types)
        if all(layer in LAYER_TYPES for layer in types):
            types = tuple(sorted(types, key=LAYER_TYPES.index))  # two spaces with the same types are equal
        object.__setattr__(self, "layer_types", types)
        problems = list(checks.problems(self))
        if problems:
            raise SpaceError(f"space {self.name!r}: " + "; ".join(problems))

    # Size and order ---------------------------------------------------------------------------------------------------

    @cached_property
    def _ranking(self) -> CellRanking:
        return cell_ranking(self.layer_types, self.nodes)

    def count(self) -> int:
        """How many genotypes the space holds, exactly: the square of the number of cells."""
        return self._ranking.count**2

    def rank(self, architecture: Genotype) -> int:
        """The place of a member, from 0 to `count() - 1`."""
        genotype = self.require(architecture)
        return self._ranking.rank(genotype.normal) * self._ranking.count + self._ranking.rank(genotype.reduce)

    def _unrank(self, index: int) -> Genotype:
        normal, reduce = divmod(index, self._ranking.count)
        return Genotype(self._ranking.unrank(normal), self._ranking.unrank(reduce))

    def sample(self, rng: random.Random) -> Genotype:
        """A member, exactly uniform over the space (not gene by gene, which favours cells without symmetry)."""
        return self._unrank(rng.randrange(self.count()))

    # Membership -------------------------------------------------------------------------------------------------------

    def _objections(self, architecture: Genotype) -> Iterator[str]:
        return checks.objections(self, architecture)

    def smallest(self) -> Genotype:
        """A member with the fewest operations: the cheapest layer type everywhere."""
        return self._uniform_by_operations()[0]

    def largest(self) -> Genotype:
        """A member with the most operations: the dearest layer type everywhere."""
        return self._uniform_by_operations()[-1]

    def _uniform_by_operations(self) -> list[Genotype]:
        """The genotypes with one layer type everywhere, from few operations to many."""
        genotypes = [pricing.uniform(layer, self.nodes) for layer in self.layer_types]
        order = self.costs(genotypes).ops.argsort(kind="stable")
        return [genotypes[place] for place in order]

    # Operators --------------------------------------------------------------------------------------------------------

    def mutate(self, architecture: Genotype, rng: random.Random, probability: float = 0.2) -> Genotype:
        """Another member: the states that each node reads, and each edge's layer type, are drawn again with
        `probability`. Differs from its parent unless the space has one member only."""
        return operators.mutate(self, self.require(architecture), rng, probability)

    def crossover(self, first: Genotype, second: Genotype, rng: random.Random) -> Genotype:
        """A member whose nodes, with both edges, come from either parent, place by place in canonical order."""
        return operators.crossover(self.require(first), self.require(second), rng)

    def neighbours(self, architecture: Genotype) -> Iterator[Genotype]:
        """Every other member with one edge of another layer type or from another state, each once."""
        return operators.neighbours(self, self.require(architecture))

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Genotype:
        """Read the text form of a member; raises `SpaceError` with the reason where it is none."""
        return self.require(parse(text))

    def _to_json(self, architecture: Genotype) -> dict[str, Any]:
        """Under the name of each cell, of each node, the layer type and source of both edges."""
        return {
            name: [[edge._asdict() for edge in node] for node in cell.nodes]
            for name, cell in zip(CELLS, (architecture.normal, architecture.reduce), strict=True)
        }

    def _from_json(self, data: Mapping[str, Any]) -> Genotype:
        cells = {name: [[_edge_from_json(edge) for edge in node] for node in data[name]] for name in CELLS}
        return Genotype(*(read_cell(name, nodes) for name, nodes in cells.items()))

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self.layer_types, self.nodes)

    def genes(self) -> dict[str, tuple[str, ...]]:
        """Every choice there is by name: of each node the states that it reads, and its two layer types."""
        return dict(self._encoding.genes)

    def parameters(self) -> tuple[Choice, ...]:
        """The space as independent choices without order, for Tune and Optuna; single choices are left out.

        Several settings stand for one genotype, those that differ by the order of nodes; its id tells repeats.
        """
        return self._encoding.parameters

    def encode(self, architecture: Genotype) -> dict[str, str]:
        """One setting of `parameters()` that decodes to this member."""
        return self._encoding.encode(self.require(architecture))

    def decode(self, values: Values) -> Genotype:
        """The member that a setting of `parameters()` stands for; every setting stands for one."""
        return self._encoding.decode(values)

    # Network and cost -------------------------------------------------------------------------------------------------

    def plan(self, architecture: Genotype) -> NetworkPlan:
        """The network of a member, cell by cell: what is built, and what is counted."""
        return network_plan(self, self.require(architecture))

    def layers(self, architecture: Genotype) -> tuple[LayerPlan, ...]:
        """Every layer of the network of a member, from input to output."""
        return self.plan(architecture).layers()

    def cost(self, architecture: Genotype, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member costs, in all and per layer, at the space's own image size and classes or at others.

        Layers without a cost (Zeroise and pools) are left out. A layer that only feeds a Zeroise edge is built, and so
        it is counted.
        """
        return itemise(pricing.prices(self.for_data(image_size, classes).plan(architecture)))

    def costs(self, architectures: list[Genotype], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What many members cost, in one vectorised call (their membership is not checked)."""
        return self.for_data(image_size, classes)._price_table.costs(architectures)

    @cached_property
    def _price_table(self) -> pricing.PriceTable:
        return pricing.PriceTable(self)

    def papers_ops(self, architecture: Genotype) -> float:
        """Equivalent operations as the paper counts them: without the float convolutions of the reduction cells' skips.

        `cost` counts these too and is the truth: at 224 pixels they are more than all the rest.
        """
        return self.cost(architecture).ops - pricing.skip_operations(self.plan(architecture))


def _edge_from_json(data: Mapping[str, Any]) -> Edge:
    edge = Edge(**data)
    if type(edge.layer) is not str or type(edge.source) is not int:
        raise TypeError(f"expected the name of a layer type and the number of a state, got {dict(data)!r}")
    return edge
