"""One binary network on its own: what an architecture of a NAS-BNN space stands for."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.autograd import evaluates
from models.layers.convolution import convolve_in_order, in_own_type
from models.layers.kernels import Kernel, KernelCache, WeightNormalisation, binary_kernel, float_kernel, new_weight
from models.layers.lsq import HIGH, LOW, initial_step, keep_positive, quantise_weights
from models.layers.modes import Mode, Weights
from models.layers.tail import NormTail, Tail
from models.layers.unit import BinaryUnit
from models.nasbnn.recoupling import Recoupling
from models.network import Network
from models.options import Options
from spaces import Architecture, Layer, NasBnnSpace
from spaces.nasbnn.declaration import Blocks

STEM_KERNEL_SIZE = 3


@dataclass(frozen=True)
class NetworkOptions(Options):
    """How the weights of every binary convolution are normalised, and what is binary: `mode` FWFA is the float twin,
    FWBA what the first of two stages trains."""

    weight_normalisation: WeightNormalisation = WeightNormalisation.PAPER
    mode: Mode = Mode.BWBA


class Stem(nn.Module):
    """A 3x3 convolution of float images with 8-bit weights, batch norm and RPReLU; the first `width` filters of it."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.weight = new_weight(width, channels, STEM_KERNEL_SIZE, STEM_KERNEL_SIZE)
        self.step = nn.Parameter(torch.empty(width) if self.weight.is_meta else initial_step(self.weight))
        self.tail = Tail(width)
        self.stride = stride

    def forward(self, images: Tensor, width: int | None = None) -> Tensor:
        """(N, channels, H, W) -> (N, width, H / stride, W / stride)."""
        if evaluates(self):
            return self._evaluate(images, width)
        weight = quantise_weights(self.weight[:width], self.step[:width])
        images = images.contiguous(memory_format=torch.channels_last)
        with in_own_type(weight):  # which takes little time, and all signs follow from it
            sums = F.conv2d(images.to(weight.dtype), weight, None, self.stride, STEM_KERNEL_SIZE // 2)
        return self.tail(sums.contiguous(memory_format=torch.channels_last), None, None)

    @torch.no_grad()
    def levels(self, width: int | None = None) -> Tensor:
        """The weights as multiples of their channel's step: whole numbers from -128 to 127, (out, in, k, k)."""
        return (self.weight[:width] / self.step[:width, None, None, None]).clamp_(LOW, HIGH).round_()

    def step_taken(self) -> None:
        """The optimiser has moved the weights: keep the steps positive. Without this they cross zero within a few
        updates, and the range of levels turns round."""
        keep_positive(self.step)

    def _evaluate(self, images: Tensor, width: int | None) -> Tensor:
        """What the 1-bit engine computes, to the bit: sums of levels in its order; the batch norm holds the step."""
        levels = self.levels(width)
        factor, constant = self.tail.folded(len(levels), None)
        sums = convolve_in_order(images.to(levels.dtype), levels, self.stride)
        return self.tail.finish(sums, factor * self.step[:width], constant, None)


class FloatStem(nn.Module):
    """A 3x3 float convolution and batch norm (ReActNet); the first `width` filters of it."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.weight = new_weight(width, channels, STEM_KERNEL_SIZE, STEM_KERNEL_SIZE)
        self.tail = NormTail(width)
        self.stride = stride

    def forward(self, images: Tensor, width: int | None = None) -> Tensor:
        """(N, channels, H, W) -> (N, width, H / stride, W / stride)."""
        images, weight = images.contiguous(memory_format=torch.channels_last), self.weight[:width]
        if evaluates(self):
            sums = convolve_in_order(images.to(weight.dtype), weight, self.stride)  # to the bit as the 1-bit engine
        else:
            with in_own_type(weight):
                sums = F.conv2d(images.to(weight.dtype), weight, None, self.stride, STEM_KERNEL_SIZE // 2)
        return self.tail(sums.contiguous(memory_format=torch.channels_last), None, None)


def make_stem(space: NasBnnSpace, width: int) -> Stem | FloatStem:
    """The stem that belongs to the space's blocks."""
    kind = FloatStem if space.blocks is Blocks.REACTNET else Stem
    return kind(space.channels, width, space.stem_stride)


class ConvolutionUnit(BinaryUnit):
    """A `BinaryUnit` with a weight of its own: (out, in / groups, k, k). `mode` may be changed at any time; in FWFA the
    convolution multiplies the values themselves, shifted, with the normalised weight."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: int, stride: int, groups: int, options: NetworkOptions
    ) -> None:
        super().__init__(in_channels, out_channels)
        self.weight = new_weight(out_channels, in_channels // groups, kernel_size, kernel_size)
        self.stride = stride
        self.groups = groups
        self.options = options
        self.mode = options.mode
        self._kernels = KernelCache()

    def kernel(self) -> Kernel:
        """Signs and scales of the weight; kept while gradients are off and the weight is the same and unchanged."""
        make = binary_kernel if self.mode.weights is Weights.BINARY else float_kernel
        return self._kernels.get(self.weight, make, self.options.weight_normalisation)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H / stride, W / stride)."""
        return self.run(x, self.kernel(), self.stride, self.groups, self.mode.activations)


class SeparableConvolution(nn.Module):
    """A block: a kxk unit that keeps the width, then a 1x1 unit that sets it (NAS-BNN, section 3.2)."""

    def __init__(self, in_channels: int, layer: Layer, stride: int, options: NetworkOptions) -> None:
        super().__init__()
        self.kxk = ConvolutionUnit(in_channels, in_channels, layer.kernel_size, stride, layer.groups, options)
        self.pointwise = ConvolutionUnit(in_channels, layer.width, 1, 1, 1, options)

    def recouple(self, excites: tuple[int, ...], *, multiplies: bool) -> None:
        """Make it a block of BNext."""
        self.kxk.tail = Recoupling(len(self.kxk.weight), excites, multiplies=multiplies)
        self.pointwise.tail = Recoupling(len(self.pointwise.weight), excites, multiplies=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, width, H / stride, W / stride)."""
        return self.pointwise(self.kxk(x))


class BinaryNetwork(Network[NasBnnSpace, Architecture, NetworkOptions]):
    """The network of one architecture (NAS-BNN, Table 1), with random weights, or those that a supernet extracted.

    Its learnable numbers are as many as `space.cost(architecture).params` says. Raises `SpaceError` for an architecture
    that is not in the space.
    """

    def __init__(self, space: NasBnnSpace, architecture: Architecture, options: NetworkOptions | None = None) -> None:
        super().__init__()
        self.space = space
        self.architecture = space.require(architecture)
        self.options = options or NetworkOptions()
        self.stem = make_stem(space, architecture.stem)
        width = architecture.stem
        self.stages = nn.ModuleList()
        for number, (stage, layers) in enumerate(zip(space.stages, architecture.stages, strict=True), 1):
            blocks = nn.ModuleList()
            for place, layer in enumerate(layers, 1):
                block = SeparableConvolution(width, layer, stage.stride if place == 1 else 1, self.options)
                if space.blocks is Blocks.BNEXT:
                    block.recouple((layer.excite,), multiplies=space.multiplies(number, place))
                blocks.append(block)
                width = layer.width
            self.stages.append(blocks)
        self.classifier = nn.Linear(width, space.classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits: float images (N, channels, H, W) -> (N, classes)."""
        x = self.stem(images)
        for block in self.blocks():
            x = block(x)
        with in_own_type(x):
            return self.classifier(x.mean((2, 3)))  # (N, last width) -> (N, classes)

    def parts(self) -> dict[str, nn.Module]:
        """See `Network.parts`: the stem and the blocks."""
        return {"stem": self.stem, **dict(zip(part_names(self.architecture), self.blocks(), strict=True))}

    def maps(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """See `Network.maps`."""
        x = images
        for name, part in self.parts().items():
            x = part(x)
            yield name, x

    def blocks(self) -> Iterator[SeparableConvolution]:
        """All blocks, from input to output."""
        for blocks in self.stages:
            for block in blocks.children():
                assert isinstance(block, SeparableConvolution)
                yield block


def part_names(architecture: Architecture) -> list[str]:
    """What `space.cost` calls the last layer of every block, from input to output."""
    return [
        f"s{stage}l{place}.1x1"
        for stage, layers in enumerate(architecture.stages, 1)
        for place, _ in enumerate(layers, 1)
    ]
