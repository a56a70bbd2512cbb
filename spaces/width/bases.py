"""The base networks whose widths are searched, as data: "Searching for accurate binary neural architectures" (2019).

The first layer and the linear layer stay float (section 2), every other convolution is binary. The networks of other
papers that are of this form, and that searches are compared with, have float shortcuts as well, and one has gates. Each
convolution names the gene that sets its width. Convolutions whose outputs are added to one another must be equally
wide, so they share a gene.
"""

from dataclasses import dataclass
from enum import StrEnum

IMAGE = "image"


class LayerKind(StrEnum):
    """What a layer computes with. `GATED` is binary as well, but its batch norm is before the convolution; its sums are
    multiplied with a gate, which a squeeze-and-excite makes of what the convolution reads, and a PReLU follows
    (Real-to-Binary)."""

    FLOAT = "float"
    BINARY = "binary"
    GATED = "gated"
    LINEAR = "linear"


class PoolKind(StrEnum):
    """How a pool makes one number out of a window."""

    MAX = "max"
    AVERAGE = "average"


@dataclass(frozen=True)
class Pool:
    """A pool over windows of `kernel_size`, `stride` apart; its output has the size of its input // `stride`."""

    kind: PoolKind
    kernel_size: int
    stride: int
    padding: int = 0


@dataclass(frozen=True)
class Convolution:
    """One convolution of a base network, the pool after it where there is one, and then batch norm; see `LayerKind`.

    `gene` sets its width, `channels` is its width at ratio 1. `source` is the layer whose output it reads, `IMAGE` for
    the first; `shortcut` the layer whose output is added after its batch norm, or PReLU. Outputs include all these.
    `before` is a pool of what it reads; `relu` says that a ReLU follows its batch norm.
    """

    name: str
    gene: str
    channels: int
    source: str
    kind: LayerKind = LayerKind.BINARY
    kernel_size: int = 3
    stride: int = 1
    pool: Pool | None = None
    shortcut: str | None = None
    before: Pool | None = None
    relu: bool = False

    @property
    def shrinks(self) -> int:
        """By how much the output's maps are smaller than those that are read."""
        return self.stride * (self.pool.stride if self.pool else 1) * (self.before.stride if self.before else 1)


class End(StrEnum):
    """What becomes of the last maps before they are pooled."""

    RELU = "relu"
    NONE = "none"


class Head(StrEnum):
    """How the linear layer reads the last maps: as they are, pixel by pixel, or averaged to one number per channel."""

    FLATTEN = "flatten"
    AVERAGE = "average"


@dataclass(frozen=True)
class BaseNetwork:
    """A network at ratio 1: convolutions in an order in which each comes after those it reads, then a linear layer.

    `numberwise`: whether the operations that its paper gives are more than those of convolutions and the linear layer
    (`spaces.width.numberwise`).
    """

    name: str
    convolutions: tuple[Convolution, ...]
    head: Head
    end: End = End.RELU
    numberwise: bool = False

    @property
    def genes(self) -> tuple[str, ...]:
        """The genes in the order in which an image meets them, which is the order of the ratios in the text form."""
        return tuple(dict.fromkeys(convolution.gene for convolution in self.convolutions))

    @property
    def stride(self) -> int:
        """By how much the maps shrink on the way to the last convolution: image sizes are multiples of it."""
        shrinks = {IMAGE: 1}
        for convolution in self.convolutions:
            shrinks[convolution.name] = shrinks[convolution.source] * convolution.shrinks
        return shrinks[self.convolutions[-1].name]


_HALVE, _MEANS = Pool(PoolKind.MAX, 2, 2), Pool(PoolKind.AVERAGE, 2, 2)
_STEM_POOL = Pool(PoolKind.MAX, 3, 2, 1)
_WIDTHS = (64, 128, 256, 512)


def _vgg(name: str, *blocks: int) -> BaseNetwork:
    """Two convolutions per block with a max pool after the second: the VGG of DoReFa-Net. One gene per convolution.

    The pool is between convolution and batch norm, so that maxima are taken of sums of signs before anything is scaled.
    The float first layer's width is searched, too: only so does the uniform 4x network have the paper's 166 M OPs.
    """
    convolutions: list[Convolution] = []
    source = IMAGE
    for channels in blocks:
        for pool in (None, _HALVE):
            label = f"conv{len(convolutions) + 1}"
            kind = LayerKind.BINARY if convolutions else LayerKind.FLOAT
            convolutions.append(Convolution(label, label, channels, source, kind, pool=pool))
            source = label
    return BaseNetwork(name, tuple(convolutions), Head.FLATTEN)


def _resnet(
    name: str,
    widths: tuple[int, ...],
    blocks: int,
    stem_kernel_size: int,
    stem_stride: int,
    stem_pool: Pool | None,
    down: LayerKind = LayerKind.BINARY,
) -> BaseNetwork:
    """A ResNet of blocks of two convolutions with a shortcut around both.

    Genes: `s1` is the width of the stem and of the outputs of all blocks of stage 1, since identity shortcuts add these
    up; `s2`, `s3`, ... that of the outputs in a later stage, with the 1x1 convolution whose output begins their sum;
    `s1b1`, ... that of the first convolution of one block, whose output is added to nothing. So ResNet-18 has 4 + 8
    genes for its 20 convolutions. The 1x1 convolutions (`down`) are binary as all but the first layer are: in float, as
    XNOR-Net has them, the network at ratio 1 has more than the paper's 149 M OPs.
    """
    stem = Convolution("stem", "s1", widths[0], IMAGE, LayerKind.FLOAT, stem_kernel_size, stem_stride, stem_pool)
    convolutions = [stem]
    source = stem.name
    for stage, width in enumerate(widths, 1):
        for block in range(1, blocks + 1):
            label = f"s{stage}b{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            inner = Convolution(f"{label}.conv1", label, width, source, stride=stride)
            shortcut = source
            convolutions.append(inner)
            if stride == 2:
                shortcut = f"{label}.down"
                convolutions.append(Convolution(shortcut, f"s{stage}", width, source, down, kernel_size=1, stride=2))
            convolutions.append(Convolution(f"{label}.conv2", f"s{stage}", width, inner.name, shortcut=shortcut))
            source = f"{label}.conv2"
    return BaseNetwork(name, tuple(convolutions), Head.AVERAGE)


def _bi_real(name: str, blocks: tuple[int, ...], kind: LayerKind = LayerKind.BINARY) -> BaseNetwork:
    """Bi-Real Net (Liu et al., 2018): a ResNet with a shortcut around every convolution, so each stage has one gene.

    Where the maps are halved, the shortcut is a mean of 2x2 pixels, a float 1x1 convolution and its batch norm. Nothing
    is between the last sum and the average of its maps. With gated convolutions and a ReLU after the stem it is
    Real-to-Binary (Martinez et al., 2020, sections 4.1 and 4.3).
    """
    gated = kind is LayerKind.GATED
    convolutions = [Convolution("stem", "s1", _WIDTHS[0], IMAGE, LayerKind.FLOAT, 7, 2, _STEM_POOL, relu=gated)]
    for stage, (width, depth) in enumerate(zip(_WIDTHS, blocks, strict=True), 1):
        for block in range(1, depth + 1):
            for place in (1, 2):
                label, source = f"s{stage}b{block}.conv{place}", convolutions[-1].name
                halves = stage > 1 and block == place == 1
                shortcut = f"s{stage}b{block}.down" if halves else source
                if halves:
                    down = Convolution(shortcut, f"s{stage}", width, source, LayerKind.FLOAT, 1, before=_MEANS)
                    convolutions.append(down)
                stride = 2 if halves else 1
                made = Convolution(label, f"s{stage}", width, source, kind, stride=stride, shortcut=shortcut)
                convolutions.append(made)
    return BaseNetwork(name, tuple(convolutions), Head.AVERAGE, End.NONE, numberwise=gated)


BASES = {
    base.name: base
    for base in (
        _vgg("vgg-small", 128, 256, 512),
        _resnet("resnet-18", _WIDTHS, 2, 7, 2, _STEM_POOL),
        _resnet("resnet-20", (16, 32, 64), 3, 3, 1, None),
        _vgg("vgg-digits", 32, 64),
        _resnet("xnor-resnet-18", _WIDTHS, 2, 7, 2, _STEM_POOL, LayerKind.FLOAT),
        _bi_real("bi-real-18", (2, 2, 2, 2)),
        _bi_real("bi-real-34", (3, 4, 6, 3)),
        _bi_real("real-to-binary-18", (2, 2, 2, 2), LayerKind.GATED),
    )
}
