"""One weight for every width, kernel size and number of groups of a layer (NAS-BNN, section 3.3.2 and Figure 2)."""

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from models.layers.autograd import with_gradient
from models.layers.convolution import half_type, in_own_type
from models.layers.fused.choice import fuses
from models.layers.kernels import Kernel, WeightNormalisation, binary_kernel, float_kernel, fused_kernel, new_weight
from models.layers.modes import Weights
from models.layers.unit import BinaryUnit

if TYPE_CHECKING:
    from models.layers.fused.weights import Cut


def part(weight: Tensor, *index: slice) -> Tensor:
    """weight[index], a view; its gradient is laid into zeros once, where torch's is laid once per axis."""
    if weight[index].shape == weight.shape:
        return weight

    def laid(gradient: Tensor, weight: Tensor) -> Tensor:
        result = gradient.new_zeros(weight.shape)
        result[index] = gradient
        return result

    return with_gradient(weight, lambda weight: weight[index], laid)


def _blocks(weight: Tensor, channels: int, groups: int) -> list[Tensor]:
    """Views of what the blocks of filters read: of whole rounds of runs and of the last, incomplete one.

    Each is a diagonal, of shape (rounds, runs, filters, inputs, k, k) with filters = inputs = channels / groups.
    """
    size = channels // groups
    runs = min(channels, weight.shape[1]) // size
    rounds, rest = divmod(groups, runs)
    parts = [(0, rounds, runs), (rounds * runs, 1, rest)] if rest else [(0, rounds, runs)]
    views: list[Tensor] = []
    for first, turns, count in parts:
        rows = weight[first * size : (first + turns * count) * size, : count * size]
        rows = rows.unflatten(0, (turns, count, size)).unflatten(3, (count, size))
        views.append(rows.diagonal(dim1=1, dim2=3).movedim(-1, 1))
    return views


def slice_groups(weight: Tensor, channels: int, groups: int) -> Tensor:
    """A grouped convolution's weight for one width; (max, stored, k, k) -> (channels, channels / groups, k, k).

    Blocks of filters read stored inputs in turn (round-robin), so that they do not all share the first ones: the b-th
    of `groups` blocks takes the (b mod r)-th run of channels / groups inputs of the first s = min(channels, stored)
    stored ones, of which r = s // (channels / groups) fit.

    >>> slice_groups(torch.arange(16.0).view(4, 4, 1, 1), channels=4, groups=2).view(4, 2).tolist()
    [[0.0, 1.0], [4.0, 5.0], [10.0, 11.0], [14.0, 15.0]]
    """
    size = channels // groups
    if min(channels, weight.shape[1]) // size == 1:
        return part(weight, slice(channels), slice(size))

    def cut(weight: Tensor) -> Tensor:
        return torch.cat([blocks.flatten(0, 2) for blocks in _blocks(weight, channels, groups)])

    def laid(gradient: Tensor, weight: Tensor) -> Tensor:
        result = gradient.new_zeros(weight.shape)
        start = 0
        for blocks in _blocks(result, channels, groups):  # views, so that the gradient is written into `result`
            filters = blocks.shape[:3].numel()
            blocks.copy_(gradient[start : start + filters].unflatten(0, blocks.shape[:3]))
            start += filters
        return result

    return with_gradient(weight, cut, laid)


def transform(weight: Tensor, matrix: Tensor) -> Tensor:
    """A matrix (k*k, k*k) on every flattened kernel of (out, in, k, k): new = matrix @ old (equation 5)."""
    filters, inputs, kernel_size, _ = weight.shape
    columns = weight.flatten(2).transpose(1, 2)  # (out, k * k, in)
    with in_own_type(weight):  # signs must not depend on the precision of a convolution
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
            window = slice(margin, large - margin)
            centre = part(weight, slice(None), slice(None), window, window)
            weight = transform(centre, self.shrinking[_step(large, small)])
        return weight

    def kernel(
        self, channels: int, kernel_size: int, groups: int, domain: Weights, normalisation: WeightNormalisation
    ) -> Kernel:
        """The kernel of one member."""
        if not fuses(self.weight):
            return kernel_of(self.cut(channels, kernel_size, groups, domain), domain, normalisation)
        from models.layers.fused.weights import Cut

        matrix, side = self._matrix(kernel_size, domain)
        size = channels // groups
        cut = Cut(channels, size, side, size, min(channels, self.weight.shape[1]) // size)
        return _fused(self.weight, matrix, cut, domain, normalisation)

    def _matrix(self, kernel_size: int, domain: Weights) -> tuple[Tensor | None, int]:
        """The one matrix (k * k, side * side) that does to stored kernels what `cut` does step by step, and the side of
        their middle that it acts on."""
        side = self.kernel_sizes[-1]
        if kernel_size == side:
            return self.bi_transformation if domain is Weights.BINARY else None, side
        sizes = self.kernel_sizes[self.kernel_sizes.index(kernel_size) :][::-1]
        steps = [self.shrinking[_step(*pair)] for pair in pairwise(sizes)]
        matrix = steps[0]
        for small, step in zip(sizes[1:], steps[1:], strict=False):
            inner = math.isqrt(step.shape[1])
            margin = (small - inner) // 2
            rows = matrix.unflatten(0, (small, small))[margin : margin + inner, margin : margin + inner].flatten(0, 1)
            with in_own_type(rows):
                matrix = step @ rows
        return matrix, math.isqrt(steps[0].shape[1])


class SharedPointwise(BinaryUnit):
    """The 1x1 unit of a layer, for all of its widths; `weight` has shape (largest out, largest in, 1, 1)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels)
        self.weight = new_weight(out_channels, in_channels, 1, 1)

    def cut(self, in_channels: int, out_channels: int) -> Tensor:
        """The weight of one member, before normalisation: (out, in, 1, 1), differentiable."""
        return part(self.weight, slice(out_channels), slice(in_channels))

    def kernel(
        self, in_channels: int, out_channels: int, domain: Weights, normalisation: WeightNormalisation
    ) -> Kernel:
        """The kernel of one member."""
        if not fuses(self.weight):
            return kernel_of(self.cut(in_channels, out_channels), domain, normalisation)
        from models.layers.fused.weights import Cut

        cut = Cut(out_channels, in_channels, 1, out_channels, 1)
        return _fused(self.weight, None, cut, domain, normalisation)


def kernel_of(weight: Tensor, domain: Weights, normalisation: WeightNormalisation) -> Kernel:
    """The kernel of a weight that was cut."""
    return (binary_kernel if domain is Weights.BINARY else float_kernel)(weight, normalisation)


def _fused(
    weight: Tensor, matrix: Tensor | None, cut: "Cut", domain: Weights, normalisation: WeightNormalisation
) -> Kernel:
    dtype = half_type(weight)
    return fused_kernel(weight, matrix, cut, normalisation, dtype, binary=domain is Weights.BINARY)


def _step(large: int, small: int) -> str:
    return f"{large}to{small}"


def _identity(kernel_size: int) -> nn.Parameter:
    return nn.Parameter(torch.eye(kernel_size**2))
