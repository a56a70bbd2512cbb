"""An ONNX graph in the making: nodes, constants and the declared shape of every tensor."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

IMAGES, LOGITS = "images", "logits"

Batch = int | str
"""The first dimension of every tensor that holds images: a number, or the name of a free one."""


class GraphBuilder:
    """Nodes in the order in which they are added; a tensor is known by its name.

    The type and shape of every tensor are declared, so that shape inference has something to contradict, and tools that
    know none of the custom operators need not infer anything.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._tensors: dict[str, ValueInfoProto] = {}

    def constant(self, name: str, values: npt.NDArray[np.generic] | float) -> str:
        """A tensor of the file, float32 or int64; the same name stands for the same values."""
        array = np.array(values, order="C")
        array = array.astype(np.int64 if array.dtype == np.int64 else np.float32)
        self._constants[name] = numpy_helper.from_array(array, name)
        return name

    def add(self, kind: str, inputs: Sequence[str], name: str, shape: Sequence[int], **attributes: Any) -> str:
        """Append a node that makes the tensor `name` of this shape for each image; returns the name."""
        return self.add_constant(kind, inputs, name, (self.batch, *shape), **attributes)

    def add_constant(
        self,
        kind: str,
        inputs: Sequence[str],
        name: str,
        shape: Sequence[Batch],
        element: int = TensorProto.FLOAT,
        **attributes: Any,
    ) -> str:
        """Append a node by the whole shape of its tensor: for one that holds no images."""
        assert name not in self._tensors
        self._nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        self._tensors[name] = _declare(name, shape, element)
        return name

    def finish(self, name: str, image: Sequence[int], classes: int) -> GraphProto:
        """The graph whose output is what the last node makes."""
        last = self._nodes[-1].output[0]
        del self._tensors[last]
        self._nodes[-1].output[0] = LOGITS
        images, logits = (_declare(IMAGES, (self.batch, *image)), _declare(LOGITS, (self.batch, classes)))
        constants = list(self._constants.values())
        return helper.make_graph(
            self._nodes, name, [images], [logits], constants, value_info=list(self._tensors.values())
        )


def _declare(name: str, shape: Sequence[Batch], element: int = TensorProto.FLOAT) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, element, list(shape))
