"""The parts of a detector that may be binary: blocks of the pyramid, the proposals' convolution, the box head.

Binary layers are those of ReActNet: signs of the inputs, signs of normalised filters with one scale each. A shortcut
goes around every one that keeps the shape, since signs alone lose the values. In the heads a group norm follows, whose
statistics are those of one image or box: batches of chosen boxes in training are unlike those of all boxes in use.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models.detection.faster_rcnn import TwoMLPHead
from torchvision.models.detection.rpn import RPNHead
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from models.layers.binarisers import ReActNet
from models.layers.binary import BinaryConv2d, Sizes
from models.layers.channels import per_channel
from models.onebit.lowering.folding import fold_norm
from spaces.cost.detector import ROI_SIZE, DetectorDesign, Precision

_GROUP = 16  # channels of a group, since the box head's maps are of one pixel


class BinaryBlock(nn.Module):
    """A binary convolution, a norm, and the shortcut where the shape stays: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, norm: nn.Module) -> None:
        super().__init__()
        sizes = Sizes(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
        self.convolution = BinaryConv2d(sizes, binariser=ReActNet())
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) -> (N, out, H, W)."""
        out = self._folded(x) if self._used and x.device.type == "cpu" else self.norm(self.convolution(x))
        return out + x if out.shape == x.shape else out

    @property
    def _used(self) -> bool:
        return isinstance(self.norm, nn.BatchNorm2d) and not self.training and not torch.is_grad_enabled()

    def _folded(self, x: Tensor) -> Tensor:
        """What the 1-bit engine computes, to the bit: sums of signs, then one rounding after the other."""
        convolution = self.convolution
        sums = F.conv2d(convolution.binarised(x), convolution.kernel().weight, None, 1, convolution.padding)
        factor, constant = fold(self)
        return (sums * per_channel(factor)).add_(per_channel(constant))


def fold(block: BinaryBlock) -> tuple[Tensor, Tensor]:
    """The batch norm of a block and its filters' scales as a factor and a constant of the sums: float32 (out,)."""
    assert isinstance(block.norm, nn.BatchNorm2d)
    folded = fold_norm(block.norm, block.convolution.kernel().scale)
    assert folded.factor is not None
    assert folded.constant is not None
    return torch.from_numpy(folded.factor), torch.from_numpy(folded.constant)


def make_pyramid(channels: Sequence[int], design: DetectorDesign) -> FeaturePyramidNetwork:
    """The feature pyramid over maps of these channels, with one more level for the proposals: torchvision's, whose
    convolutions have a batch norm, and are binary where the design says so."""
    wide = design.channels
    pyramid = FeaturePyramidNetwork(list(channels), wide, LastLevelMaxPool(), norm_layer=nn.BatchNorm2d)
    if design.pyramid is Precision.BINARY:
        laterals = [BinaryBlock(each, wide, 1, nn.BatchNorm2d(wide)) for each in channels]
        pyramid.inner_blocks = nn.ModuleList(laterals)
        pyramid.layer_blocks = nn.ModuleList(BinaryBlock(wide, wide, 3, nn.BatchNorm2d(wide)) for _ in channels)
    return pyramid


def make_proposals(design: DetectorDesign) -> RPNHead:
    """The head of the region proposal network; its outputs are float."""
    head = RPNHead(design.channels, design.anchors)
    if design.proposals is Precision.BINARY:
        block = BinaryBlock(design.channels, design.channels, 3, _group_norm(design.channels))
        head.conv = nn.Sequential(block, nn.ReLU(inplace=True))
    return head


def make_head(design: DetectorDesign) -> nn.Module:
    """The two layers of the box head: maps (boxes, channels, 7, 7) -> (boxes, hidden)."""
    if design.head is Precision.BINARY:
        return BinaryBoxHead(design.channels, design.hidden)
    return TwoMLPHead(design.channels * ROI_SIZE**2, design.hidden)


class BinaryBoxHead(nn.Module):
    """Two binary layers, the first over the whole map of a box, the second with a shortcut."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.first = BinaryConv2d(Sizes(channels, hidden, ROI_SIZE), binariser=ReActNet())
        self.norm = _group_norm(hidden)
        self.second = BinaryBlock(hidden, hidden, 1, _group_norm(hidden))

    def forward(self, x: Tensor) -> Tensor:
        """(boxes, channels, 7, 7) -> (boxes, hidden)."""
        x = self.norm(self.first(x))
        return F.relu(self.second(x)).flatten(1)


class _GroupNorm(nn.GroupNorm):
    """Torch's, also of one number per channel, as a single box or a map of one pixel has."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's own name
        return torch.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)


def _group_norm(channels: int) -> nn.GroupNorm:
    return _GroupNorm(math.gcd(channels, max(1, channels // _GROUP)), channels)
