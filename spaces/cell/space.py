"""Which cell architectures exist: the search space of BNAS as data, membership, operators and costs."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from spaces.cell import operators, pricing
from spaces.cell.architecture import Edge, Genotype, parse, read_cell
from spaces.cell.declaration import CellDeclaration
from spaces.cell.encoding import CELLS, Encoding
from spaces.cell.plan import LayerPlan, NetworkPlan
from spaces.cell.ranking import CellRanking, cell_ranking
from spaces.cell.template import network_plan
from spaces.cost import Cost, Costs, itemise
from spaces.parameters import Choice, Given
from spaces.space import BaseSpace
from spaces.tools.json_form import Json, as_list, built


@dataclass(frozen=True)
class CellSpace(CellDeclaration, BaseSpace[Genotype]):
    """Every network that repeats a normal and a reduction cell of binary layers (BNAS v2, table 1 and figure 2b).

    A cell has `nodes` intermediate nodes, each the sum of two layers that read two different earlier states. Two
    genotypes are one member where their cells differ by the order of nodes or of a node's edges alone. A Zeroise edge
    still stores its input state, although its output is zero for any input. Node order decides which channels the skip
    between cells adds to which, so networks are built in canonical order.

    The network has `cells` cells of `width` channels per node; the width doubles at each of the two reduction cells (at
    one and two thirds of the depth) and stays doubled. The stem of the template "cifar" is one float 3x3 convolution to
    3 x width channels; that of "imagenet" is three of stride 2, to width / 2, width and width channels, and the first
    cell reads the outputs of the last two. Binary 1x1 convolutions bring the two inputs of a cell to its width; where
    the input before last is twice as large, it is a 3x3 of stride 2. The output of a cell is the concatenation of its
    nodes. With `inter_cell_skip`, the output of the cell before is added: in reduction cells after batch norm and a
    float 2x2 convolution of stride 2, in others as it is; the first cell has no skip. `groups` are those of the binary
    convolutions on edges (v2). `dataclasses.replace(space, cells=8, width=16)` has the same members in a smaller
    network.

    Raises `SpaceError` that lists everything wrong with a declaration.
    """

    family: ClassVar[str] = "cell"
    declared_by: ClassVar[tuple[str, ...]] = ("template",)

    # Size and order ---------------------------------------------------------------------------------------------------

    @cached_property
    def _ranking(self) -> CellRanking:
        return cell_ranking(self.layer_types, self.nodes)

    def count(self) -> int:
        """How many genotypes the space holds, exactly: the square of the number of cells."""
        return self._ranking.count**2

    def rank(self, member: Genotype) -> int:
        """The place of a member, from 0 to `count() - 1`."""
        genotype = self.require(member)
        return self._ranking.rank(genotype.normal) * self._ranking.count + self._ranking.rank(genotype.reduce)

    def _unrank(self, index: int) -> Genotype:
        normal, reduce = divmod(index, self._ranking.count)
        return Genotype(self._ranking.unrank(normal), self._ranking.unrank(reduce))

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

    def _redrawn(self, member: Genotype, rng: random.Random, probability: float) -> Genotype:
        return operators.mutate(self, member, rng, probability)

    def crossover(self, first: Genotype, second: Genotype, rng: random.Random) -> Genotype:
        """A member whose nodes, with both edges, come from either parent, place by place in canonical order."""
        return operators.crossover(self.require(first), self.require(second), rng)

    def neighbours(self, member: Genotype) -> Iterator[Genotype]:
        """Every other member with one edge of another layer type or from another state, each once."""
        return operators.neighbours(self, self.require(member))

    # Text, JSON and parameters ----------------------------------------------------------------------------------------

    def parse(self, text: str) -> Genotype:
        """Read the text form of a member; raises `SpaceError` with the reason where it is none."""
        return self.require(parse(text))

    def _to_json(self, member: Genotype) -> dict[str, Json]:
        """For each cell by name, and each of its nodes, the layer type and source of both edges."""
        return {
            name: [[edge._asdict() for edge in node] for node in cell.nodes]
            for name, cell in zip(CELLS, (member.normal, member.reduce), strict=True)
        }

    def _from_json(self, data: Mapping[str, Json]) -> Genotype:
        cells = {
            name: [[built(Edge, edge) for edge in as_list(node)] for node in as_list(data[name])] for name in CELLS
        }
        return Genotype(*(read_cell(name, nodes) for name, nodes in cells.items()))

    @cached_property
    def _encoding(self) -> Encoding:
        return Encoding(self)

    def genes(self) -> dict[str, tuple[str, ...]]:
        """Every choice there is by name: of each node the states that it reads, and its two layer types."""
        return dict(self._encoding.genes)

    def parameters(self) -> tuple[Choice, ...]:
        """The space as independent choices without order, for Tune and Optuna; single choices are left out.

        Several settings stand for one genotype, those that differ by the order of nodes; its id tells repeats.
        """
        return self._encoding.parameters

    def encode(self, member: Genotype) -> dict[str, str]:
        """One setting of `parameters()` that decodes to this member."""
        return self._encoding.encode(self.require(member))

    def decode(self, values: Given) -> Genotype:
        """The member that a setting of `parameters()` stands for; every setting stands for one."""
        return self._encoding.decode(values)

    # Network and cost -------------------------------------------------------------------------------------------------

    def plan(self, member: Genotype) -> NetworkPlan:
        """The network of a member, cell by cell: what is built, and what is counted."""
        return network_plan(self, self.require(member))

    def layers(self, member: Genotype) -> tuple[LayerPlan, ...]:
        """Every layer of the network of a member, from input to output."""
        return self.plan(member).layers()

    def cost(self, member: Genotype, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What a member costs, in all and per layer, at the space's own image size and classes or at others.

        Layers without a cost (Zeroise and pools) are left out. A layer that only feeds a Zeroise edge is built, and so
        counted.
        """
        return itemise(pricing.prices(self.for_data(image_size, classes).plan(member)))

    def costs(self, members: list[Genotype], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What many members cost, in one vectorised call (their membership is not checked)."""
        return self.for_data(image_size, classes)._price_table.costs(members)

    @cached_property
    def _price_table(self) -> pricing.PriceTable:
        return pricing.PriceTable(self)

    def papers_ops(self, member: Genotype) -> float:
        """Equivalent operations as the paper counts them: without the float convolutions of the reduction cells' skips.

        `cost` counts these too, as they are computed: at 224 pixels they are more than all the rest.
        """
        return self.cost(member).ops - pricing.skip_operations(self.plan(member))
