"""The lowering of width networks: convolutions with their pools, norms and shortcuts, then the linear layer."""

from dataclasses import replace

import numpy as np

from models.onebit import operations as op
from models.onebit.lowering.folding import Builder, floats, fold_norm, scale_of
from models.width.gated import GATE_BITS, GatedConvolution
from models.width.network import PooledConvolution, WidthNetwork
from spaces.width import Pool, PoolKind
from spaces.width.bases import IMAGE, End


def lower_width(network: WidthNetwork, builder: Builder) -> None:
    """Add the operations of a network."""
    *plans, last = network.space.layers(network.architecture)
    tensors = {IMAGE: 0}
    tensor = 0
    for plan, layer in zip(plans, network.layers.children(), strict=True):
        shortcut = tensors[plan.shortcut] if plan.shortcut else None
        if isinstance(layer, GatedConvolution):
            tensor = _gated(layer, tensors[plan.source], shortcut, builder)
        else:
            assert isinstance(layer, PooledConvolution)
            source = _pool(plan.before, tensors[plan.source], builder)
            tensor = _layer(layer, plan.pool, source, shortcut, builder)
        tensors[plan.name] = tensor
    if network.space.network.end is End.RELU:
        tensor = builder.add(op.Pointwise(tensor, op.Epilogue(activation=op.Activation.RELU)))
    tensor = _pool(last.pool, tensor, builder)
    builder.add_classifier(network.classifier, tensor, last.positions)


def _layer(layer: PooledConvolution, pool: Pool | None, tensor: int, shortcut: int | None, builder: Builder) -> int:
    """Convolution, pool, norm, + shortcut or ReLU; without a pool that is one operation."""
    assert shortcut is None or not layer.relu  # which would come after the sum
    activation = op.Activation.RELU if layer.relu else op.Activation.NONE
    norm = replace(fold_norm(layer.norm, scale_of(layer.convolution)), shortcut=shortcut, activation=activation)
    if pool is None:
        return builder.add_convolution(layer.convolution, tensor, norm)
    tensor = _pool(pool, builder.add_convolution(layer.convolution, tensor, op.PLAIN), builder)
    # no scale is negative, so the largest of a window's sums is that of its scaled sums
    return builder.add(op.Pointwise(tensor, norm))


def _gated(layer: GatedConvolution, tensor: int, shortcut: int | None, builder: Builder) -> int:
    means = builder.add(op.Pointwise(builder.add(op.GlobalAverage(tensor)), fold_norm(layer.norm)))
    gate = builder.add_excitation(layer.gate, means, len(layer.slope), GATE_BITS)
    scale = scale_of(layer.convolution)
    assert scale is not None
    sums = builder.add_convolution(layer.convolution, tensor, op.Epilogue(floats(scale)), layer.norm)
    slope = floats(layer.slope)
    prelu = op.Epilogue(activation=op.Activation.RPRELU, slope=slope, shift=np.zeros_like(slope))
    return builder.add(op.Pointwise(builder.add(op.Product(sums, gate, prelu)), op.Epilogue(shortcut=shortcut)))


def _pool(pool: Pool | None, tensor: int, builder: Builder) -> int:
    if pool is None:
        return tensor
    assert pool.kind is PoolKind.MAX or pool.padding == 0  # torch's means would count padding
    reduction = op.Reduction.MAX if pool.kind is PoolKind.MAX else op.Reduction.MEAN
    return builder.add(op.Pool(tensor, reduction, op.Geometry(pool.kernel_size, pool.stride, pool.padding)))
