"""The lowering of width networks: convolutions with their pools, norms and shortcuts, then the linear layer."""

from dataclasses import replace

from torch import nn

from models.layers.binary import BinaryConv2d
from models.onebit.lowering.folding import (
    Builder,
    add_binary_convolution,
    add_classifier,
    add_float_convolution,
    fold_norm,
    scale_of,
)
from models.onebit.operations import PLAIN, Activation, Epilogue, Geometry, Pointwise, Pool, Reduction
from models.width.network import PooledConvolution, WidthNetwork
from spaces.width.bases import IMAGE


def lower_width(network: WidthNetwork, builder: Builder) -> None:
    """Add the operations of a network."""
    tensors = {IMAGE: 0}
    tensor = 0
    for plan, layer in zip(network.plans, network.layers.children(), strict=True):
        assert isinstance(layer, PooledConvolution)
        shortcut = tensors[plan.shortcut] if plan.shortcut else None
        tensor = tensors[plan.name] = _layer(layer, tensors[plan.source], shortcut, builder)
    tensor = builder.add(Pointwise(tensor, Epilogue(activation=Activation.RELU)))
    tensor = _pool(network.pool, tensor, builder)
    pixels = network.classifier.in_features // network.plans[-1].cout
    add_classifier(network.classifier, tensor, builder, pixels)


def _layer(layer: PooledConvolution, tensor: int, shortcut: int | None, builder: Builder) -> int:
    """Convolution, pool, norm, + shortcut; without a pool that is one operation."""
    scale = scale_of(layer.convolution)
    if isinstance(layer.pool, nn.Identity):
        return _convolve(layer, tensor, builder, replace(fold_norm(layer.norm, scale), shortcut=shortcut))
    tensor = _pool(layer.pool, _convolve(layer, tensor, builder, PLAIN), builder)
    # no scale is negative, so the largest of a window's sums is that of its scaled sums
    return builder.add(Pointwise(tensor, replace(fold_norm(layer.norm, scale), shortcut=shortcut)))


def _convolve(layer: PooledConvolution, tensor: int, builder: Builder, epilogue: Epilogue) -> int:
    if isinstance(layer.convolution, BinaryConv2d):
        return add_binary_convolution(layer.convolution, tensor, builder, epilogue)
    assert isinstance(layer.convolution, nn.Conv2d)
    return add_float_convolution(layer.convolution, tensor, builder, epilogue)


def _pool(pool: nn.Module, tensor: int, builder: Builder) -> int:
    if isinstance(pool, nn.Identity):
        return tensor
    if isinstance(pool, nn.MaxPool2d):
        geometry = Geometry(pool.kernel_size, pool.stride, int(pool.padding))  # pyright: ignore[reportArgumentType]
        return builder.add(Pool(tensor, Reduction.MAX, geometry))
    assert isinstance(pool, nn.AvgPool2d)
    assert pool.padding == 0  # which torch would count
    return builder.add(Pool(tensor, Reduction.MEAN, Geometry(pool.kernel_size, pool.stride)))  # pyright: ignore[reportArgumentType]
