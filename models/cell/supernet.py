"""The network that searches: every edge of every cell is a mixture of all layer types of the space."""

import copy
import dataclasses
from collections.abc import Sequence
from functools import partial, reduce
from typing import NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.cell.frame import Cell, CellFrame, NetworkFrame, skip_of
from models.cell.layers import BinaryLayer, FloatInput, Pool, Zeroise, binary_convolution, plain_norm
from models.cell.mixture import Mixture, mixed_edges
from models.layers.binarisers import make_binariser
from models.layers.binary import BinaryConv2d
from models.layers.modes import Mode
from models.network import Network, Supernet
from models.options import Options
from spaces.cell import Cell as CellGenes
from spaces.cell import CellPlan, CellSpace, Genotype, LayerPlan
from spaces.cell.canonical import INPUTS
from spaces.cell.pricing import uniform

M = TypeVar("M", bound=nn.Module)


@dataclasses.dataclass(frozen=True)
class MixedOptions(Options):
    """Choices that belong to a searching network's weights."""

    binariser: str = "xnor"
    mode: Mode = Mode.BWBA

    def __post_init__(self) -> None:
        make_binariser(self.binariser)  # raises for an unknown one


class _Rows(NamedTuple):
    """A cell's mixture: (edges, types), and the same as numbers where weights of zero may be left out."""

    weights: Tensor
    numbers: list[list[float]] | None

    @classmethod
    def of(cls, weights: Tensor) -> "_Rows":
        return cls(weights, None if weights.requires_grad else weights.tolist())

    def used(self, edge: int) -> list[int]:
        """The layer types that an edge must compute."""
        if self.numbers is None:
            return list(range(self.weights.shape[1]))
        return [number for number, weight in enumerate(self.numbers[edge]) if weight != 0]


class MixedEdge(nn.Module):
    """All layer types between two states; their weighted sum.

    The binary layers read the same signs, after one batch norm: without parameters, each one's own would be equal.
    """

    def __init__(self, plans: Sequence[LayerPlan], options: MixedOptions, types: tuple[str, ...]) -> None:
        super().__init__()
        self.types = types
        self.norm = plain_norm(plans[0].cin)
        self.layers = nn.ModuleDict()
        for name, plan in zip(types, plans, strict=True):
            if plan.kind == "binary":
                self.layers[name] = binary_convolution(plan, options.binariser, options.mode)
            elif plan.kind == "none":
                self.layers[name] = Zeroise(plan.stride)
            else:
                self.layers[name] = Pool(plan, plain_norm(plan.cout))

    def forward(self, x: Tensor, row: Tensor, used: Sequence[int]) -> Tensor | None:
        """(N, C, H, W), weights (types,) -> (N, C, H / stride, W / stride); None where only Zeroise would be used."""
        total = signs = None
        for number in used:
            layer = self.layers[self.types[number]]
            if isinstance(layer, Zeroise):
                continue
            if isinstance(layer, Pool):
                output = layer(x)
            else:
                assert isinstance(layer, BinaryConv2d)
                signs = layer.binarised(self.norm(x)) if signs is None else signs
                output = F.relu(layer.convolve(signs), inplace=True)
            total = output * row[number] if total is None else torch.addcmul(total, output, row[number])
        return total

    def single(self, layer_type: str) -> nn.Module:
        """One layer with these weights, and with batch norm statistics of its own."""
        layer = sharing(self.layers[layer_type])
        return BinaryLayer(sharing(self.norm), layer) if isinstance(layer, BinaryConv2d) else layer


class MixedCell(CellFrame):
    """A cell whose nodes read all earlier states through mixed edges."""

    def __init__(self, plans: Sequence[CellPlan], options: MixedOptions, types: tuple[str, ...]) -> None:
        """`plans` are those of the cell with one layer type everywhere, one plan per type."""
        first = plans[0]
        super().__init__(FloatInput(first.inputs[0]), FloatInput(first.inputs[1]), skip_of(first))
        self.wiring = mixed_edges(len(first.nodes))
        layers = [plan.nodes[0][0].layer for plan in plans]
        # what reads a node of the cell has its size already
        inner = [dataclasses.replace(layer, stride=1, in_size=layer.out_size) for layer in layers]
        self.edges = nn.ModuleList(
            MixedEdge(layers if source < INPUTS else inner, options, types) for source, _ in self.wiring
        )
        self.stride = layers[0].stride

    def forward(self, before_last: Tensor, last: Tensor, rows: _Rows) -> Tensor:
        """Outputs of the two cells before, (N, C, H, W) each -> (N, nodes * width, H', W')."""
        states = self.states(before_last, last)
        sums: dict[int, list[Tensor]] = {state: [] for _, state in self.wiring}
        for number, ((source, state), edge) in enumerate(zip(self.wiring, self.edges, strict=True)):
            if len(states) < state:
                states.append(self._node(sums[len(states)], states))
            output = edge(states[source], rows.weights[number], rows.used(number))
            if output is not None:
                sums[state].append(output)
        states.append(self._node(sums[len(states)], states))
        return self.output(states, last)

    def _node(self, edges: list[Tensor], states: list[Tensor]) -> Tensor:
        if not edges:  # of Zeroise alone
            return torch.zeros_like(states[0][:, :, :: self.stride, :: self.stride])
        return reduce(torch.add, edges)

    def only(self, genes: CellGenes) -> Cell:
        """The cell of a genotype with these weights, and with batch norm statistics of its own."""
        layers = [
            [self._edge(edge.source, state).single(edge.layer) for edge in node]
            for state, node in enumerate(genes.nodes, INPUTS)
        ]
        sources = [[edge.source for edge in node] for node in genes.nodes]
        skip = None if self.skip is None else sharing(self.skip)
        return Cell(sharing(self.input1), sharing(self.input2), skip, layers, sources)

    def _edge(self, source: int, state: int) -> MixedEdge:
        edge = self.edges[self.wiring.index((source, state))]
        assert isinstance(edge, MixedEdge)
        return edge


class MixedSupernet(NetworkFrame, Supernet[CellSpace, Genotype, MixedOptions]):
    """Weights of all layer types on all edges, random; each call says which of them count, and how much.

    Differs from a final network where that helps the search (BNAS; DARTS): cells read their inputs through float
    convolutions, pools are followed by a batch norm, and no batch norm of a layer that competes has parameters. For a
    search network smaller than the final one give it `dataclasses.replace(space, cells=8, width=16)`.
    """

    def __init__(self, space: CellSpace, options: MixedOptions | None = None) -> None:
        options = options or MixedOptions()
        plans = [space.plan(uniform(layer, space.nodes)) for layer in space.layer_types]
        cells = (
            MixedCell(same, options, space.layer_types) for same in zip(*(plan.cells for plan in plans), strict=True)
        )
        super().__init__(plans[0], cells)
        self.space = space
        self.options = options
        self.reductions = tuple(cell.reduction for cell in plans[0].cells)

    def forward(self, images: Tensor, mixture: Mixture) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes).

        Layers of weight zero are not computed where the mixture wants no gradient.
        """
        rows = _Rows.of(mixture.normal), _Rows.of(mixture.reduce)
        pairs = zip(self.cells, self.reductions, strict=True)
        return self.run(images, [partial(cell, rows=rows[reduction]) for cell, reduction in pairs])

    def extract(self, architecture: Genotype) -> "InheritedNetwork":
        """A genotype's network with these weights, shared, not copied; see `InheritedNetwork`."""
        return InheritedNetwork(self, architecture)


class MixedNetwork(nn.Module):
    """A supernet under one mixture, as a network of images alone; for measuring what a search mixes at present."""

    def __init__(self, supernet: MixedSupernet, mixture: Mixture) -> None:
        super().__init__()
        self.supernet = supernet
        self.mixture = mixture

    def forward(self, images: Tensor) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes)."""
        return self.supernet(images, self.mixture)


class InheritedNetwork(NetworkFrame, Network[CellSpace, Genotype, MixedOptions]):
    """What a supernet computes for one genotype (`mixture_of`), layer by layer, without those that it leaves out.

    Parameters are the supernet's own, batch norm statistics are copies: recalibrating one candidate changes neither the
    supernet nor other candidates. Raises `SpaceError` for a genotype that is not in the space.
    """

    def __init__(self, supernet: MixedSupernet, architecture: Genotype) -> None:
        with torch.device("meta"):  # stem and classifier come from the supernet
            super().__init__(supernet.space.plan(architecture), ())
        self.space = supernet.space
        self.architecture = architecture
        self.options = supernet.options
        self.stem = sharing(supernet.stem)
        self.classifier = sharing(supernet.classifier)
        for cell, reduction in zip(supernet.cells, supernet.reductions, strict=True):
            assert isinstance(cell, MixedCell)
            self.cells.append(cell.only(architecture.reduce if reduction else architecture.normal))
        self.train(supernet.training)

    def forward(self, images: Tensor) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes)."""
        return self.run(images, self.cells)


def sharing(module: M) -> M:
    """A copy of a module that has its parameters, and copies of its buffers."""
    twin = copy.copy(module)
    twin._parameters = dict(module._parameters)
    twin._buffers = {name: None if buffer is None else buffer.clone() for name, buffer in module._buffers.items()}
    twin._modules = {name: None if child is None else sharing(child) for name, child in module._modules.items()}
    return twin
