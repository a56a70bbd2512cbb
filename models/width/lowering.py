"""The lowering of width networks: convolutions with their pools, norms and shortcuts, then the linear layer."""

from dataclasses import replace

from models.onebit import operations as op
from models.onebit.lowering.folding import Builder, fold_norm, scale_of
from models.width.network import PooledConvolution, WidthNetwork
from spaces.width import Pool, PoolKind
from spaces.width.bases import IMAGE, End


def lower_width(network: WidthNetwork, builder: Builder) -> None:
    """Add the operations of a network."""
    *plans, last = network.space.layers(network.architecture)
    tensors = {IMAGE: 0}
    tensor = 0
    for plan, layer in zip(plans, network.layers.children(), strict=True):
        assert isinstance(layer, PooledConvolution)
        shortcut = tensors[plan.shortcut] if plan.shortcut else None
        source = _pool(plan.before, tensors[plan.source], builder)
        tensor = tensors[plan.name] = _layer(layer, plan.pool, source, shortcut, builder)
    if network.space.network.end is End.RELU:
        tensor = builder.add(op.Pointwise(tensor, op.Epilogue(activation=op.Activation.RELU)))
    tensor = _pool(last.pool, tensor, builder)
    builder.add_classifier(network.classifier, tensor, last.positions)


def _layer(layer: PooledConvolution, pool: Pool | None, tensor: int, shortcut: int | None, builder: Builder) -> int:
    """Convolution, pool, norm, + shortcut; without a pool that is one operation."""
    norm = replace(fold_norm(layer.norm, scale_of(layer.convolution)), shortcut=shortcut)
    if pool is None:
        return builder.add_convolution(layer.convolution, tensor, norm)
    tensor = _pool(pool, builder.add_convolution(layer.convolution, tensor, op.PLAIN), builder)
    # no scale is negative, so the largest of a window's sums is that of its scaled sums
    return builder.add(op.Pointwise(tensor, norm))


def _pool(pool: Pool | None, tensor: int, builder: Builder) -> int:
    if pool is None:
        return tensor
    assert pool.kind is PoolKind.MAX or pool.padding == 0  # torch's means would count padding
    reduction = op.Reduction.MAX if pool.kind is PoolKind.MAX else op.Reduction.MEAN
    return builder.add(op.Pool(tensor, reduction, op.Geometry(pool.kernel_size, pool.stride, pool.padding)))
