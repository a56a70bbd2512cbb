"""A split whose images stay in their files and are decoded and augmented by worker processes as they are needed."""

# torch is partly untyped, and torchvision has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from search.data.augment import Augmentation, policy_of
from search.data.dataset import Normalisation
from search.data.order import Order, numbered_batches, permutation
from search.data.sources.decode import EncodedImages, as_channels, fit, read_image


@dataclass(eq=False)
class StreamSplit:
    """Images decoded when they are needed.

    `members` are the positions in `images` of this split's images, `labels` their classes, both int64 (N,). The
    augmentation of an image depends on the order's seed and the image's position alone: the number of workers changes
    nothing. Images from Parquet files are shuffled in two steps, the row groups and then the rows of as many row groups
    as a reader keeps, since reading one row means reading its group; do not sort such a file by class.
    """

    images: EncodedImages
    members: Tensor
    labels: Tensor
    image_size: int
    channels: int
    centre_crop: float
    normalisation: Normalisation
    augmentation: Augmentation
    workers: int

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, batch_size: int, *, order: Order, device: torch.device) -> Iterator[tuple[Tensor, Tensor]]:
        """See `Split.batches`. Raises `DataError` that names an image which cannot be decoded."""
        batches = [positions for _, positions in numbered_batches(order, self._positions(order), batch_size)]
        loader = DataLoader(
            _Samples(self, order),
            batch_sampler=[positions.tolist() for positions in batches],
            num_workers=self.workers if len(batches) > 1 else 0,
            pin_memory=device.type == "cuda",
            # without one of its own the loader would draw from the process's global generator
            generator=torch.Generator().manual_seed(0),
        )
        for positions, images in zip(batches, loader, strict=True):
            batch = images.to(device, non_blocking=True)
            yield self.normalisation(batch), self.labels[positions].to(device)

    def subset(self, positions: Tensor) -> Self:
        """See `Split.subset`; no image is read."""
        return replace(self, members=self.members[positions], labels=self.labels[positions])

    def _positions(self, order: Order) -> Tensor:
        blocks = None if order.seed is None else self.images.blocks(self.members)
        if blocks is None:
            return permutation(order, len(self))
        members, kept = blocks
        generator = order.generator("permutation")
        shuffled = [members[number] for number in torch.randperm(len(members), generator=generator).tolist()]
        windows = [torch.cat(shuffled[start : start + kept]) for start in range(0, len(shuffled), kept)]
        found = torch.cat([window[torch.randperm(len(window), generator=generator)] for window in windows])
        return torch.searchsorted(self.members, found)


class _Samples(Dataset[Tensor]):
    """uint8 images (C, H, W) of one pass over a split, by position."""

    def __init__(self, split: StreamSplit, order: Order) -> None:
        self._split = split
        self._order = order
        self._transform = None if order.seed is None else _transform(split)

    def __getitem__(self, position: int) -> Tensor:
        split = self._split
        image = read_image(split.images, int(split.members[position]))
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
