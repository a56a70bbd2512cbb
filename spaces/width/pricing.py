"""What networks of the width space cost, layer by layer, for any number of them at once."""

import numpy as np

from spaces.cost import Ints, Price, float_convolution, gated_binary_convolution, linear, normed_binary_convolution
from spaces.width.architecture import Widths, channels
from spaces.width.bases import IMAGE, LayerKind
from spaces.width.declaration import WidthDeclaration
from spaces.width.plan import plan

_CONVOLUTIONS = {
    LayerKind.FLOAT: float_convolution,
    LayerKind.BINARY: normed_binary_convolution,
    LayerKind.GATED: gated_binary_convolution,
}


def prices(space: WidthDeclaration, architectures: list[Widths]) -> list[Price]:
    """The price of every layer of every network; entry i of an array is that of architecture i.

    Sizes, kernels and strides are the same in the whole space, so they are those of the base network's plan.
    """
    outputs: dict[str, Ints] = {IMAGE: np.full(len(architectures), space.channels, dtype=np.int64)}
    columns = dict(zip(space.network.genes, _table(space, architectures).T, strict=True))
    base = {convolution.name: convolution for convolution in space.network.convolutions}
    widths = {name: convolution.channels for name, convolution in base.items()}
    layers: list[Price] = []
    for layer in plan(space.network, widths, space.image_size, space.channels, space.classes):
        source = outputs[layer.source]
        if layer.kind is LayerKind.LINEAR:
            layers.append(linear(layer.name, source * layer.positions, layer.cout))
            continue
        convolution = base[layer.name]
        choices = np.array([channels(ratio, convolution.channels) for ratio in space.ratios], dtype=np.int64)
        outputs[layer.name] = choices[columns[convolution.gene]]
        price = _CONVOLUTIONS[layer.kind]
        layers.append(price(layer.name, source, outputs[layer.name], layer.kernel_size, layer.out_size))
    return layers


def _table(space: WidthDeclaration, architectures: list[Widths]) -> Ints:
    """Architectures as rows of indices of ratios, shape (architectures, genes)."""
    index = {ratio: place for place, ratio in enumerate(space.ratios)}
    rows = [[index[ratio] for ratio in widths.ratios] for widths in architectures]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(space.network.genes))
