"""What final networks, searching networks and inherited ones have in common: the template that repeats the cells."""

from collections.abc import Callable, Iterable
from functools import reduce

import torch
from torch import Tensor, nn

from models.cell.layers import SkipConvolution, Stem
from spaces.cell import CellPlan, NetworkPlan

CellFunction = Callable[[Tensor, Tensor], Tensor]  # a cell: the outputs of the two cells before, its own


class CellFrame(nn.Module):
    """A cell without its nodes (BNAS v2, figure 2b).

    `skip` is the module on the skip from the output of the cell before, None for a cell without one.
    """

    def __init__(self, input1: nn.Module, input2: nn.Module, skip: nn.Module | None) -> None:
        super().__init__()
        self.input1 = input1
        self.input2 = input2
        self.skip = skip

    def states(self, before_last: Tensor, last: Tensor) -> list[Tensor]:
        """Outputs of the two cells before, (N, C, H, W) each -> the first two states, (N, width, H', W') each."""
        return [self.input1(before_last), self.input2(last)]

    def output(self, states: list[Tensor], last: Tensor) -> Tensor:
        """All states -> (N, nodes * width, H', W')."""
        nodes = torch.cat(states[2:], 1)
        return nodes if self.skip is None else nodes + self.skip(last)


class Cell(CellFrame):
    """A cell whose nodes are sums of given layers; `sources` says which state each of them reads.

    `drop_path` is the share of images for which an edge is left out in training; it may be changed at any time.
    """

    def __init__(
        self,
        input1: nn.Module,
        input2: nn.Module,
        skip: nn.Module | None,
        layers: Iterable[Iterable[nn.Module]],
        sources: Iterable[Iterable[int]],
        drop_path: float = 0.0,
    ) -> None:
        super().__init__(input1, input2, skip)
        self.layers = nn.ModuleList(nn.ModuleList(node) for node in layers)
        self.sources = tuple(map(tuple, sources))
        self.drop_path = drop_path

    def forward(self, before_last: Tensor, last: Tensor) -> Tensor:
        """Outputs of the two cells before, (N, C, H, W) each -> (N, nodes * width, H', W')."""
        states = self.states(before_last, last)
        for layers, sources in zip(self.layers, self.sources, strict=True):
            edges = zip(layers.children(), sources, strict=True)
            states.append(reduce(torch.add, [self._dropped(layer(states[source])) for layer, source in edges]))
        return self.output(states, last)

    def _dropped(self, x: Tensor) -> Tensor:
        """Drop path: zeroes the edge for a random share of the images; divides the rest by the share kept, so that the
        expectation stays."""
        if not self.training or self.drop_path == 0:
            return x
        keep = 1 - self.drop_path
        return x * (x.new_empty(len(x), 1, 1, 1).bernoulli_(keep) / keep)


class NetworkFrame(nn.Module):
    """Stem, cells, global average pooling and the classifier, as in a plan, with the cells that are given."""

    def __init__(self, plan: NetworkPlan, cells: Iterable[nn.Module]) -> None:
        super().__init__()
        self.stem = Stem(plan.stem)
        self.cells = nn.ModuleList(cells)
        self.classifier = nn.Linear(plan.linear.cin, plan.linear.cout)
        self.first_inputs = plan.first_inputs

    def run(self, images: Tensor, cells: Iterable[CellFunction]) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes)."""
        outputs = self.stem(images)
        before_last, last = (outputs[place] for place in self.first_inputs)
        for cell in cells:
            before_last, last = last, cell(before_last, last)
        return self.classifier(last.mean((2, 3)))


def skip_of(plan: CellPlan) -> nn.Module | None:
    """The module on a cell's skip."""
    if plan.skip_layer is not None:
        return SkipConvolution(plan.skip_layer)
    return nn.Identity() if plan.skip == "identity" else None
