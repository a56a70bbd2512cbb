"""What networks of the width space cost, layer by layer, for any number of them at once."""

from typing import TYPE_CHECKING

import numpy as np

from spaces.cost import Ints, Price, float_convolution, linear, normed_binary_convolution
from spaces.width.architecture import Widths, channels
from spaces.width.bases import IMAGE, LayerKind

if TYPE_CHECKING:
    from spaces.width.space import WidthSpace

_CONVOLUTIONS = {LayerKind.FLOAT: float_convolution, LayerKind.BINARY: normed_binary_convolution}


def prices(space: "WidthSpace", architectures: list[Widths]) -> list[Price]:
    """The price of every layer of every network; entry i of an array is that of architecture i.

    Sizes, kernels and strides are the same in the whole space, so they are those of any member's plan.
    """
    outputs: dict[str, Ints] = {IMAGE: np.full(len(architectures), space.channels, dtype=np.int64)}
    columns = dict(zip(space.network.genes, _table(space, architectures).T, strict=True))
    base = {convolution.name: convolution for convolution in space.network.convolutions}
    layers: list[Price] = []
    for plan in space.layers(space.smallest()):
        source = outputs[plan.source]
        if plan.kind is LayerKind.LINEAR:
            layers.append(linear(plan.name, source * plan.positions, plan.cout))
            continue
        ratios, convolution = columns[base[plan.name].gene], base[plan.name]
        widths = np.array([channels(ratio, convolution.channels) for ratio in space.ratios], dtype=np.int64)
        outputs[plan.name] = widths[ratios]
        price = _CONVOLUTIONS[plan.kind]
        layers.append(price(plan.name, source, outputs[plan.name], plan.kernel_size, plan.out_size))
    return layers


def _table(space: "WidthSpace", architectures: list[Widths]) -> Ints:
    """Architectures as rows of indices of ratios, shape (architectures, genes)."""
    index = {ratio: place for place, ratio in enumerate(space.ratios)}
    rows = [[index[ratio] for ratio in widths.ratios] for widths in architectures]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(space.network.genes))
