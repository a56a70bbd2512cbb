"""From the operations of a program to nodes of ONNX, one operation after the other; nothing is traced."""

from collections.abc import Callable
from typing import assert_never

import numpy as np
from onnx import GraphProto, TensorProto

from models.onebit import operations as op
from models.onebit.program import Program
from models.onnx.epilogues import finish
from models.onnx.graph import IMAGES, Batch, GraphBuilder
from models.onnx.quantisers import Quantisers


class Translator:
    """The nodes of a program; maps are (N, C, H, W), and the quantisers say how a number is marked as 1 bit."""

    def __init__(self, program: Program, batch: Batch, quantisers: Callable[[GraphBuilder], Quantisers]) -> None:
        self.program = program
        self.graph = GraphBuilder(batch)
        self.quantisers = quantisers(self.graph)
        self.names = [IMAGES]
        """Of the program's tensors that have nodes already."""

    def translate(self, name: str) -> GraphProto:
        """The graph from images (N, C, H, W) to logits (N, classes)."""
        *body, last = self.program.operations
        for operation in body:
            self.names.append(self._maps(operation))
        classes = self.program.classes
        if isinstance(last, op.Linear) and last.epilogue.shortcut is None:
            finish(self.graph, self._at(), last.epilogue, self._gemm(last), (classes,))
        else:
            self.graph.add("Flatten", [self._maps(last)], f"{self._at()}.logits", [classes], axis=1)
        return self.graph.finish(name, self.program.image, classes)

    def _at(self) -> str:
        """How the names of an operation's tensors begin."""
        return f"operation{len(self.names)}"

    def _maps(self, operation: op.Operation) -> str:
        """The nodes of one operation."""
        shape = self.program.shapes[len(self.names)]
        sums, epilogue = self._sums(operation, shape), operation.epilogue
        if epilogue.shortcut is None:
            return finish(self.graph, self._at(), epilogue, sums, shape)
        shortcut = self.names[epilogue.shortcut], self.program.shapes[epilogue.shortcut]
        return finish(self.graph, self._at(), epilogue, sums, shape, shortcut)

    def _sums(self, operation: op.Operation, shape: op.Shape) -> str:
        """The nodes of one operation but for those of its epilogue."""
        add, at = self.graph.add, self._at()
        match operation:
            case op.BinaryConvolution():
                return self._binary_convolution(operation, shape)
            case op.FloatConvolution():
                return self._float_convolution(operation, shape)
            case op.Linear():
                target = self.graph.constant(f"{at}.shape", np.array([-1, *shape]))
                return add("Reshape", [self._gemm(operation), target], f"{at}.maps", shape)
            case op.Pointwise():
                return self.names[operation.input]
            case op.Product():
                return add("Mul", [self.names[operation.input], self.names[operation.by]], f"{at}.product", shape)
            case op.Pool(reduction=op.Reduction.MAX):
                return add("MaxPool", [self.names[operation.input]], at, shape, **_window(operation.geometry))
            case op.Pool():
                window = _window(operation.geometry)
                return add("AveragePool", [self.names[operation.input]], at, shape, **window, count_include_pad=0)
            case op.GlobalAverage():
                return add("GlobalAveragePool", [self.names[operation.input]], at, shape)
            case op.Concatenate():
                return add("Concat", [self.names[tensor] for tensor in operation.inputs], at, shape, axis=1)
            case op.Zero():
                return self._zero(shape)
            case _:
                assert_never(operation)

    def _binary_convolution(self, operation: op.BinaryConvolution, shape: op.Shape) -> str:
        given = self.program.shapes[operation.input]
        bits = self.quantisers.bits(
            self._at(), self.names[operation.input], given, operation.threshold, operation.encoding
        )
        signs = np.where(op.signs_of(operation, given.channels), np.float32(1), np.float32(-1))
        weight = self.quantisers.signs(self._at(), signs.transpose(0, 3, 1, 2))  # (out, in / groups, kernel, kernel)
        return self._convolve(bits, weight, operation.geometry, shape)

    def _float_convolution(self, operation: op.FloatConvolution, shape: op.Shape) -> str:
        weight = operation.weight.transpose(3, 2, 0, 1)
        if weight.dtype == np.int8:
            name = self.quantisers.levels(self._at(), weight.astype(np.int8))
        else:
            name = self.graph.constant(f"{self._at()}.weight", weight)
        return self._convolve(self.names[operation.input], name, operation.geometry, shape)

    def _convolve(self, given: str, weight: str, geometry: op.Geometry, shape: op.Shape) -> str:
        return self.graph.add(
            "Conv", [given, weight], f"{self._at()}.sums", shape, **_window(geometry),
            dilations=[geometry.dilation] * 2, group=geometry.groups,
        )  # fmt: skip

    def _gemm(self, operation: op.Linear) -> str:
        """(N, C, H, W) -> (N, out), where the program's weights are in the order (H, W, C)."""
        given = self.program.shapes[operation.input]
        flat = self.graph.add("Flatten", [self.names[operation.input]], f"{self._at()}.flat", [given.size], axis=1)
        weight = operation.weight.reshape(given.height, given.width, given.channels, -1).transpose(2, 0, 1, 3)
        name = self.graph.constant(f"{self._at()}.weight", weight.reshape(given.size, -1))
        return self.graph.add(self.quantisers.product, [flat, name], f"{self._at()}.sums", [operation.out_channels])

    def _zero(self, shape: op.Shape) -> str:
        """Zeros for as many images as there are."""
        graph, at = self.graph, self._at()
        if isinstance(graph.batch, int):
            return graph.constant(at, np.zeros((graph.batch, *shape), np.float32))
        integers: dict[str, int] = {"element": TensorProto.INT64}
        count = graph.add_constant("Shape", [IMAGES], f"{at}.count", [1], **integers, start=0, end=1)
        rest = graph.constant(f"{at}.rest", np.array(shape))
        whole = graph.add_constant("Concat", [count, rest], f"{at}.shape", [4], **integers, axis=0)
        return graph.add("Expand", [graph.constant("zero", 0.0), whole], at, shape)


def _window(geometry: op.Geometry) -> dict[str, list[int]]:
    """Kernel, stride and padding as ONNX's attributes."""
    return {
        "kernel_shape": [geometry.kernel_size] * 2,
        "strides": [geometry.stride] * 2,
        "pads": [geometry.padding] * 4,
    }
