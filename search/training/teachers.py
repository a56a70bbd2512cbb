"""What teachers say of the images of a training: soft labels, kept per image where every epoch shows the same images.

Two teachers, one and none are cases of one list: their soft labels are averaged, and without any the labels count.
"""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from search.config.sections import StagedTrainConfig
from search.data.augment import Augmentation
from search.data.dataset import Split, TensorSplit
from search.data.order import in_order
from search.data.stream import StreamSplit
from search.training.steps import Batch, Step, at_full_precision, autocast

_BATCH = 256  # whatever the training's, so that what is kept is the same for all trainings
MOST_KEPT = 2**28
"""Numbers of soft labels that are kept: 1 GiB of them. Where there are more, teachers see every batch."""


@torch.no_grad()
def soft_labels(
    teachers: Sequence[nn.Module], images: Tensor, temperature: float, precision: torch.dtype = torch.float32
) -> Tensor:
    """The mean over some teachers of softmax(logits / temperature): images (N, C, H, W) -> (N, classes)."""
    with autocast(images.device, precision):
        logits = [at_full_precision(teacher(images)) for teacher in teachers]
    return torch.stack([(each / temperature).softmax(dim=1) for each in logits]).mean(0)


class Lessons:
    """The soft labels of some teachers at a temperature, computed once for the images of a split that no epoch changes.

    Computed and kept ones agree to the rounding of a network's sums, which may follow the size of a batch.
    """

    def __init__(
        self, teachers: Sequence[nn.Module], temperature: float, precision: torch.dtype = torch.float32
    ) -> None:
        self.teachers, self.temperature, self.precision = teachers, temperature, precision
        self._kept: tuple[Split, Tensor] | None = None

    def taught(self, step: Step, split: Split, config: StagedTrainConfig, device: torch.device) -> tuple[Step, Split]:
        """A step that has the soft labels of every batch, and the images to train it on; both as given where nobody
        teaches."""
        if not self.teachers:
            return step, split
        if not _unchanging(split, config):
            return lambda batch: step(replace(batch, soft=self.of(batch.images))), split
        soft, labels = self._of_all(split, device), split.labels.to(device)

        def with_kept(batch: Batch) -> Tensor:
            places = batch.labels  # `_numbered` images have their places for labels
            return step(replace(batch, labels=labels[places], soft=soft[places]))

        return with_kept, _numbered(split)

    def of(self, images: Tensor) -> Tensor:
        """Soft labels (N, classes) of images (N, C, H, W)."""
        return soft_labels(self.teachers, images, self.temperature, self.precision)

    def _of_all(self, split: Split, device: torch.device) -> Tensor:
        """Soft labels of all images of a split, (N, classes): zeros for those that cannot be decoded."""
        if self._kept is None or self._kept[0] is not split:
            found: Tensor | None = None
            for images, places in _numbered(split).batches(_BATCH, order=in_order(), device=device):
                soft = self.of(images)
                found = soft.new_zeros(len(split), soft.shape[1]) if found is None else found
                found[places] = soft
            assert found is not None, "a split has images"
            self._kept = split, found
        return self._kept[1]


def can_keep(augmentation: Augmentation, config: StagedTrainConfig, numbers: int) -> bool:
    """Whether every epoch shows the same images, and few enough that what is said of them can be kept: so many
    `numbers`, one per image and class."""
    return augmentation == Augmentation() and config.mix == "none" and numbers <= MOST_KEPT


def _unchanging(split: Split, config: StagedTrainConfig) -> bool:
    numbers = len(split) * (int(split.labels.max()) + 1)
    return isinstance(split, TensorSplit | StreamSplit) and can_keep(split.augmentation, config, numbers)


def _numbered(split: Split) -> Split:
    """The images of a split with their places for labels."""
    assert isinstance(split, TensorSplit | StreamSplit), "`_unchanging` sees to it"
    return replace(split, labels=torch.arange(len(split)))
