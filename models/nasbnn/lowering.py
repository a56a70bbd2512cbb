"""The lowering of NAS-BNN networks: stem, units, mean, classifier."""

from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from models.layers.modes import Mode
from models.layers.tail import Tail
from models.nasbnn.network import BinaryNetwork, ConvolutionUnit, FloatStem, SeparableConvolution, Stem
from models.nasbnn.recoupling import Gate, Recoupling
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

    def convolve(tail: Tail, shortcut: int | None) -> int:
        epilogue = _fold_tail(tail, kernel.scale, shortcut)
        signed = op.BinaryConvolution(tensor, out_channels, geometry, op.Encoding.SIGNS, threshold, bits, epilogue)
        return builder.add(signed)

    if isinstance(unit.tail, Recoupling):
        return _recoupling(unit.tail, convolve(unit.tail.tail, None), _halved(tensor, unit.stride, builder), builder)
    assert isinstance(unit.tail, Tail)
    return convolve(unit.tail, tensor)


def _halved(tensor: int, stride: int, builder: Builder) -> int:
    if stride == 1:
        return tensor
    return builder.add(op.Pool(tensor, op.Reduction.MEAN, op.Geometry(stride, stride)))


def _recoupling(tail: Recoupling, made: int, read: int, builder: Builder) -> int:
    """What follows the RPReLU of a convolution that reads one tensor, its maps halved where its own are."""
    factors: list[int] = []
    if bits := tail.excites[-1]:
        assert tail.gate is not None
        factors.append(_gate(tail.gate, made, read, bits, builder))
    if tail.slope is not None:
        shift = np.zeros(len(tail.slope), np.float32)
        prelu = op.Epilogue(activation=op.Activation.RPRELU, slope=floats(tail.slope), shift=shift)
        read = builder.add(op.Pointwise(read, prelu))
        factors.append(read)
    factor, constant = map(floats, tail.norm.folded(len(tail.norm.weight), None))
    norm = op.Epilogue(factor, constant, read)
    if not factors:
        return builder.add(op.Pointwise(made, norm))
    for other in factors[:-1]:
        made = builder.add(op.Product(made, other))
    return builder.add(op.Product(made, factors[-1], norm))


def _gate(gate: Gate, made: int, read: int, bits: int, builder: Builder) -> int:
    """A squeeze-and-excite of two tensors; the number of its factors, one per channel."""
    means = [builder.add(op.GlobalAverage(tensor)) for tensor in (read, made)]
    mixed = builder.add(op.Pointwise(means[1], op.Epilogue(floats(gate.balance), shortcut=means[0])))
    return builder.add_excitation(gate, mixed, len(gate.balance), bits)
