"""Convolutions and their gradients by the fastest of equal ways; the choices were measured on an AVX2 processor."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers.channels import per_channel

# maps up to this many pixels: a 1x1 convolution is quicker as a product of matrices
_SMALL_MAP = 64
# numbers that stay in a cache while products are added to them
_CACHED = 2**18


def convolve(x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """A convolution padded by half a kernel; (N, in, H, W) -> (N, out, H / stride, W / stride)."""
    if _as_matrices(x, weight, stride, groups):
        return F.linear(x.permute(0, 2, 3, 1), weight.flatten(1)).permute(0, 3, 1, 2)
    return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, 1, groups)


def input_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """The gradient of `convolve` with respect to x, in memory of its own; shaped as x."""
    if _as_matrices(x, weight, stride, groups):
        return (_pixels(gradient) @ weight.flatten(1)).view(len(x), *x.shape[2:], x.shape[1]).permute(0, 3, 1, 2)
    return _torchs_own(gradient, x, weight, stride, groups)[0]


def weight_gradient(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """The gradient of `convolve` with respect to its weight; shaped as the weight."""
    if _as_matrices(x, weight, stride, groups):
        return (_pixels(gradient).T @ _pixels(x)).view(weight.shape)
    if x.device.type == "cpu" and weight.shape[-1] > gradient.shape[-1]:
        return _as_a_convolution(gradient, x, weight, stride, groups)
    return _torchs_own(gradient, x, weight, stride, groups, of_weight=True)[1]


def _as_matrices(x: Tensor, weight: Tensor, stride: int, groups: int) -> bool:
    small = x.shape[2] * x.shape[3] <= _SMALL_MAP
    return x.device.type == "cpu" and small and weight.shape[-1] == 1 and stride == 1 and groups == 1


def _pixels(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N * H * W, C), without a copy where channels lie last in memory."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _as_a_convolution(gradient: Tensor, x: Tensor, weight: Tensor, stride: int, groups: int) -> Tensor:
    """A weight's gradient as a convolution whose sum runs over images: 2 to 3 times faster for kernels above the map.

    Images and channels change places: x becomes (in / groups, groups * N, H, W), the gradient a kernel (out, N, h, w)
    with the stride as its dilation, and what comes out is (in / groups, out, k, k).
    """
    images, channels = x.shape[:2]
    size, kernel_size = channels // groups, weight.shape[-1]
    x = x.unflatten(1, (groups, size)).permute(2, 1, 0, 3, 4).reshape(size, groups * images, *x.shape[2:])
    layout = torch.channels_last if size <= 16 else torch.contiguous_format
    x = x.contiguous(memory_format=layout)
    kernel = gradient.transpose(0, 1).contiguous(memory_format=layout)
    result = F.conv2d(x, kernel, None, 1, kernel_size // 2, stride, groups)
    return result[:, :, :kernel_size, :kernel_size].transpose(0, 1)


def _torchs_own(
    gradient: Tensor, x: Tensor, weight: Tensor, stride: int, groups: int, *, of_weight: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    padding = weight.shape[-1] // 2
    settings = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups
    wanted = [not of_weight, of_weight, False]
    return torch.ops.aten.convolution_backward(gradient, x, weight, None, *settings, wanted)


@torch.no_grad()
def convolve_in_order(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """As `convolve` without groups, and without gradients: (N, in, H, W) -> (N, out, H / stride, W / stride).

    Products are added one after the other by taps (ky, kx) and channels, each rounded by itself, as the 1-bit engine
    adds them: the same bits on every device. Libraries add in orders of their own. Worth it for few channels only.
    """
    out, channels, size, _ = weight.shape
    height, width = (-(-side // stride) for side in x.shape[2:])  # of odd kernels, padded by half of them
    padded = F.pad(x.contiguous(), [size // 2] * 4)
    sums = x.new_zeros((len(x), out, height, width))
    images = max(1, _CACHED // (out * height * width))
    for part, into in zip(padded.split(images), sums.split(images), strict=True):
        product = torch.empty_like(into)
        for ky, kx, channel in itertools.product(range(size), range(size), range(channels)):
            rows, columns = (slice(tap, tap + stride * (n - 1) + 1, stride) for tap, n in ((ky, height), (kx, width)))
            given = part[:, channel : channel + 1, rows, columns]
            into += torch.mul(given, per_channel(weight[:, channel, ky, kx]), out=product)
    return sums.contiguous(memory_format=torch.channels_last)
