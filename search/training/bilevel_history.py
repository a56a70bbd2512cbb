"""The history of a differentiable search: one entry per epoch, as tensors for checkpoints and as rows of a table."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from models.cell.mixture import Mixture, mixed_edges

CELLS = ("normal", "reduce")


@dataclass(frozen=True, eq=False)
class History:
    """One entry per epoch, in order, each as it was when the epoch ended.

    Fields:
        probabilities: of the layer types, float32 (epochs, 2, edges, types), the normal cell first.
        loss: mean cross entropy on the half that moves the network's weights, float64 (epochs,).
        architecture_loss, architecture_accuracy: means over the images of the other half, each batch when it came.
        accuracy: on validation images, or nan.
    """

    probabilities: Tensor
    loss: Tensor
    architecture_loss: Tensor
    architecture_accuracy: Tensor
    accuracy: Tensor

    @classmethod
    def empty(cls, edges: int, types: int) -> "History":
        """The history before the first epoch."""
        numbers = (torch.zeros(0, dtype=torch.float64) for _ in range(4))
        return cls(torch.zeros(0, len(CELLS), edges, types), *numbers)

    def __len__(self) -> int:
        return len(self.loss)

    def with_epoch(self, mixture: Mixture, **numbers: float) -> "History":
        """The history with one more epoch; `numbers` are the other fields by name."""
        probabilities = torch.stack(mixture).detach().cpu().float()
        longer = {
            name: torch.cat([getattr(self, name), torch.tensor([number], dtype=torch.float64)])
            for name, number in numbers.items()
        }
        return History(torch.cat([self.probabilities, probabilities[None]]), **longer)

    def mixture(self, epoch: int) -> Mixture:
        """The mixture when this epoch, counted from 0, ended: `read_genotype` reads its genotype."""
        return Mixture(*self.probabilities[epoch])

    def entropies(self) -> Tensor:
        """Entropy of every edge's layer types in nats: (epochs, 2, edges)."""
        return torch.special.entr(self.probabilities).sum(-1)


def history_table(history: History, layer_types: Sequence[str]) -> list[dict[str, Any]]:
    """One row per epoch (from 1), cell, edge and layer type.

    Columns: epoch, cell ("normal", "reduce"), edge (from 0), from and to (states; 0 and 1 are the cell's inputs),
    layer, probability, entropy (of the edge, in nats), and of the epoch accuracy, loss, architecture_loss and
    architecture_accuracy; None where a number was not measured.
    """
    edges = _edges(history.probabilities.shape[2])
    entropies = history.entropies().tolist()
    measured = ("accuracy", "loss", "architecture_loss", "architecture_accuracy")
    rows: list[dict[str, Any]] = []
    for epoch, cells in enumerate(history.probabilities.tolist()):
        numbers = {name: _or_none(getattr(history, name)[epoch].item()) for name in measured}
        for cell, (name, weights) in enumerate(zip(CELLS, cells, strict=True)):
            for edge, ((source, state), row) in enumerate(zip(edges, weights, strict=True)):
                place = {"epoch": epoch + 1, "cell": name, "edge": edge, "from": source, "to": state}
                rows += [
                    {**place, "layer": layer, "probability": weight, "entropy": entropies[epoch][cell][edge], **numbers}
                    for layer, weight in zip(layer_types, row, strict=True)
                ]
    return rows


def _edges(count: int) -> tuple[tuple[int, int], ...]:
    return next(edges for nodes in range(1, count + 1) if len(edges := mixed_edges(nodes)) == count)


def _or_none(number: float) -> float | None:
    return number if math.isfinite(number) else None
