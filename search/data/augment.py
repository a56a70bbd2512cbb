"""Random changes of training images in batches on the device, with every number drawn from a CPU generator."""

# torch is partly untyped
# pyright: reportMissingTypeStubs=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from search.data.config import DataConfig

USUAL = {"cifar10": (4, "horizontal"), "cifar100": (4, "horizontal")}
"""Padding and flip that a known data set gets when the configuration says nothing; no others are changed."""


@dataclass(frozen=True)
class Augmentation:
    """What may happen to a training image: shift in pixels, flip, resized crop (least share of area), colour jitter,
    and then a policy by name."""

    crop_padding: int = 0
    flip: str = "none"
    resized_crop: float | None = None
    colour_jitter: float = 0.0
    policy: str = "none"

    @classmethod
    def of(cls, config: DataConfig) -> Self:
        """The augmentation of a configuration, with what is usual for its data set where it says nothing."""
        padding, flip = USUAL.get(config.name, (0, "none"))
        if config.resized_crop is not None:
            padding = 0
        return cls(
            crop_padding=padding if config.crop_padding is None else config.crop_padding,
            flip=flip if config.flip is None else config.flip,
            resized_crop=config.resized_crop,
            colour_jitter=config.colour_jitter,
            policy=config.policy,
        )


def augment(images: Tensor, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """New images: uint8 or float 0..255 (N, C, H, W) in, the same shape out; the input is never written to.

    The numbers are drawn on the CPU whatever the device, so that a GPU sees the same crops.
    """
    count = len(images)
    if augmentation.resized_crop is not None:
        images = resized_crop(images, augmentation.resized_crop, generator)
    if augmentation.crop_padding:
        offsets = torch.randint(0, 2 * augmentation.crop_padding + 1, (count, 2), generator=generator)
        images = shift(images, offsets, augmentation.crop_padding)
    if augmentation.flip == "horizontal":
        images = flip(images, torch.rand(count, generator=generator) < 0.5)
    if augmentation.colour_jitter:
        low, high = 1 - augmentation.colour_jitter, 1 + augmentation.colour_jitter
        brightness, contrast, saturation = (torch.rand(3, generator=generator) * (high - low) + low).tolist()
        images = jitter(images, brightness, contrast, saturation)
    if augmentation.policy != "none":
        images = by_policy(images, augmentation.policy, generator)
    return images


def policy_of(name: str) -> nn.Module:
    """The policy of torchvision's with this name: RandAugment (2 operations of strength 9) or TrivialAugment."""
    from torchvision.transforms import v2

    return {"randaugment": v2.RandAugment, "trivialaugment": v2.TrivialAugmentWide}[name]()


def by_policy(images: Tensor, name: str, generator: torch.Generator) -> Tensor:
    """Change each image by operations of its own; uint8. The policy draws from torch's own generator, which is seeded
    from ours and then put back."""
    chosen, device = policy_of(name), images.device
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        whole = images.round().to(torch.uint8) if images.is_floating_point() else images
        return torch.stack([chosen(image) for image in whole.cpu()]).to(device)


def shift(images: Tensor, offsets: Tensor, padding: int) -> Tensor:
    """Pad with zeros and crop the original size at `offsets` (N, 2), rows then columns, each 0..2*padding.

    Offset (padding, padding) is the image itself.
    """
    height, width = images.shape[2:]
    padded = F.pad(images, (padding, padding, padding, padding))
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (N, C, 2p+1, 2p+1, H, W), a view
    rows, columns = offsets.to(images.device).unbind(1)
    return windows[torch.arange(len(images), device=images.device), :, rows, columns]


def flip(images: Tensor, chosen: Tensor) -> Tensor:
    """Mirror the `chosen` (bool (N,)) images left to right."""
    return torch.where(chosen.to(images.device)[:, None, None, None], images.flip(-1), images)


def resized_crop(images: Tensor, least: float, generator: torch.Generator) -> Tensor:
    """Crop a random part of at least the share `least` of the area, sides 3:4 to 4:3, and resize it back: float."""
    count = len(images)
    area = torch.rand(count, generator=generator) * (1 - least) + least
    ratio = torch.exp((torch.rand(count, generator=generator) * 2 - 1) * torch.log(torch.tensor(4 / 3)))
    sides = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1).clamp(max=1)  # (N, 2) width, height
    centres = (torch.rand(count, 2, generator=generator) * 2 - 1) * (1 - sides)
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = sides[:, 0], sides[:, 1]
    theta[:, :, 2] = centres
    grid = F.affine_grid(theta, list(images.shape), align_corners=False).to(images.device)
    return F.grid_sample(images.float(), grid, mode="bilinear", padding_mode="border", align_corners=False)


def jitter(images: Tensor, brightness: float, contrast: float, saturation: float) -> Tensor:
    """Scale brightness, contrast (about each image's mean) and saturation (about grey) of a whole batch: float."""
    images = images.float() * brightness
    means = images.mean((1, 2, 3), keepdim=True)
    images = means + (images - means) * contrast
    if images.shape[1] == 3:
        grey = images.mean(1, keepdim=True)
        images = grey + (images - grey) * saturation
    return images.clamp(0, 255)
