"""The final network of a genotype, layer by layer: the one description that both its cost and its builder read."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["float", "binary", "none", "max", "avg", "linear"]


@dataclass(frozen=True)
class LayerPlan:
    """One layer. Sizes are heights and widths in pixels; convolutions pad with zeros by `padding` on each side.

    Kinds: "float" a float convolution, "binary" a binary one, "none" Zeroise (zeros of the right size), "max" and "avg"
    3x3 pools, "linear" the float classifier with bias after global average pooling. A pool's `kernel_size` is 3 and
    its `groups` mean nothing.
    """

    name: str
    kind: Kind
    cin: int
    cout: int
    kernel_size: int
    stride: int
    in_size: int
    out_size: int
    padding: int = 0
    dilation: int = 1
    groups: int = 1


@dataclass(frozen=True)
class EdgePlan:
    """An edge of a node: its layer, and the state that it reads (0, 1: the preprocessed inputs; 2: node 1, ...)."""

    layer: LayerPlan
    source: int


@dataclass(frozen=True)
class CellPlan:
    """One cell. A node is the sum of its two edges, the output the concatenation of the nodes plus the skip.

    `inputs` are the convolutions that bring the output before the last and the last to the cell's width. `skip` says
    what is added to the output: nothing, the output of the cell before as it is ("identity"), or that output after
    batch norm and the float convolution `skip_layer` ("convolution", in reduction cells).
    """

    name: str
    reduction: bool
    inputs: tuple[LayerPlan, LayerPlan]
    nodes: tuple[tuple[EdgePlan, EdgePlan], ...]
    skip: Literal["none", "identity", "convolution"]
    skip_layer: LayerPlan | None
    width: int
    out_channels: int
    out_size: int


@dataclass(frozen=True)
class NetworkPlan:
    """The whole network: the stem, the cells, global average pooling and the classifier.

    The first cell reads the outputs of the stem's layers `first_inputs` (before the last, last), and the second reads
    the last of them as its input before the last.
    """

    stem: tuple[LayerPlan, ...]
    first_inputs: tuple[int, int]
    cells: tuple[CellPlan, ...]
    linear: LayerPlan

    def layers(self) -> tuple[LayerPlan, ...]:
        """Every layer, from input to output."""
        layers = list(self.stem)
        for cell in self.cells:
            layers += [*cell.inputs, *(edge.layer for node in cell.nodes for edge in node)]
            layers += [cell.skip_layer] if cell.skip_layer is not None else []
        return (*layers, self.linear)
