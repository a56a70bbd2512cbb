"""Convolutions and their gradients by the fastest of equal ways; the choices were measured on an AVX2 processor.

In half types (bfloat16, float16) libraries add in float32 and round what comes out. Sums of signs are whole numbers,
which a half type holds up to some size: where a sum may be larger, its terms are cut into parts, each exact, that are
added in float32. So a binary convolution gives the same sums in every type.
"""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from enum import Enum
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from models.layers.autograd import Function, once_differentiable
from models.layers.channels import per_channel

# maps up to this many pixels: a 1x1 convolution is quicker as a product of matrices
_SMALL_MAP = 64
# numbers that stay in a cache while products are added to them
_CACHED = 2**18
# on the CPU, more parts than these take longer than one product in float32
_MOST_PARTS = 3
_HALF = (torch.bfloat16, torch.float16)

Product = Callable[[Tensor, Tensor], Tensor]
"""A convolution of x (N, in, H, W) with a weight (out, in / groups, k, k), in the type of both."""


class Terms(Enum):
    """What is added up in a convolution."""

    SIGNS = "-1 and 1"
    WHOLE = "-1, 0 and 1"
    FLOATS = "any numbers, whose sums are rounded"


def half_type(x: Tensor) -> torch.dtype:
    """The type that convolutions of x compute in: that of autocast, or its own."""
    device = x.device.type
    if not torch.amp.is_autocast_available(device):  # such as meta, on which shapes are counted
        return x.dtype
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def in_own_type(x: Tensor) -> AbstractContextManager[object]:
    """Within the block, layers compute in the type of their tensors, whatever the type of autocast outside is."""
    device = x.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()


def sums(product: Product, x: Tensor, weight: Tensor, groups: int, terms: Terms) -> Tensor:
    """product(x, weight), exact where the terms are whole numbers: (N, out, H', W'), in float32 where x is of a half
    type.

    x and the weight are of one type. On GPUs whole numbers are added in float16, whatever that type is: it holds them
    up to 2048, bfloat16 up to 256, and float32 is many times as slow.
    """
    found = _unwidened(product, x, weight, groups, terms)
    return found.float() if found.dtype in _HALF else found


def _unwidened(product: Product, x: Tensor, weight: Tensor, groups: int, terms: Terms) -> Tensor:
    """As `sums`, but in a half type where that holds them."""
    if terms is Terms.FLOATS:
        return product(x, weight)
    if x.device.type != "cpu" and x.dtype != torch.float64:
        x, weight = x.half(), weight.half()
    if x.dtype not in _HALF:
        return product(x, weight)
    inputs = weight.shape[1]
    size = exact_inputs(weight, terms)
    parts = -(-inputs // size) if size else inputs + 1
    if parts == 1:
        return product(x, weight)
    if parts > inputs or (x.device.type == "cpu" and parts > _MOST_PARTS):
        return product(x.float(), weight.float())
    return _in_parts(product, x, weight, groups, size)


def exact_inputs(weight: Tensor, terms: Terms) -> int:
    """How many of a filter's inputs may be added in the weight's type, so that every sum is exact; 0: not even one.

    A type of p significant bits holds all whole numbers up to 2^p, and the even ones up to 2^(p + 1). A sum of signs is
    even where every tap of the kernel adds an even number of them, at the border of the map, too.

    >>> exact_inputs(torch.ones(1, 64, 3, 3, dtype=torch.bfloat16), Terms.SIGNS)
    56
    """
    limit, taps = round(2 / torch.finfo(weight.dtype).eps), weight.shape[2] * weight.shape[3]
    even = 2 * limit // taps // 2 * 2
    return even if terms is Terms.SIGNS and weight.shape[1] % 2 == 0 and even else limit // taps


def _in_parts(product: Product, x: Tensor, weight: Tensor, groups: int, size: int) -> Tensor:
    """The sum of the products of `size` inputs of every filter at a time, in float32."""
    total: Tensor | None = None
    grouped = x.unflatten(1, (groups, -1))  # (N, groups, in / groups, H, W)
    for some, of_weight in zip(grouped.split(size, 2), weight.split(size, 1), strict=True):
        given = (some.flatten(1, 2), of_weight)
        part = product(*(each.contiguous(memory_format=torch.channels_last) for each in given))
        total = part.float() if total is None else total.add_(part)
    assert total is not None, "filters read at least one channel"
    return total


class _Binary(Function):
    """torch's convolution of binary tensors: exact forward, gradients in the half type."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, settings: tuple[int, int, int, int], terms: Terms) -> Tensor:
        ctx.types, ctx.settings = (x.dtype, weight.dtype), settings
        half = half_type(x)
        x, weight = x.to(half), weight.to(half)
        ctx.save_for_backward(x, weight)
        with in_own_type(x):
            return sums(_torchs(settings), x, weight, settings[3], terms).to(ctx.types[0])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.settings
        settings = [stride] * 2, [padding] * 2, [dilation] * 2, False, [0, 0], groups
        wanted = [*ctx.needs_input_grad[:2], False]
        found = torch.ops.aten.convolution_backward(gradient.to(x.dtype), x, weight, None, *settings, wanted)
        of_both = (None if each is None else each.to(dtype) for each, dtype in zip(found[:2], ctx.types, strict=True))
        return *of_both, None, None


def _torchs(settings: tuple[int, int, int, int]) -> Product:
    stride, padding, dilation, groups = settings
    return lambda x, weight: F.conv2d(x, weight, None, stride, padding, dilation, groups)


def convolve_binary(
    x: Tensor, weight: Tensor, stride: int, padding: int, dilation: int, groups: int, terms: Terms
) -> Tensor:
    """torch's convolution of x (N, in, H, W) with a weight (out, in / groups, k, k), in the type of x.

    Under autocast it computes in the autocast type, forward exactly where the terms are whole numbers.
    """
    if terms is Terms.FLOATS or (half_type(x) == x.dtype and x.device.type == "cpu"):
        return F.conv2d(x, weight, None, stride, padding, dilation, groups).to(x.dtype)
    return _Binary.apply(x, weight, (stride, padding, dilation, groups), terms)


def convolve(x: Tensor, weight: Tensor, stride: int, groups: int, terms: Terms = Terms.FLOATS) -> Tensor:
    """A convolution padded by half a kernel; (N, in, H, W) -> (N, out, H / stride, W / stride). See `sums`."""
    return sums(partial(_convolve, stride=stride, groups=groups), x, weight, groups, terms)


def convolve_unwidened(x: Tensor, weight: Tensor, stride: int, groups: int, terms: Terms) -> Tensor:
    """As `convolve`, but in a half type where that holds the sums: for kernels that read any type."""
    return _unwidened(partial(_convolve, stride=stride, groups=groups), x, weight, groups, terms)


def _convolve(x: Tensor, weight: Tensor, *, stride: int, groups: int) -> Tensor:
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
    layout = torch.channels_last if size <= 16 and x.dtype not in _HALF else torch.contiguous_format
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
