"""The binary convolution of the width and cell spaces: one layer for all binarisers and modes."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.binarisers import Binariser
from models.layers.channels import per_channel
from models.layers.convolution import Terms, convolve_binary
from models.layers.kernels import Kernel, KernelCache, new_weight
from models.layers.modes import Activations, Mode, Weights
from models.layers.unit import BinaryUnit


class Sizes(NamedTuple):
    """The arguments of torch's `Conv2d`, in its order."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1


class BinaryConv2d(nn.Module):
    """Binarise the input, convolve, scale: (N, in, H, W) -> (N, out, H', W'), with the sizes of torch's `Conv2d`.

    Padding is zeros after the binarisation: it adds nothing to a sum, whether activations are signs or 0 and 1.
    `mode` may be changed at any time (`set_mode`): FWBA convolves with `float_weights`; FWFA is a plain convolution of
    ReLU(x), since a network whose only other non-linearity was the binarisation would be linear without one.
    Under autocast the convolution runs in the autocast type, with exact sums where both sides are binary, the rest in
    the type of x. Raises `ValueError` where filters read fewer channels than the binariser needs.
    """

    def __init__(self, sizes: Sizes, binariser: Binariser, mode: Mode = Mode.BWBA) -> None:
        super().__init__()
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups = sizes
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{in_channels} and {out_channels} channels do not divide into {groups} groups")
        if in_channels // groups < binariser.fewest_inputs:
            raise ValueError(
                f"filters of {type(binariser).__name__} must read at least {binariser.fewest_inputs} channels; "
                f"{in_channels} channels in {groups} groups are too few. Use fewer groups or another binariser"
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
        binary = self.mode.weights is Weights.BINARY
        return self._kernels.get(self.weight, self.binariser.weights if binary else self.binariser.float_weights)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H', W')."""
        return self.convolve(self.binarised(x))

    def binarised(self, x: Tensor) -> Tensor:
        """What the convolution reads: layers of one binariser and mode that read the same x may share it."""
        return self.binariser.activations(x) if self.mode.activations is Activations.BINARY else F.relu(x)

    def convolve(self, inputs: Tensor) -> Tensor:
        """`binarised` inputs (N, in, H, W) -> (N, out, H', W')."""
        kernel = self.kernel()
        weight, padding = _reaching(kernel.weight, max(inputs.shape[2:]), self.padding, self.dilation)
        settings = self.stride, padding, self.dilation, self.groups
        sums = convolve_binary(inputs, weight, *settings, self._terms(kernel))
        return sums if kernel.scale is None else sums * per_channel(kernel.scale)

    def _terms(self, kernel: Kernel) -> Terms:
        if kernel.scale is None or self.mode.activations is Activations.FLOAT:
            return Terms.FLOATS
        return Terms.SIGNS if self.binariser.low == -1 else Terms.WHOLE

    def extra_repr(self) -> str:
        """The settings, for print(network)."""
        out_channels, in_channels, kernel_size, _ = self.weight.shape
        return (
            f"{in_channels * self.groups}, {out_channels}, kernel_size={kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"{type(self.binariser).__name__}, {self.mode}"
        )


def set_mode(network: nn.Module, mode: Mode) -> None:
    """Give every binary convolution of a network this mode."""
    for module in network.modules():
        if isinstance(getattr(module, "mode", None), Mode):
            setattr(module, "mode", mode)  # noqa: B010 - a module declares only parameters and modules


def set_bound(network: nn.Module, bound: float) -> None:
    """Give every binary convolution of a network, or supernet, this bound of its activations' gradient."""
    for module in network.modules():
        if isinstance(module, BinaryConv2d):
            module.binariser = module.binariser.within(bound)
        elif isinstance(module, BinaryUnit):
            module.bound = bound


def set_progress(network: nn.Module, progress: float) -> None:
    """Give every `BinaryConv2d` of a network the binariser of this share of a training's epochs, from 0 to 1."""
    for module in network.modules():
        if isinstance(module, BinaryConv2d):
            module.binariser = module.binariser.at(progress)


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
