"""Binary convolutions as the papers of the width and cell spaces define them: a binariser each, one layer for all."""

from enum import StrEnum
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import Function, once_differentiable

from models.layers.channels import per_channel
from models.layers.kernels import (
    Kernel,
    KernelCache,
    WeightNormalisation,
    binary_kernel,
    float_kernel,
    new_weight,
    sign,
)
from models.layers.kernels import sign_weights as clipped_sign
from models.layers.modes import Activations, Mode, Weights


class Binariser(StrEnum):
    """How weights w and activations x become binary, and what stands in for the gradients (sign(0) = +1 in all).

    DOREFA (DoReFa-Net; width search, equation 1): weights sign(w) * mean |w| over the layer, the gradient passed
    straight through to w; activations round(clip(x, 0, 1)), which is 1 where x > 0.5 and 0 elsewhere (0.5 rounds to the
    even 0), the gradient passed where 0 <= x <= 1.
    XNOR (XNOR-Net, as BNAS uses it): filters are centred over their inputs and clamped to [-1, 1]; sign times the mean
    absolute value per filter. The gradient is that of this product, the mean included (XNOR-Net, equation 12), with the
    identity where |w| <= 1 for that of the sign, times the number of weights of a filter: the public code of BNAS has
    this factor, and its learning rates for SGD train next to nothing without. Activations sign(x), the gradient passed
    where |x| <= 1.
    BIREAL (Bi-Real Net): sign(w) times the mean |w| per filter, held constant in the gradient, the identity where
    |w| <= 1 for that of the sign; activations sign(x) with the gradient 2 - 2|x| inside [-1, 1].
    REACTNET (ReActNet's scale with NAS-BNN's normalisation, its equation 6): as BIREAL, of normalised filters.
    """

    DOREFA = "dorefa"
    XNOR = "xnor"
    BIREAL = "bireal"
    REACTNET = "reactnet"


class _Unit(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return (x > 0.5).to(x.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        # one pass over memory; this function leaves out its bounds, so that they lie just outside [0, 1]
        bounds = torch.finfo(x.dtype)
        return torch.ops.aten.hardtanh_backward(gradient, x, -bounds.tiny, 1 + bounds.eps)


class _TentSign(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        (x,) = ctx.saved_tensors
        distance = x.abs().clamp_(max=1)
        return torch.addcmul(gradient, gradient, distance, value=-1).mul_(2)  # times 2 - 2|x|


class _StraightThrough(Function):
    """The sign of w, where what is meant is scale * sign(w), whose gradient passes to w as it is."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor) -> Tensor:
        ctx.save_for_backward(scale)
        return sign(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        (scale,) = ctx.saved_tensors
        return gradient / scale, None  # the scale is applied behind the convolution: the gradient came through it


class _Amplified(Function):
    """Values as they are, with a gradient that is so many times larger."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: int) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient * ctx.factor, None


def binarise_weights(weight: Tensor, binariser: Binariser) -> Kernel:
    """Signs (out, in / groups, k, k) and scales (out,); only XNOR's scale carries a gradient.

    The scale stays outside the convolution, whose sums are then exact integers, as a 1-bit engine computes them.
    """
    if binariser is Binariser.DOREFA:
        scale = weight.detach().abs().mean().clamp(min=torch.finfo(weight.dtype).tiny)  # the gradient divides by it
        return Kernel(_StraightThrough.apply(weight, scale), scale.expand(weight.shape[0]))
    if binariser is Binariser.XNOR:
        centred = _centred(_Amplified.apply(weight, weight[0].numel()))
        signs = clipped_sign(centred)
        # |w| as w * sign(w), whose gradient has two values where that of torch's |w| has a third at 0
        return Kernel(signs, (centred.clamp(-1, 1) * signs.detach()).mean((1, 2, 3)))
    normalisation = WeightNormalisation.PAPER if binariser is Binariser.REACTNET else WeightNormalisation.NONE
    return binary_kernel(weight, normalisation)


def float_weights(weight: Tensor, binariser: Binariser) -> Kernel:
    """What the signs of `binarise_weights` are taken of, for binary activations with float weights: no scale.

    DOREFA and BIREAL: the weights as they are. XNOR: centred and clamped. REACTNET: normalised.
    """
    if binariser is Binariser.XNOR:
        return Kernel(_centred(weight).clamp(-1, 1), None)
    normalisation = WeightNormalisation.PAPER if binariser is Binariser.REACTNET else WeightNormalisation.NONE
    return float_kernel(weight, normalisation)


def binarise_activations(x: Tensor, binariser: Binariser) -> Tensor:
    """Two values, of x's shape and type: 0 and 1 for DOREFA, -1 and +1 for the others."""
    if binariser is Binariser.DOREFA:
        return _Unit.apply(x)
    return clipped_sign(x) if binariser is Binariser.XNOR else _TentSign.apply(x)


class BinaryConv2d(nn.Module):
    """Binarise the input, convolve, scale: (N, in, H, W) -> (N, out, H', W'), with the arguments of torch's `Conv2d`.

    Padding is zeros behind the binarisation: it adds nothing to a sum, whether activations are signs or 0 and 1.
    `mode` may be changed at any time (`set_mode`): FWBA convolves with `float_weights`; FWFA is a plain convolution of
    ReLU(x), since a network whose only other non-linearity was the binarisation would be linear without one.
    Under autocast the convolution runs in the autocast type, the rest in the type of x. Raises `ValueError` for XNOR
    with filters that read a single channel, which centring would make zero.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        *,
        binariser: Binariser,
        mode: Mode = Mode.BWBA,
    ) -> None:
        super().__init__()
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} and {out_channels} channels do not divide into {groups} groups")
        if binariser is Binariser.XNOR and in_channels == groups:
            raise ValueError(
                f"xnor centres a filter over its input channels; with {in_channels} channels in {groups} groups it "
                "reads one, and would be zero. Use fewer groups or another binariser"
            )
        self.weight = new_weight(out_channels, in_channels // groups, kernel_size, kernel_size)
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.groups = groups
        self.binariser = binariser
        self.mode = mode
        self._kernels = KernelCache()

    def kernel(self) -> Kernel:
        """What the convolution multiplies with in the present mode; kept while gradients are off."""
        if self.mode is Mode.FWFA:
            return Kernel(self.weight, None)
        make = binarise_weights if self.mode.weights is Weights.BINARY else float_weights
        return self._kernels.get(self.weight, make, self.binariser)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H', W')."""
        return self.convolve(self.binarised(x))

    def binarised(self, x: Tensor) -> Tensor:
        """What the convolution reads: layers of one binariser and mode that read the same x may share it."""
        return binarise_activations(x, self.binariser) if self.mode.activations is Activations.BINARY else F.relu(x)

    def convolve(self, inputs: Tensor) -> Tensor:
        """`binarised` inputs (N, in, H, W) -> (N, out, H', W')."""
        kernel = self.kernel()
        weight, padding = _reaching(kernel.weight, max(inputs.shape[2:]), self.padding, self.dilation)
        sums = F.conv2d(inputs, weight, None, self.stride, padding, self.dilation, self.groups).to(inputs.dtype)
        return sums if kernel.scale is None else sums * per_channel(kernel.scale)

    def extra_repr(self) -> str:
        """The settings, for print(network)."""
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        return (
            f"{in_channels * self.groups}, {out_channels}, kernel_size={kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, {self.binariser}, {self.mode}"
        )


def set_mode(network: nn.Module, mode: Mode) -> None:
    """Give every `BinaryConv2d` of a network this mode."""
    for module in network.modules():
        if isinstance(module, BinaryConv2d):
            module.mode = mode


def _reaching(weight: Tensor, size: int, padding: int, dilation: int) -> tuple[Tensor, int]:
    """The middle of a kernel, and its padding, without the border that meets nothing but padding on so small a map.

    A dilated 5x5 kernel on a map of 2x2 is a 1x1 kernel, twenty-five times as quick. Padding by half a kernel is meant;
    with any other the kernel stays whole.
    """
    half = weight.shape[-1] // 2
    cut = half - min(half, (size - 1) // dilation)
    if cut == 0 or padding != dilation * half or weight.shape[-1] % 2 == 0:
        return weight, padding
    return weight[:, :, cut:-cut, cut:-cut], padding - cut * dilation


def _centred(weight: Tensor) -> Tensor:
    """Every position of every filter at zero mean over the inputs that it reads."""
    return weight - weight.mean(1, keepdim=True)
