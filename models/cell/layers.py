"""The layers of a cell, one by one: what stands on its edges, at its inputs and on its skip."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.binarisers import make_binariser
from models.layers.binary import BinaryConv2d, Sizes
from models.layers.modes import Mode
from spaces.cell import LayerPlan


class Zeroise(nn.Module):
    """Zeros in the place of the input, which gets no gradient (BNAS, section 2.1 of v2)."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> zeros (N, C, H / stride, W / stride)."""
        return torch.zeros_like(x[:, :, :: self.stride, :: self.stride])


class Pool(nn.Module):
    """A 3x3 pool, and a batch norm without parameters after it while an architecture is searched.

    The average leaves padding out.
    """

    def __init__(self, plan: LayerPlan, norm: nn.BatchNorm2d | None = None) -> None:
        super().__init__()
        self.kind = plan.kind
        self.kernel_size = plan.kernel_size
        self.stride = plan.stride
        self.padding = plan.padding
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H / stride, W / stride)."""
        if self.kind == "max":
            x = F.max_pool2d(x, self.kernel_size, self.stride, self.padding)
        else:
            x = F.avg_pool2d(x, self.kernel_size, self.stride, self.padding, count_include_pad=False)
        return x if self.norm is None else self.norm(x)


class BinaryLayer(nn.Module):
    """Batch norm -> sign -> binary convolution -> ReLU."""

    def __init__(self, norm: nn.BatchNorm2d, convolution: BinaryConv2d) -> None:
        super().__init__()
        self.norm = norm
        self.convolution = convolution

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return F.relu(self.convolution(self.norm(x)), inplace=True)


class FloatInput(nn.Module):
    """ReLU -> float convolution -> batch norm without parameters: a cell's input while an architecture is searched."""

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        self.convolution = float_convolution(plan)
        self.norm = plain_norm(plan.cout)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return self.norm(self.convolution(F.relu(x)))


class SkipConvolution(nn.Module):
    """Batch norm -> float convolution: the skip over a reduction cell."""

    def __init__(self, plan: LayerPlan) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(plan.cin)
        self.convolution = float_convolution(plan)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return self.convolution(self.norm(x))


class Stem(nn.Module):
    """Float convolutions, each followed by batch norm, with ReLU between one and the next."""

    def __init__(self, plans: tuple[LayerPlan, ...]) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList(float_convolution(plan) for plan in plans)
        self.norms = nn.ModuleList(nn.BatchNorm2d(plan.cout) for plan in plans)

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, channels, H, W) -> the output of every convolution's batch norm."""
        outputs: list[Tensor] = []
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            sums = convolution(F.relu(outputs[-1]) if outputs else images)
            # on a CPU the layers of a cell, pools above all, are quicker so
            outputs.append(norm(sums.contiguous(memory_format=torch.channels_last)))
        return outputs


def layer_of(plan: LayerPlan, binariser: str, mode: Mode) -> nn.Module:
    """The layer of an edge, or of a cell's input, in a final network."""
    if plan.kind == "none":
        return Zeroise(plan.stride)
    if plan.kind == "binary":
        return BinaryLayer(nn.BatchNorm2d(plan.cin), binary_convolution(plan, binariser, mode))
    return Pool(plan)


def binary_convolution(plan: LayerPlan, binariser: str, mode: Mode) -> BinaryConv2d:
    """The binary convolution of a plan."""
    return BinaryConv2d(_sizes(plan), binariser=make_binariser(binariser), mode=mode)


def float_convolution(plan: LayerPlan) -> nn.Conv2d:
    """The float convolution of a plan, without bias."""
    return nn.Conv2d(*_sizes(plan), bias=False)


def _sizes(plan: LayerPlan) -> Sizes:
    """The first arguments of `nn.Conv2d`, and of `BinaryConv2d`."""
    return Sizes(plan.cin, plan.cout, plan.kernel_size, plan.stride, plan.padding, plan.dilation, plan.groups)


def plain_norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm without parameters: while architecture weights are learned, no layer has a scale to rival them."""
    return nn.BatchNorm2d(channels, affine=False)
