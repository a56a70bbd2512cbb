"""What NAS-BNN networks cost, layer by layer, for any number of them at once."""

import numpy as np

from spaces.cost import (
    Ints,
    Price,
    binary_convolution,
    float_convolution,
    int8_convolution,
    linear,
    recoupled,
)
from spaces.nasbnn.architecture import STEM_KERNEL_SIZE, Architecture, Layer
from spaces.nasbnn.declaration import Blocks, NasBnnDeclaration, Stage

_GENES = len(Layer._fields)
_STEMS = {Blocks.NASBNN: int8_convolution, Blocks.REACTNET: float_convolution, Blocks.BNEXT: int8_convolution}


def prices(space: NasBnnDeclaration, architectures: list[Architecture]) -> list[Price]:
    """The price of every possible layer of every network; entry i of an array is that of architecture i. Layers that a
    network does not have cost nothing."""
    genes = _table(space.stages, architectures)
    before = genes[:, 0]
    size = space.image_size // space.stem_stride
    stem = np.full_like(before, space.channels)
    layers = [_STEMS[space.blocks]("stem", stem, before, STEM_KERNEL_SIZE, size)]
    column = 1
    for number, stage in enumerate(space.stages, 1):
        for place in range(1, stage.depths[-1] + 1):
            size = size // stage.stride if place == 1 else size
            width, kernel_size, groups, excite = genes[:, column : column + _GENES].T
            column += _GENES
            there = width > 0
            cin = np.where(there, before, 0)
            name = f"s{number}l{place}"
            kxk = binary_convolution(f"{name}.kxk", cin, cin, kernel_size, np.maximum(groups, 1), size)
            pointwise = binary_convolution(f"{name}.1x1", cin, width, 1, 1, size)
            if space.blocks is Blocks.BNEXT:
                slopes = cin if space.multiplies(number, place) else np.zeros_like(cin)
                kxk, pointwise = recoupled(kxk, excite, slopes), recoupled(pointwise, excite)
            layers += [kxk, pointwise]
            before = np.where(there, width, before)
    layers.append(linear("linear", before, space.classes))
    return layers


def _table(stages: tuple[Stage, ...], architectures: list[Architecture]) -> Ints:
    """Architectures as rows of integers: the stem's width, then the genes of every possible layer, zeros for an absent
    one. Shape (architectures, 1 + 4 * possible layers)."""
    empty = (0,) * _GENES
    rows: list[list[int]] = []
    for architecture in architectures:
        row = [architecture.stem]
        for stage, layers in zip(stages, architecture.stages, strict=True):
            for layer in layers:
                row += layer
            row += empty * (stage.depths[-1] - len(layers))
        rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(len(rows), 1 + _GENES * sum(stage.depths[-1] for stage in stages))
