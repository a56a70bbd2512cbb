"""What the network of a genotype costs: layer by layer for one, from a table by layer type for many at once."""

from collections.abc import Callable, Sequence

import numpy as np

from spaces.cell.architecture import Cell, Edge, Genotype
from spaces.cell.declaration import CellDeclaration
from spaces.cell.plan import LayerPlan, NetworkPlan
from spaces.cell.template import network_plan
from spaces.cost import (
    Costs,
    Ints,
    Price,
    binary_convolution_after_norm,
    float_convolution,
    float_convolution_after_norm,
    linear,
)

FREE = ("none", "max", "avg")  # layers that count nothing: Zeroise and pools


def prices(plan: NetworkPlan) -> list[Price]:
    """The price of every layer that costs something."""
    stem = [_float(layer, float_convolution) for layer in plan.stem]
    cells = plan.layers()[len(stem) : -1]
    priced = [
        _binary(layer) if layer.kind == "binary" else _float(layer, float_convolution_after_norm)
        for layer in cells
        if layer.kind not in FREE
    ]
    return [*stem, *priced, linear(plan.linear.name, np.array([plan.linear.cin]), plan.linear.cout)]


class PriceTable:
    """The cost of the layers that all genotypes of a space share, and of an edge of each type in each kind of cell.

    An edge costs the same whichever state it reads, since the size of its output counts, not that of its input. So the
    cost of a genotype is a sum over the layer types of its edges.
    """

    def __init__(self, space: CellDeclaration) -> None:
        self._types = {layer: number for number, layer in enumerate(space.layer_types)}
        plans = [network_plan(space, uniform(layer, space.nodes)) for layer in space.layer_types]
        self._shared = _sum([price for price in prices(plans[0]) if ".node" not in price.name])
        # shape (2 kinds of cell, layer types, 5 columns of a price), for one edge in every cell of the kind
        self._edges = np.array([[_edges(plan, reduction) for plan in plans] for reduction in (False, True)])

    def costs(self, genotypes: Sequence[Genotype]) -> Costs:
        """What many genotypes cost."""
        numbers = [
            [[self._types[edge.layer] for edge in cell.edges()] for cell in (genotype.normal, genotype.reduce)]
            for genotype in genotypes
        ]
        total = np.broadcast_to(self._shared, (len(numbers), len(self._shared)))
        if numbers:
            layers = np.array(numbers, dtype=np.int64)  # (genotypes, 2, edges)
            total = total + sum(self._edges[kind][layers[:, kind]].sum(axis=1) for kind in range(2))
        return Costs(*total.T)


def uniform(layer: str, nodes: int) -> Genotype:
    """The genotype with one layer type everywhere, whose nodes read the cell's inputs alone."""
    cell = Cell(((Edge(layer, 0), Edge(layer, 1)),) * nodes)
    return Genotype(cell, cell)


def skip_operations(plan: NetworkPlan) -> int:
    """Float multiply-accumulates of the skips' convolutions in reduction cells, which the paper's count leaves out."""
    skips = {cell.skip_layer.name for cell in plan.cells if cell.skip_layer is not None}
    return sum(int(price.flops[0]) for price in prices(plan) if price.name in skips)


def _edges(plan: NetworkPlan, reduction: bool) -> Ints:  # noqa: FBT001
    """The sum over all cells of a kind, for one edge of each."""
    edges = [cell.nodes[0][0].layer for cell in plan.cells if cell.reduction == reduction]
    return _sum([_binary(layer) for layer in edges if layer.kind not in FREE])


def _sum(prices: Sequence[Price]) -> Ints:
    rows = [np.array(price[3:], dtype=np.int64)[:, 0] for price in prices]
    return np.sum(rows, axis=0) if rows else np.zeros(5, dtype=np.int64)


def _float(layer: LayerPlan, price: Callable[[str, Ints, Ints, int, int], Price]) -> Price:
    return price(layer.name, np.array([layer.cin]), np.array([layer.cout]), layer.kernel_size, layer.out_size)


def _binary(layer: LayerPlan) -> Price:
    cin, cout = np.array([layer.cin]), np.array([layer.cout])
    return binary_convolution_after_norm(layer.name, cin, cout, layer.kernel_size, layer.groups, layer.out_size)
