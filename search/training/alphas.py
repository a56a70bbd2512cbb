"""Architecture weights of a differentiable search: their softmax and its entropy, and the genotype read from them."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from typing import NamedTuple

import torch
from torch import Tensor

from models.cell.mixture import Mixture, mixed_edges
from search.seeds import derive_seed
from spaces.cell import Cell, CellSpace, Edge, Genotype
from spaces.cell.canonical import INPUTS

ZEROISE = "none"
INITIAL_DEVIATION = 1e-3


class Alphas(NamedTuple):
    """Architecture weights before the softmax, of the normal and the reduction cell, each (edges, types)."""

    normal: Tensor
    reduce: Tensor

    @classmethod
    def initial(cls, space: CellSpace, seed: int, device: torch.device | str = "cpu") -> "Alphas":
        """Normal numbers of deviation 0.001, drawn on the CPU from a stream of their own; they require gradients."""
        generator = torch.Generator().manual_seed(derive_seed(seed, "alphas"))
        shape = 2, len(mixed_edges(space.nodes)), len(space.layer_types)
        values = (INITIAL_DEVIATION * torch.randn(shape, generator=generator)).to(device)
        return cls(*(cell.clone().requires_grad_() for cell in values))

    def mixture(self) -> Mixture:
        """The softmax of every row; gradients flow through it."""
        return Mixture(self.normal.softmax(1), self.reduce.softmax(1))


def entropy(alphas: Alphas) -> Tensor:
    """H(p) of equation 2: the mean entropy, in nats, of the softmax rows of both cells; shape ()."""
    logs = torch.cat(alphas).log_softmax(1)
    return -(logs.exp() * logs).sum(1).mean()


def entropy_term(alphas: Alphas, weight: float, decay: float, epoch: int) -> Tensor:
    """What diversity adds to the loss, -lambda H(p) exp(-t / tau) (BNAS v2, equation 2); shape ().

    `weight` is lambda, `decay` tau, `epoch` t, from 0. With R rows in both cells together, the gradient of one entry
    a_j of a row of probabilities p and entropy h is lambda exp(-t / tau) / R * p_j (log p_j + h).
    """
    return -weight * math.exp(-epoch / decay) * entropy(alphas)


def discounted(space: CellSpace, mixture: Mixture, gamma: float) -> Mixture:
    """The mixture with every weight of Zeroise divided by gamma and all others as they are; rows no longer sum to 1.

    A genotype read from it has fewer Zeroise layers, for a network for larger images (BNAS). The mixture of a space
    without Zeroise stays as it is. Raises `ValueError` where gamma is not positive.
    """
    if not gamma > 0:
        raise ValueError(f"the discount of Zeroise divides its weight and must be positive, got {gamma}; 1 is none")
    if ZEROISE not in space.layer_types:
        return mixture
    factors = torch.ones_like(mixture.normal[0])
    factors[space.layer_types.index(ZEROISE)] = 1 / gamma
    return Mixture(mixture.normal * factors, mixture.reduce * factors)


def read_genotype(space: CellSpace, mixture: Mixture) -> Genotype:
    """The genotype of a mixture: every node keeps the two incoming edges whose best layer types weigh most, with them.

    Zeroise counts as any other type and may be kept (BNAS). Of equal weights the first edge, and the first type, win.
    """
    return Genotype(_read_cell(space, mixture.normal), _read_cell(space, mixture.reduce))


def _read_cell(space: CellSpace, rows: Tensor) -> Cell:
    weights: list[list[float]] = rows.tolist()
    edges = list(zip(mixed_edges(space.nodes), weights, strict=True))
    nodes: list[tuple[Edge, Edge]] = []
    for state in range(INPUTS, INPUTS + space.nodes):
        incoming = [(source, row) for (source, target), row in edges if target == state]
        kept = sorted(incoming, key=lambda edge: -max(edge[1]))[:2]
        first, second = (Edge(space.layer_types[row.index(max(row))], source) for source, row in kept)
        nodes.append((first, second))
    return Cell(tuple(nodes))
