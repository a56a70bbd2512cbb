"""What is done to batches: weights for unequal classes, images that are mixed with one another, and how long a training
waits for them."""

# torch and torchvision are partly untyped
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import time
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor

from search.config.sections import TrainConfig
from search.data.dataset import Split

Mix = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def class_weights(config: TrainConfig, split: Split, device: torch.device) -> Tensor | None:
    """A weight for every class, images / (classes x images of the class), float (classes,); None where all count alike.

    The weights are for the mean of `cross_entropy`, so a batch's loss keeps its size.
    """
    if config.class_weights == "none":
        return None
    counts = torch.bincount(split.labels).clamp(min=1)
    return (len(split) / (len(counts) * counts)).float().to(device)


class Awaited:
    """Batches, and the `seconds` for which whoever takes them has waited. On a GPU, which computes on meanwhile, these
    are those of the process."""

    def __init__(self, batches: Iterable[tuple[Tensor, Tensor]]) -> None:
        self._batches = batches
        self.seconds = 0.0

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        asked = time.perf_counter()
        for batch in self._batches:
            self.seconds += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()
        self.seconds += time.perf_counter() - asked


def mix_of(config: TrainConfig, split: Split) -> Mix | None:
    """Mixes images (N, C, H, W) and classes (N,) within a batch to images and shares of classes (N, classes).

    Draws from torch's global generator. None where nothing is mixed; a batch of one image cannot be.
    """
    if config.mix == "none":
        return None
    from torchvision.transforms import v2

    kind = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[config.mix]
    return kind(alpha={"mixup": 0.2, "cutmix": 1.0}[config.mix], num_classes=int(split.labels.max()) + 1)
