"""How much of every layer type flows along every edge of the two cells: the continuous relaxation of a genotype."""

from typing import NamedTuple

import torch
from torch import Tensor

from spaces.cell import Cell, CellSpace, Genotype
from spaces.cell.canonical import INPUTS


class Mixture(NamedTuple):
    """Weights of the layer types along the edges of a normal and of a reduction cell, each (edges, types).

    Edges are in the order of `mixed_edges`, types in that of `space.layer_types`. A softmax over architecture weights
    gives rows that sum to 1; a genotype rows of a single 1 for its edges and zeros for the others.
    """

    normal: Tensor
    reduce: Tensor


def mixed_edges(nodes: int) -> tuple[tuple[int, int], ...]:
    """(state read, state written) of every edge of a cell whose nodes read all earlier states.

    >>> mixed_edges(2)
    ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
    >>> len(mixed_edges(4))
    14
    """
    return tuple((source, state) for state in range(INPUTS, INPUTS + nodes) for source in range(state))


def mixture_of(space: CellSpace, genotype: Genotype, device: torch.device | str = "cpu") -> Mixture:
    """The mixture that computes one genotype: 1 for its layers, zeros for all others.

    Raises `SpaceError` for a genotype that is not in the space.
    """
    space.require(genotype)
    return Mixture(_rows(space, genotype.normal, device), _rows(space, genotype.reduce, device))


def _rows(space: CellSpace, cell: Cell, device: torch.device | str) -> Tensor:
    edges = mixed_edges(space.nodes)
    rows = torch.zeros(len(edges), len(space.layer_types))
    for state, node in enumerate(cell.nodes, INPUTS):
        for edge in node:
            rows[edges.index((edge.source, state)), space.layer_types.index(edge.layer)] = 1
    return rows.to(device)
