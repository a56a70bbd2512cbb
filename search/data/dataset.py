"""An opened data set: three splits that give normalised batches, and facts about them for reports."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from search.data.augment import Augmentation, augment
from search.data.order import Order, numbered_batches, permutation


class Split(Protocol):
    """Images with their classes, in batches."""

    @property
    def labels(self) -> Tensor:
        """The class of every image: int64 (N,), on the CPU."""
        ...

    def __len__(self) -> int: ...

    def batches(self, batch_size: int, *, order: Order, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (float32 normalised (N, C, H, W), int64 (N,)) on `device`; see `Order`."""
        ...

    def subset(self, positions: Tensor) -> Self:
        """The images at these positions, int64 and ascending, as a split of their own; nothing is written to this."""
        ...


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of every channel, for pixels scaled to 0..1."""

    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __call__(self, images: Tensor) -> Tensor:
        """Pixels 0..255, uint8 or float (N, C, H, W), to float32 of mean 0 and deviation 1; a new tensor."""
        mean = torch.tensor(self.mean, device=images.device).mul_(255)[:, None, None]
        scale = torch.tensor(self.std, device=images.device).mul_(255).reciprocal_()[:, None, None]
        return images.float().sub(mean).mul_(scale)


@dataclass(eq=False)
class TensorSplit:
    """Decoded images, uint8 (N, C, H, W), kept on the device that asks for them and augmented there in batches.

    The images may be a memory-mapped file that many workers share: nothing here writes to them. Those that are not
    `resident` stay where they are, and only batches come to the device.
    """

    images: Tensor
    labels: Tensor
    normalisation: Normalisation
    augmentation: Augmentation
    resident: bool = True
    _copies: dict[torch.device, Tensor] = field(default_factory=dict[torch.device, Tensor], repr=False)

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int, *, order: Order, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Split.batches`; the augmentation of a batch depends on the order's seed and its number alone."""
        images = self._on(device) if self.resident else self.images
        for number, positions in numbered_batches(order, permutation(order, len(self)), batch_size):
            batch = images[positions.to(images.device)].to(device)
            if order.seed is not None:
                batch = augment(batch, self.augmentation, order.generator("augment", number))
            yield self.normalisation(order.own(batch)), self.labels[order.own(positions)].to(device)

    def subset(self, positions: Tensor) -> Self:
        """See `Split.subset`; the images are copied."""
        return replace(self, images=self.images[positions], labels=self.labels[positions], _copies={})

    def _on(self, device: torch.device) -> Tensor:
        if device not in self._copies:
            self._copies[device] = self.images.to(device)
        return self._copies[device]


@dataclass(frozen=True)
class DataSet:
    """An opened data set.

    All images have `channels` channels, and `image_size` pixels in height and width. `mean` and `std` are those of the
    training split's pixels scaled to 0..1, one number per channel. `fingerprint` is the SHA-256 in hex of images and
    labels, of the list of images where `storage` is "streamed" and not "memory". `left_out` says what of the data set
    is not used and why; `white` is the brightest value of images of more than 8 bits, None where all have 8.
    """

    name: str
    class_names: tuple[str, ...]
    image_size: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    train: Split
    validation: Split
    test: Split
    fingerprint: str
    storage: str
    left_out: tuple[str, ...] = ()
    white: float | None = None

    @property
    def classes(self) -> int:
        """How many classes there are."""
        return len(self.class_names)

    def describe(self) -> dict[str, object]:
        """The facts for a report, as plain JSON values."""
        return {
            "name": self.name,
            "classes": self.classes,
            "class_names": list(self.class_names),
            "image_size": self.image_size,
            "channels": self.channels,
            "mean": list(self.mean),
            "std": list(self.std),
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "storage": self.storage,
            "fingerprint": self.fingerprint,
            "left_out": list(self.left_out),
            "white": self.white,
        }
