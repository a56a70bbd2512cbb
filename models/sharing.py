"""One weight for every width, kernel size and number of groups of a layer (NAS-BNN, section 3.3.2 and Figure 2)."""

from enum import Enum
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from models.binary import Kernel, WeightNormalisation, binary_kernel, float_kernel
from models.network import new_weight
from models.unit import BinaryUnit


class Weights(Enum):
    """The domain of a convolution's weights."""

    BINARY = "binary"
    FLOAT = "float"


class _SliceOfGroups(Function):
    """(filters, stored, k, k) -> (channels, channels / groups, k, k): each block of filters reads its own inputs.

    The b-th of `groups` blocks takes the (b mod r)-th run of channels / groups inputs of the first
    s = min(channels, stored) stored ones, of which r = s // (channels / groups) fit.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, channels: int, groups: int) -> Tensor:
        ctx.settings = weight.shape, channels, groups
        return torch.cat([weight[block] for block in _blocks(weight.shape[1], channels, groups)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        shape, channels, groups = ctx.settings
        result = gradient.new_zeros(shape)
        blocks = _blocks(shape[1], channels, groups)
        for block, part in zip(blocks, gradient.chunk(groups), strict=True):
            result[block] = part
        return result, None, None


def _blocks(stored: int, channels: int, groups: int) -> list[tuple[slice, slice]]:
    """Filters and inputs of every block; blocks share no filter, so none overlap."""
    size = channels // groups
    runs = min(channels, stored) // size
    return [
        (slice(block * size, (block + 1) * size), slice(block % runs * size, (block % runs + 1) * size))
        for block in range(groups)
    ]


def slice_groups(weight: Tensor, channels: int, groups: int) -> Tensor:
    """A grouped convolution's weight for one width; (max, stored, k, k) -> (channels, channels / groups, k, k).

    Blocks of filters read stored inputs in turn (round-robin), so that they do not all share the first ones.

    >>> slice_groups(torch.arange(16.0).view(4, 4, 1, 1), channels=4, groups=2).view(4, 2).tolist()
    [[0.0, 1.0], [4.0, 5.0], [10.0, 11.0], [14.0, 15.0]]
    """
    size = channels // groups
    if min(channels, weight.shape[1]) // size == 1:
        return weight[:channels, :size]
    return _SliceOfGroups.apply(weight, channels, groups)


def transform(weight: Tensor, matrix: Tensor) -> Tensor:
    """A matrix (k*k, k*k) on every flattened kernel of (out, in, k, k): new = matrix @ old (equation 5)."""
    filters, inputs, kernel_size, _ = weight.shape
    columns = weight.flatten(2).transpose(1, 2)  # (out, k * k, in)
    columns = torch.bmm(matrix.expand(filters, -1, -1), columns)
    return columns.view(filters, kernel_size, kernel_size, inputs).permute(0, 3, 1, 2)  # channels last, as is best


class SharedKxK(BinaryUnit):
    """The kxk unit of a layer, for all of its widths, kernel sizes and groups.

    `weight` has shape (width, width / fewest groups, K, K), K the largest kernel; a smaller kernel is the centre of the
    next larger one, transformed by a learned matrix of its own (OFA). The Bi-Transformation acts on kernels of size K
    where weights are binary; smaller ones have had their own matrix, and kernels of size 1 have none.
    """

    def __init__(
        self, width: int, kernel_sizes: tuple[int, ...], fewest_groups: int, *, bi_transformation: bool
    ) -> None:
        super().__init__(width, width)
        self.kernel_sizes = kernel_sizes
        largest = kernel_sizes[-1]
        self.weight = new_weight(width, width // fewest_groups, largest, largest)
        self.shrinking = nn.ParameterDict({_step(*pair): _identity(pair[1]) for pair in pairwise(kernel_sizes[::-1])})
        self.bi_transformation = _identity(largest) if bi_transformation and largest > 1 else None

    def cut(self, channels: int, kernel_size: int, groups: int, domain: Weights) -> Tensor:
        """The weight of one member, before normalisation: (channels, channels / groups, k, k), differentiable."""
        weight = slice_groups(self.weight, channels, groups)
        if kernel_size == self.kernel_sizes[-1]:
            matrix = self.bi_transformation
            return weight if domain is Weights.FLOAT or matrix is None else transform(weight, matrix)
        for large, small in pairwise(self.kernel_sizes[self.kernel_sizes.index(kernel_size) :][::-1]):
            margin = (large - small) // 2
            centre = weight[:, :, margin : large - margin, margin : large - margin]
            weight = transform(centre, self.shrinking[_step(large, small)])
        return weight


class SharedPointwise(BinaryUnit):
    """The 1x1 unit of a layer, for all of its widths; `weight` has shape (largest out, largest in, 1, 1)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.weight = new_weight(out_channels, in_channels, 1, 1)

    def cut(self, in_channels: int, out_channels: int) -> Tensor:
        """The weight of one member, before normalisation: (out, in, 1, 1), differentiable."""
        return self.weight[:out_channels, :in_channels]


def kernel_of(weight: Tensor, domain: Weights, normalisation: WeightNormalisation) -> Kernel:
    """What a convolution multiplies with, once a weight is cut."""
    return (binary_kernel if domain is Weights.BINARY else float_kernel)(weight, normalisation)


def _step(large: int, small: int) -> str:
    return f"{large}to{small}"


def _identity(kernel_size: int) -> nn.Parameter:
    return nn.Parameter(torch.eye(kernel_size**2))
