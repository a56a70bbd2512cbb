"""The nodes of an epilogue: affine map, shortcut, activation, in this order."""

import numpy as np

from models.onebit.operations import Activation, Epilogue, Floats, Shape
from models.onnx.graph import GraphBuilder


def finish(
    graph: GraphBuilder,
    at: str,
    epilogue: Epilogue,
    sums: str,
    shape: tuple[int, ...],
    shortcut: tuple[str, Shape] | None = None,
) -> str:
    """The tensor that an epilogue makes from `sums`, of `shape` per image; `shortcut` is a tensor and its shape.

    `shape` is (channels, height, width), or (channels,) of a tensor that is flat already. `at` begins the names of all
    new tensors.
    """
    v = sums

    def channels(what: str, values: Floats) -> str:
        return graph.constant(f"{at}.{what}", values.reshape(-1, *[1] * (len(shape) - 1)))

    def step(kind: str, what: str, *others: str) -> str:
        return graph.add(kind, [v, *others], f"{at}.{what}", shape)

    if epilogue.factor is not None:
        v = step("Mul", "scaled", channels("factor", epilogue.factor))
    if epilogue.constant is not None:
        v = step("Add", "affine", channels("constant", epilogue.constant))
    if shortcut is not None:
        v = step("Add", "joined", _fitted(graph, at, *shortcut, Shape(*shape)))
    if epilogue.activation is Activation.RELU:
        v = step("Relu", "active")
    elif epilogue.activation is Activation.RPRELU:
        assert epilogue.slope is not None
        assert epilogue.shift is not None
        v = step("PRelu", "active", channels("slope", epilogue.slope))
        v = step("Add", "shifted", channels("shift", epilogue.shift))
    elif epilogue.activation is Activation.CLIP:
        bounds = graph.constant(f"{at}.low", epilogue.low), graph.constant(f"{at}.high", epilogue.high)
        v = step("Clip", "active", *bounds)
    return v


def _fitted(graph: GraphBuilder, at: str, name: str, given: Shape, wanted: Shape) -> str:
    """A shortcut averaged over squares, repeated along channels or cut, so that it can be added."""
    stride = given.height // wanted.height
    channels = given.channels
    if stride > 1:
        shape = (channels, *wanted[1:])
        name = graph.add("AveragePool", [name], f"{at}.pooled", shape, kernel_shape=[stride] * 2, strides=[stride] * 2)
    times = -(-wanted.channels // channels)
    if times > 1:
        channels *= times
        repeats = graph.constant(f"{at}.repeats", np.array([1, times, 1, 1]))
        name = graph.add("Tile", [name, repeats], f"{at}.repeated", (channels, *wanted[1:]))
    if channels > wanted.channels:
        first, axis = graph.constant("first", np.array([0])), graph.constant("channels", np.array([1]))
        end = graph.constant(f"{at}.end", np.array([wanted.channels]))
        name = graph.add("Slice", [name, first, end, axis], f"{at}.cut", wanted)
    return name
