"""The lowering of NAS-BNN networks: stem, units, mean, classifier."""

from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from models.layers.modes import Mode
from models.layers.tail import Tail
from models.nasbnn.network import BinaryNetwork, ConvolutionUnit, FloatStem, SeparableConvolution, Stem
from models.onebit import operations as op
from models.onebit.lowering.folding import Builder, floats


def lower_nasbnn(network: BinaryNetwork, builder: Builder) -> None:
    """Add the operations of a network."""
    tensor = 0
    for part in network.parts().values():
        tensor = lower_part(part, tensor, builder)
    builder.add_classifier(network.classifier, builder.add(op.GlobalAverage(tensor)))


def lower_part(part: nn.Module, tensor: int, builder: Builder) -> int:
    """Add one of `Network.parts` that reads a tensor; the number of what it puts out."""
    if isinstance(part, Stem):
        return _stem(part, tensor, builder)
    if isinstance(part, FloatStem):
        return _float_stem(part, tensor, builder)
    assert isinstance(part, SeparableConvolution)
    return _unit(part.pointwise, _unit(part.kxk, tensor, builder), builder)


def _fold_tail(tail: Tail, scale: Tensor | None, shortcut: int | None) -> op.Epilogue:
    """Batch norm of scale * c, shortcut and RPReLU; the RPReLU's first shift is a part of the constant."""
    factor, constant = tail.folded(len(tail.slope), scale)
    return op.Epilogue(
        factor=floats(factor),
        constant=floats(constant),
        shortcut=shortcut,
        activation=op.Activation.RPRELU,
        slope=floats(tail.slope),
        shift=floats(tail.shift_out),
    )


def _stem(stem: Stem, tensor: int, builder: Builder) -> int:
    step = stem.step
    kernel = stem.weight.shape[-1]
    geometry = op.Geometry(kernel, stem.stride, kernel // 2)
    weight = np.ascontiguousarray(stem.levels().permute(2, 3, 1, 0).cpu().numpy().astype(np.int8))
    tail = _fold_tail(stem.tail, None, None)
    assert tail.factor is not None
    tail = replace(tail, factor=tail.factor * floats(step))  # a learned step may be negative
    return builder.add(op.FloatConvolution(tensor, len(step), geometry, weight, tail))


def _float_stem(stem: FloatStem, tensor: int, builder: Builder) -> int:
    geometry = op.Geometry(stem.weight.shape[-1], stem.stride, stem.weight.shape[-1] // 2)
    factor, constant = map(floats, stem.tail.folded(len(stem.weight), None))
    taps = floats(stem.weight.permute(2, 3, 1, 0))
    return builder.add(op.FloatConvolution(tensor, len(factor), geometry, taps, op.Epilogue(factor, constant)))


def _unit(unit: ConvolutionUnit, tensor: int, builder: Builder) -> int:
    if unit.mode is not Mode.BWBA:
        raise TypeError(f"a network in mode {unit.mode.name} is not binary; export one in mode BWBA")
    kernel = unit.kernel()
    out_channels, _, size, _ = kernel.weight.shape
    signs = kernel.weight.permute(0, 2, 3, 1) > 0
    assert kernel.scale is not None
    geometry = op.Geometry(size, unit.stride, size // 2, groups=unit.groups)
    threshold, bits = floats(0.0 - unit.shift), op.pack_signs(signs.cpu().numpy())  # a bit is x + shift >= 0
    tail = _fold_tail(unit.tail, kernel.scale, tensor)
    return builder.add(op.BinaryConvolution(tensor, out_channels, geometry, op.Encoding.SIGNS, threshold, bits, tail))
