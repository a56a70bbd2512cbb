"""Operations, parameters and bits of a detector, in closed form: backbone, feature pyramid, region proposals, box head.

    >>> from spaces import get_space
    >>> space = get_space("nasbnn")
    >>> cost = detector_cost(space.cost(space.smallest(), 320), 320, DetectorDesign(classes=80))
    >>> round(cost.published_ops / 1e6, 2)  # NAS-BNN-A in Table 3: 140 M
    138.28
    >>> [scale.stride for scale in cost.scales]
    [4, 8, 16, 32]

The convention of Table 3 of NAS-BNN, which the paper does not state, was found by calculation: the network is read at
320 x 320, its stem is float, backbone and pyramid are binary, and what follows the pyramid does not count.
"""

import dataclasses
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from spaces.cost import (
    FLOAT_BITS,
    Cost,
    Ints,
    LayerCost,
    Price,
    float_convolution,
    itemise,
    linear,
    normed_binary_convolution,
)
from spaces.errors import SpaceError, listed

PUBLISHED_SIZE = 320
"""Height and width of the images for which Table 3 counts."""

SCALES = 4
"""How many maps of the backbone a pyramid reads."""

ROI_SIZE = 7
"""Height and width of the maps that the box head reads."""


class Precision(StrEnum):
    """What a part of a detector computes with."""

    BINARY = "binary"
    FLOAT = "float"


@dataclass(frozen=True)
class DetectorDesign:
    """Everything about a detector but its backbone: Faster R-CNN with a feature pyramid.

    `pyramid`, `proposals` (the 3x3 convolution of the region proposal network) and `head` (the two layers of the box
    head) are each binary or float; what puts out scores and boxes is always float. `backbone` is binary, or float for a
    twin to compare with. `channels` are those of the pyramid, `hidden` the width of the box head, `boxes` how many
    proposals the head sees per image. `anchors` is the number of anchors of one place.
    """

    classes: int
    pyramid: Precision = Precision.BINARY
    proposals: Precision = Precision.FLOAT
    head: Precision = Precision.FLOAT
    backbone: Precision = Precision.BINARY
    channels: int = 256
    hidden: int = 1024
    boxes: int = 1000
    anchors: int = 3


DESIGNS = {
    "paper": DetectorDesign(0),
    "float": DetectorDesign(0, Precision.FLOAT, Precision.FLOAT, Precision.FLOAT, Precision.FLOAT),
    "binary": DetectorDesign(0, Precision.BINARY, Precision.BINARY, Precision.BINARY, Precision.BINARY),
}
"""The designs with a name: NAS-BNN's (binary backbone and pyramid), its float twin, and binary but for the outputs."""


@dataclass(frozen=True)
class Scale:
    """A map of the backbone: the layer that puts it out, how many times smaller than the image it is, its channels."""

    layer: str
    stride: int
    channels: int


@dataclass(frozen=True)
class DetectorCost:
    """What a detector costs at one size of images, part by part; the layers of all parts are those of `whole`."""

    scales: tuple[Scale, ...]
    backbone: Cost
    pyramid: Cost
    proposals: Cost
    head: Cost

    @property
    def whole(self) -> Cost:
        """All parts."""
        parts = (self.backbone, self.pyramid, self.proposals, self.head)
        return Cost(tuple(layer for part in parts for layer in part.layers))

    @property
    def published(self) -> Cost:
        """What Table 3 of NAS-BNN counts, at this size: a float stem, then the backbone and the pyramid."""
        stem, *layers = self.backbone.layers
        flops = stem.flops + stem.int8_ops + stem.bops
        return Cost((dataclasses.replace(stem, flops=flops, int8_ops=0, bops=0), *layers, *self.pyramid.layers))

    @property
    def compared(self) -> Cost:
        """What detectors are compared by: operations as `published` counts them; parameters and bits of all parts."""
        heads = (*self.proposals.layers, *self.head.layers)
        uncounted = (dataclasses.replace(layer, flops=0, int8_ops=0, bops=0) for layer in heads)
        return Cost((*self.published.layers, *uncounted))

    @property
    def published_ops(self) -> float:
        """Operations as Table 3 of NAS-BNN counts them, at this size."""
        return self.published.ops


def scales_of(network: Cost, image_size: int, name: str = "this network") -> tuple[Scale, ...]:
    """The four coarsest maps of a network, the finest of them first: of each size what its last layer puts out.

    `network` is its cost at `image_size`. Raises `SpaceError` for a network with fewer sizes.
    """
    *layers, _ = network.layers  # the last one is the classifier
    last = {layer.out_size: layer for layer in layers}
    found = sorted(last.values(), key=lambda layer: -layer.out_size)
    strides = [image_size // layer.out_size for layer in found]
    if len(found) < SCALES or found[-1].out_size * strides[-1] != image_size:
        raise SpaceError(
            f"a detector's pyramid reads maps of {SCALES} sizes, each half as large as the one before; {name} has "
            f"maps of {image_size} pixels divided by {listed(strides)}: take a space with {SCALES} or more stages of "
            "stride 2, or images whose size its strides divide"
        )
    chosen = zip(found[-SCALES:], strides[-SCALES:], strict=True)
    return tuple(Scale(layer.name, stride, layer.out_channels) for layer, stride in chosen)


def detector_cost(network: Cost, image_size: int, design: DetectorDesign, name: str = "this network") -> DetectorCost:
    """What a detector costs on square images, given what its classification network costs at that size.

    The maps of the pyramid are those of the four scales, and one more, half as large as the coarsest, that only the
    proposals read. Raises `SpaceError` for a network without four scales.
    """
    scales = scales_of(network, image_size, name)
    backbone = Cost(network.layers[:-1])
    if design.backbone is Precision.FLOAT:
        backbone = Cost(tuple(map(_in_float, backbone.layers)))
    sizes = [image_size // scale.stride for scale in scales]
    levels = [*sizes, -(-sizes[-1] // 2)]
    convolution = normed_binary_convolution if design.pyramid is Precision.BINARY else float_convolution
    pyramid: list[Price] = []
    for scale, size in zip(scales, sizes, strict=True):
        wide = _ints(design.channels)
        pyramid.append(convolution(f"pyramid.{scale.stride}.1x1", _ints(scale.channels), wide, 1, size))
        pyramid.append(convolution(f"pyramid.{scale.stride}.3x3", wide, wide, 3, size))
    return DetectorCost(
        scales, backbone, itemise(pyramid), Cost(tuple(_proposals(design, levels))), Cost(tuple(_head(design)))
    )


def _proposals(design: DetectorDesign, levels: list[int]) -> list[LayerCost]:
    """The region proposal network, which is applied to every level with the same weights."""
    positions, wide = sum(size**2 for size in levels), _ints(design.channels)
    if design.proposals is Precision.BINARY:
        first = normed_binary_convolution("proposals.3x3", wide, wide, 3, 1)
    else:
        first = _with_bias("proposals.3x3", wide, wide, 3)
    outputs = (
        _with_bias("proposals.scores", wide, _ints(design.anchors), 1),
        _with_bias("proposals.boxes", wide, _ints(4 * design.anchors), 1),
    )
    return [_repeated(layer, positions, levels[0]) for layer in itemise([first, *outputs]).layers]


def _head(design: DetectorDesign) -> list[LayerCost]:
    """The box head, once for every proposal; there is one class more, for the background."""
    inputs, hidden, classes = _ints(design.channels * ROI_SIZE**2), _ints(design.hidden), design.classes + 1
    if design.head is Precision.BINARY:
        layers = [
            normed_binary_convolution("head.1", inputs, hidden, 1, 1),
            normed_binary_convolution("head.2", hidden, hidden, 1, 1),
        ]
    else:
        layers = [linear("head.1", inputs, design.hidden), linear("head.2", hidden, design.hidden)]
    outputs = (linear("head.scores", hidden, classes), linear("head.boxes", hidden, 4 * classes))
    return [_repeated(layer, design.boxes, 1) for layer in itemise([*layers, *outputs]).layers]


def _with_bias(name: str, cin: Ints, cout: Ints, kernel_size: int) -> Price:
    """A float convolution with a bias at one place."""
    price = float_convolution(name, cin, cout, kernel_size, 1)
    params = price.params - cout  # a bias in place of a batch norm's two numbers
    return price._replace(params=params, bits=FLOAT_BITS * params)


def _repeated(layer: LayerCost, times: int, size: int) -> LayerCost:
    """A layer that is applied at several places."""
    return dataclasses.replace(layer, flops=layer.flops * times, bops=layer.bops * times, out_size=size)


def _in_float(layer: LayerCost) -> LayerCost:
    flops = layer.flops + layer.int8_ops + layer.bops
    return dataclasses.replace(layer, flops=flops, int8_ops=0, bops=0, bits=FLOAT_BITS * layer.params)


def _ints(value: int) -> Ints:
    return np.array([value], dtype=np.int64)
