"""The final network of a genotype: every layer of its plan, and nothing else."""

from dataclasses import dataclass

from torch import Tensor

from models.cell.frame import Cell, NetworkFrame, skip_of
from models.cell.layers import layer_of
from models.layers.binarisers import make_binariser
from models.layers.modes import Mode
from models.network import Network
from models.options import Options
from spaces.cell import CellPlan, CellSpace, Genotype


@dataclass(frozen=True)
class CellOptions(Options):
    """Choices that belong to a network's weights and training, kept with its checkpoint.

    `drop_path` is the share of images for which an edge is left out in training (BNAS: 0.2 on CIFAR-10). `mode` is what
    the network starts in: BNAS v2's multi-stage training takes FWBA first, then BWBA from the weights that this gives.
    """

    binariser: str = "xnor"
    drop_path: float = 0.0
    mode: Mode = Mode.BWBA

    def __post_init__(self) -> None:
        make_binariser(self.binariser)  # raises for an unknown one
        if not 0 <= self.drop_path < 1:
            raise ValueError(f"drop_path is a share of images, at least 0 and below 1; got {self.drop_path}")


class CellNetwork(NetworkFrame, Network[CellSpace, Genotype, CellOptions]):
    """The network of one genotype (BNAS; the template is that of `CellSpace`), with random weights.

    Its learnable numbers are as many as `space.cost(architecture).params` says. Raises `SpaceError` for a genotype that
    is not in the space.
    """

    def __init__(self, space: CellSpace, architecture: Genotype, options: CellOptions | None = None) -> None:
        options = options or CellOptions()
        plan = space.plan(architecture)
        super().__init__(plan, (_cell(cell, options) for cell in plan.cells))
        self.space = space
        self.architecture = architecture
        self.options = options

    def forward(self, images: Tensor) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes)."""
        return self.run(images, self.cells)


def _cell(plan: CellPlan, options: CellOptions) -> Cell:
    input1, input2 = (layer_of(layer, options.binariser, options.mode) for layer in plan.inputs)
    layers = [[layer_of(edge.layer, options.binariser, options.mode) for edge in node] for node in plan.nodes]
    sources = [[edge.source for edge in node] for node in plan.nodes]
    return Cell(input1, input2, skip_of(plan), layers, sources, options.drop_path)
