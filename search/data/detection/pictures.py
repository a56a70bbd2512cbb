"""Pictures of any size with boxes, and splits of them that the training loop takes batches from."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from search.data.order import Order, numbered_batches, permutation


@dataclass(frozen=True)
class Target:
    """The objects of a picture: boxes float32 (objects, 4) as x1, y1, x2, y2 in pixels; classes int64 (objects,) from
    1; areas float32 (objects,); `crowd`, bool (objects,), marks groups that are neither trained nor counted as missed.
    """

    boxes: Tensor
    classes: Tensor
    areas: Tensor
    crowd: Tensor


class Pictures(Protocol):
    """Pictures by place, 0 to len - 1."""

    def __len__(self) -> int: ...

    def image(self, place: int) -> Tensor:
        """uint8 (channels, H, W). Raises `DataError` that names the file where it cannot be read."""
        ...

    def target(self, place: int) -> Target:
        """Its objects."""
        ...

    def size(self, place: int) -> tuple[int, int]:
        """Height and width."""
        ...

    def name(self, place: int) -> str:
        """The file, or another name for people."""
        ...


@dataclass(frozen=True, eq=False)
class PictureSplit:
    """Some pictures. As a `Split` of the training loop its labels are places, by which a step finds the targets.

    Batches are float32 (N, channels, H, W), pixels 0..1, with the height and width of the largest picture in the batch
    and zeros beyond the others. Files are read by `threads` threads, two batches ahead.
    """

    pictures: Pictures
    places: Tensor
    threads: int = 1

    @property
    def labels(self) -> Tensor:
        """The place of every picture of the split: int64 (N,)."""
        return self.places

    def __len__(self) -> int:
        return len(self.places)

    def subset(self, positions: Tensor) -> Self:
        """The pictures at these positions of the split."""
        return replace(self, places=self.places[positions])

    def batches(self, batch_size: int, *, order: Order, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of (images, places); see `Order`. Nothing is changed about a picture here."""
        chosen = [order.own(each) for _, each in numbered_batches(order, permutation(order, len(self)), batch_size)]
        with ThreadPoolExecutor(self.threads) as pool:
            waiting: list[tuple[Tensor, list[Future[Tensor]]]] = []
            for positions in chosen:
                places = self.places[positions]
                waiting.append((places, [pool.submit(self.pictures.image, place) for place in places.tolist()]))
                if len(waiting) > 2:
                    yield _together(*waiting.pop(0), device)
            for places, images in waiting:
                yield _together(places, images, device)

    def one_by_one(self) -> Iterator[tuple[int, Tensor]]:
        """Every picture with its place, float32 (channels, H, W) of its own size."""
        for images, places in self.batches(1, order=Order(None), device=torch.device("cpu")):
            yield int(places[0]), images[0]


def _together(places: Tensor, images: Sequence[Future[Tensor]], device: torch.device) -> tuple[Tensor, Tensor]:
    found = [image.result() for image in images]
    height, width = (max(image.shape[axis] for image in found) for axis in (1, 2))
    batch = torch.zeros(len(found), found[0].shape[0], height, width, dtype=torch.uint8)
    for row, image in zip(batch, found, strict=True):
        row[:, : image.shape[1], : image.shape[2]] = image
    return batch.to(device).float().div_(255), places


@dataclass(frozen=True)
class PictureSet:
    """Opened pictures: three splits, the names of the classes 1, 2, ..., and what was left out of them, in words."""

    name: str
    class_names: tuple[str, ...]
    train: PictureSplit
    validation: PictureSplit
    test: PictureSplit
    fingerprint: str
    notes: tuple[str, ...] = ()

    def describe(self) -> dict[str, object]:
        """The facts for a run's folder, as plain JSON values."""
        return {
            "name": self.name,
            "class_names": list(self.class_names),
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
            "notes": list(self.notes),
            "fingerprint": self.fingerprint,
        }
