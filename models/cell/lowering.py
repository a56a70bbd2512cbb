"""The lowering of cell networks: Zeroise edges vanish, and what only they read with them."""

from dataclasses import replace

from torch import nn

from models.cell.frame import Cell
from models.cell.layers import BinaryLayer, FloatInput, Pool, SkipConvolution, Zeroise
from models.cell.layers import Stem as CellStem
from models.cell.network import CellNetwork
from models.cell.supernet import InheritedNetwork
from models.onebit import operations as op
from models.onebit.lowering.folding import Builder, floats, fold_norm, scale_of

_RELU = op.Epilogue(activation=op.Activation.RELU)


def lower_cells(network: CellNetwork | InheritedNetwork, builder: Builder) -> None:
    """Add the operations of a network of a genotype, final or inherited."""
    plan = network.space.plan(network.architecture)
    outputs = _stem(network.stem, builder)
    before_last, last = (outputs[place] for place in network.first_inputs)
    for cell, planned in zip(network.cells, plan.cells, strict=True):
        assert isinstance(cell, Cell)
        edge = planned.nodes[0][0].layer
        node = op.Shape(edge.cout, edge.out_size, edge.out_size)
        before_last, last = last, _cell(cell, node, before_last, last, builder)
    builder.add_classifier(network.classifier, builder.add(op.GlobalAverage(last)))


def _stem(stem: CellStem, builder: Builder) -> list[int]:
    outputs: list[int] = []
    for convolution, norm in zip(stem.convolutions, stem.norms, strict=True):
        assert isinstance(convolution, nn.Conv2d)
        assert isinstance(norm, nn.BatchNorm2d)
        given = builder.add(op.Pointwise(outputs[-1], _RELU)) if outputs else 0
        outputs.append(builder.add_convolution(convolution, given, fold_norm(norm)))
    return outputs


def _cell(cell: Cell, node: op.Shape, before_last: int, last: int, builder: Builder) -> int:
    """Nodes of the shape `node`, concatenated, + skip."""
    states = [_layer(cell.input1, before_last, builder), _layer(cell.input2, last, builder)]
    assert None not in states
    for layers, sources in zip(cell.layers, cell.sources, strict=True):
        assert isinstance(layers, nn.ModuleList)
        edges = [_layer(layer, states[source], builder) for layer, source in zip(layers, sources, strict=True)]
        states.append(_sum([edge for edge in edges if edge is not None], node, builder))
    nodes = builder.add(op.Concatenate(tuple(state for state in states[2:] if state is not None)))
    if cell.skip is None:
        return nodes
    if isinstance(cell.skip, nn.Identity):
        return builder.add(op.Pointwise(nodes, op.Epilogue(shortcut=last)))
    assert isinstance(cell.skip, SkipConvolution)
    return builder.add_convolution(cell.skip.convolution, last, op.Epilogue(shortcut=nodes), cell.skip.norm)


def _sum(edges: list[int], node: op.Shape, builder: Builder) -> int:
    """Edges added one after the other; zeros where there is none."""
    if not edges:
        return builder.add(op.Zero(node))
    total = edges[0]
    for edge in edges[1:]:
        total = builder.add(op.Pointwise(edge, op.Epilogue(shortcut=total)))
    return total


def _layer(layer: nn.Module, tensor: int | None, builder: Builder) -> int | None:
    """The tensor that a layer makes; None for Zeroise."""
    assert tensor is not None
    match layer:
        case Zeroise():
            return None
        case BinaryLayer():
            scale = scale_of(layer.convolution)
            assert scale is not None
            epilogue = replace(_RELU, factor=floats(scale))
            return builder.add_convolution(layer.convolution, tensor, epilogue, layer.norm)
        case FloatInput():
            given = builder.add(op.Pointwise(tensor, _RELU))
            return builder.add_convolution(layer.convolution, given, fold_norm(layer.norm))
        case Pool():
            reduction = op.Reduction.MAX if layer.kind == "max" else op.Reduction.MEAN
            geometry = op.Geometry(layer.kernel_size, layer.stride, layer.padding)
            pooled = builder.add(op.Pool(tensor, reduction, geometry))
            return pooled if layer.norm is None else builder.add(op.Pointwise(pooled, fold_norm(layer.norm)))
        case _:
            raise TypeError(f"a layer {type(layer).__name__} of a cell cannot be exported")
