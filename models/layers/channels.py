"""Slices and paddings of channels, and parameters with one number per channel."""

import torch
from torch import Tensor


def first(values: Tensor, channels: int) -> Tensor:
    """The entries that a subnet of this number of channels uses."""
    return values if values.shape[0] == channels else values[:channels]


def pad_to(channels: int, *gradients: Tensor) -> tuple[Tensor, ...]:
    """The gradients of parameters of which `first` was used: zeros for the others."""
    used = gradients[0].shape[0]
    if used == channels:
        return gradients
    padded = gradients[0].new_zeros(len(gradients), channels)
    torch.stack(gradients, out=padded[:, :used])
    return padded.unbind()


def per_channel(values: Tensor) -> Tensor:
    """(channels,) -> (1, channels, 1, 1), to act on images."""
    return values.view(1, -1, 1, 1)
