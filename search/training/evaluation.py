"""The one evaluation: recomputed batch norm statistics, loss and accuracy. Knows neither Ray nor Optuna."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.norms.recalibration import recalibrate
from search.config.search import EvaluationConfig
from search.data.dataset import Split
from search.data.kept import first_batches
from search.data.order import in_order, shuffled


def recalibrate_on(network: nn.Module, split: Split, config: EvaluationConfig, *, seed: int) -> None:
    """Compute every batch norm's statistics again, from training images.

    A subnet cannot use the statistics of the supernet, which mix those of all subnets. The images depend on `seed`
    alone, so all candidates see the same ones, augmented alike.
    """
    device = next(network.parameters()).device
    size, count = config.recalibration_batch_size, config.recalibration_batches
    recalibrate(network, first_batches(split, size, count, order=shuffled(seed), device=device))


def evaluate(network: nn.Module, split: Split, batch_size: int) -> dict[str, float]:
    """`accuracy` and `balanced_accuracy` (its mean over the classes; both 0 to 1) and mean cross entropy `loss` of a
    network on every image of a split; leaves the network in evaluation mode."""
    network.eval()
    return evaluate_calls(network, split, batch_size, next(network.parameters()).device)


@torch.no_grad()
def evaluate_calls(
    network: Callable[[Tensor], Tensor], split: Split, batch_size: int, device: torch.device
) -> dict[str, float]:
    """As `evaluate`, of anything that turns images on a device into logits: a module, or an engine."""
    correct = torch.zeros(int(split.labels.max()) + 1, dtype=torch.int64, device=device)
    loss = torch.zeros((), dtype=torch.float64, device=device)
    seen = torch.zeros_like(correct)  # damaged images may be missing
    for images, labels in split.batches(batch_size, order=in_order(), device=device):
        logits = network(images).float()
        correct += torch.bincount(labels[logits.argmax(dim=1) == labels], minlength=len(correct))
        loss += F.cross_entropy(logits, labels, reduction="sum").double()
        seen += torch.bincount(labels, minlength=len(correct))
    there = seen > 0
    balanced = (correct[there].double() / seen[there]).mean().item()
    count = int(seen.sum())
    return {"accuracy": int(correct.sum()) / count, "balanced_accuracy": balanced, "loss": loss.item() / count}
