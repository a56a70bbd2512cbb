"""A split whose images stay in their files and are decoded and augmented by worker processes as they are needed."""

# torch is partly untyped, and torchvision has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from search.data.augment import Augmentation, policy_of
from search.data.dataset import Normalisation
from search.data.errors import DataError
from search.data.order import Order, numbered_batches, permutation, within_buffer
from search.data.sources.blocks import Encoded, read_in_blocks
from search.data.sources.decode import EncodedImages, as_channels, decode_image, fit, read_image

BUFFER_BYTES = 512 * 2**20
"""How much of encoded images the shuffle buffer may take where its size is not given, of all processes together."""
FEWEST_LOADERS, MOST_LOADERS = 2, 8
"""Processes that decode beside one that trains: a processor that trains needs no more than the fewest, and each takes
some hundred megabytes."""
Wanted = tuple[int, Encoded | None]
"""A position of an image in its split, and its bytes, where they are read already."""


def loaders(cores: int, shares: int) -> int:
    """How many processes decode for a GPU, of which `shares` train together beside these cores."""
    return min(max(cores // shares, FEWEST_LOADERS), MOST_LOADERS)


@dataclass(frozen=True)
class Skipping:
    """What happens to an image that cannot be decoded: it is an error, or it is `allowed` to be skipped, which is noted
    in a file of the run where there is one."""

    allowed: bool = False
    file: Path | None = None


@dataclass(eq=False)
class StreamSplit:
    """Images decoded when they are needed.

    `members` are the positions in `images` of this split's images, `labels` their classes, both int64 (N,). The
    augmentation of an image depends on the order's seed and the image's position alone: the number of workers changes
    nothing. Images of shards are read in blocks, each once per epoch and process, and shuffled among `shuffle_buffer`
    of them (None: as many as take `BUFFER_BYTES`; see `within_buffer`): do not sort shards by class.
    """

    images: EncodedImages
    members: Tensor
    labels: Tensor
    image_size: int
    channels: int
    centre_crop: float
    normalisation: Normalisation
    augmentation: Augmentation
    workers: int | None
    white: float | None = None
    skipping: Skipping = Skipping()
    shuffle_buffer: int | None = None
    cache: Path | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int, *, order: Order, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Split.batches`. An image which cannot be decoded is missing in its batch, where that is allowed; else
        it raises `DataError` that names it."""
        for images, positions in self.pixels(batch_size, order=order, pin=device.type == "cuda"):
            yield self.normalisation(images.to(device, non_blocking=True)), self.labels[positions].to(device)

    def pixels(self, batch_size: int, *, order: Order, pin: bool = False) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches as they are decoded and augmented, uint8 (N, C, H, W), with their images' positions, int64 (N,)."""
        arranged, in_blocks = self.arranged(order)
        batches = [order.own(positions) for _, positions in numbered_batches(order, arranged, batch_size)]
        loader = DataLoader(
            _Samples(self, order),
            collate_fn=_unchanged,
            batch_sampler=_Wanted(self, batches, in_blocks),
            num_workers=self._loaders(order, gpu=pin) if len(batches) > 1 else 0,
            pin_memory=pin,
            # without one of its own the loader would draw from the process's global generator
            generator=torch.Generator().manual_seed(0),
        )
        for positions, (images, problems) in zip(batches, loader, strict=True):
            kept = positions
            if problems:
                self._skip(list(problems.values()))
                kept = torch.tensor([place for place in positions.tolist() if place not in problems], dtype=torch.int64)
            if not len(kept) and order.shares > 1:  # the other processes would wait for this one without end
                raise DataError(
                    f"no image of a worker's share of a batch can be decoded: {next(iter(problems.values()))}"
                )
            if len(kept):
                yield images, kept

    def _loaders(self, order: Order, *, gpu: bool) -> int:
        """How many processes decode, where their number is not given."""
        if self.workers is not None:
            return self.workers
        return loaders(os.cpu_count() or 1, order.shares) if gpu and order.seed is not None else FEWEST_LOADERS

    def _skip(self, problems: list[str]) -> None:
        """Note that images are left out; raises `DataError` where they may not be."""
        if not self.skipping.allowed:
            raise DataError("; ".join(problems))
        self.note_skipped(problems)

    def note_skipped(self, problems: list[str]) -> None:
        """Note in a file of the run, where there is one, that images are left out."""
        if self.skipping.file is not None:
            with self.skipping.file.open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.writelines(f"{problem}\n" for problem in problems)

    def subset(self, positions: Tensor) -> Self:
        """See `Split.subset`; no image is read."""
        return replace(self, members=self.members[positions], labels=self.labels[positions])

    def arranged(self, order: Order) -> tuple[Tensor, bool]:
        """The positions of all images in an order, and whether they are read in blocks."""
        blocks = self.images.blocks(self.members)
        if blocks is None:
            return permutation(order, len(self)), False
        if order.seed is None:
            return permutation(order, len(self)), True
        buffer = self.shuffle_buffer or max(1, int(BUFFER_BYTES / max(1.0, blocks.image_bytes)))
        if blocks.singly and buffer >= len(self):  # as files are
            return permutation(order, len(self)), False
        return torch.searchsorted(self.members, within_buffer(order, blocks.parts, buffer)), True


@dataclass(frozen=True)
class _Wanted:
    """The batches of one pass, each a list of positions with their encoded bytes: of blocks these are read here, by the
    process that trains, so that no block is read by every process that decodes; of single files they are None."""

    split: StreamSplit
    batches: Sequence[Tensor]
    in_blocks: bool

    def __iter__(self) -> Iterator[list[Wanted]]:
        if not self.in_blocks:
            for batch in self.batches:
                yield [(position, None) for position in batch.tolist()]
            return
        encoded = read_in_blocks(self.split.images, [self.split.members[batch] for batch in self.batches])
        for batch, found in zip(self.batches, encoded, strict=True):
            yield list(zip(batch.tolist(), found, strict=True))


class _Samples(Dataset[Tensor]):
    """uint8 images (C, H, W) of one pass over a split.

    Batches are made here, (N, C, H, W) and what is wrong with an image by its position: torch would raise an error of a
    worker process with its traceback as the message.
    """

    def __init__(self, split: StreamSplit, order: Order) -> None:
        self._split = split
        self._order = order
        self._transform = None if order.seed is None else _transform(split)

    def __getitems__(self, wanted: list[Wanted]) -> tuple[Tensor, dict[int, str]]:
        images: list[Tensor] = []
        problems: dict[int, str] = {}
        for position, encoded in wanted:
            try:
                images.append(self._changed(self._decoded(position, encoded), position))
            except DataError as error:
                problems[position] = str(error)
        return (torch.stack(images) if images else torch.empty(0)), problems

    def _decoded(self, position: int, encoded: Encoded | None) -> Tensor:
        images, index, white = self._split.images, int(self._split.members[position]), self._split.white
        if isinstance(encoded, DataError):
            raise encoded
        if encoded is None:
            return read_image(images, index, white)
        return decode_image(encoded, images.where(index), white)

    def _changed(self, image: Tensor, position: int) -> Tensor:
        """An image at its size and with its channels, augmented."""
        split = self._split
        if self._transform is None or split.augmentation.resized_crop is None:
            image = fit(image, split.image_size, split.centre_crop)
        image = as_channels(image, split.channels)
        if self._transform is not None:
            # the transforms draw from the process's global generator: seed it for this image and restore it
            with torch.random.fork_rng(devices=[]):
                generator = self._order.generator("image", position)
                torch.default_generator.set_state(generator.get_state())
                image = self._transform(image)
        return image.contiguous()


def _unchanged(batch: list[Any]) -> Any:
    """What `_Samples.__getitems__` made, which is a batch already; torch declares a list of samples."""
    return batch


def _transform(split: StreamSplit) -> nn.Module:
    from torchvision.transforms import v2

    augmentation = split.augmentation
    steps: list[nn.Module] = [v2.Identity()]
    if augmentation.resized_crop is not None:
        steps.append(v2.RandomResizedCrop(split.image_size, scale=(augmentation.resized_crop, 1), antialias=True))
    if augmentation.crop_padding:
        steps.append(v2.RandomCrop(split.image_size, padding=augmentation.crop_padding))
    if augmentation.flip == "horizontal":
        steps.append(v2.RandomHorizontalFlip())
    if augmentation.colour_jitter:
        strength = augmentation.colour_jitter
        steps.append(v2.ColorJitter(strength, strength, strength))
    if augmentation.policy != "none":
        steps.append(policy_of(augmentation.policy))
    return v2.Compose(steps)
