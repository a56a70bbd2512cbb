"""How a file says that a number has one bit: by comparing in plain ONNX, or by the operators of QONNX."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from onnx import TensorProto

from models.onebit.operations import Encoding, Floats, Shape
from models.onnx.graph import GraphBuilder

QONNX_DOMAIN = "qonnx.custom_op.general"
_DOREFA = np.nextafter(np.float32(0.5), np.float32(1))
"""The least number that DoReFa rounds to 1, as it rounds 0.5 to 0."""


class Quantisers(ABC):
    """What differs between the formats; every method returns a tensor's name, `at` begins the names it makes.

    `product` is the operator of a linear layer, whose bias is added after it.
    """

    product: ClassVar[str]

    def __init__(self, graph: GraphBuilder) -> None:
        self.graph = graph

    @abstractmethod
    def bits(self, at: str, given: str, shape: Shape, threshold: Floats, encoding: Encoding) -> str:
        """What a binary convolution reads: a number where `given` reaches its channel's threshold, another below."""

    @abstractmethod
    def signs(self, at: str, weight: Floats) -> str:
        """Weights of -1 and +1."""

    @abstractmethod
    def levels(self, at: str, weight: npt.NDArray[np.int8]) -> str:
        """Weights of 8 bits."""


class Comparisons(Quantisers):
    """Plain ONNX, which has no type of one bit: weights are floats, and activations come of a comparison."""

    product = "Gemm"

    def bits(self, at: str, given: str, shape: Shape, threshold: Floats, encoding: Encoding) -> str:
        """Where(given >= threshold, 1, -1), or 0 in place of -1."""
        graph = self.graph
        least = graph.constant(f"{at}.threshold", threshold.reshape(-1, 1, 1))
        reached = graph.add("GreaterOrEqual", [given, least], f"{at}.reached", shape, element=TensorProto.BOOL)
        low = graph.constant("zero", 0.0) if encoding is Encoding.ZERO_ONE else graph.constant("minus_one", -1.0)
        return graph.add("Where", [reached, graph.constant("one", 1.0), low], f"{at}.bits", shape)

    def signs(self, at: str, weight: Floats) -> str:
        """A constant."""
        return self.graph.constant(f"{at}.weight", weight)

    def levels(self, at: str, weight: npt.NDArray[np.int8]) -> str:
        """A constant of whole numbers."""
        return self.graph.constant(f"{at}.weight", weight.astype(np.float32))


class QonnxMarks(Quantisers):
    """QONNX: constants and activations stay floats and pass an operator that says how few values they have.

    `BipolarQuant` gives -1 or +1, `Quant` whole numbers of some bits; scales are 1, as the affine map after a
    convolution holds them. A difference is rounded, but never across 0, so x - threshold >= 0 is x >= threshold.
    A linear layer is a `MatMul`, which compilers for FPGAs want: a `Gemm` without a bias stops `GemmToMatMul` of qonnx.
    """

    product = "MatMul"

    def bits(self, at: str, given: str, shape: Shape, threshold: Floats, encoding: Encoding) -> str:
        """BipolarQuant(given - threshold); unsigned `Quant` of one bit where the values are 0 and 1."""
        graph = self.graph
        if encoding is Encoding.ZERO_ONE and np.all(threshold == _DOREFA):
            return self._zero_one(at, given, shape)
        if threshold.any():
            least = graph.constant(f"{at}.threshold", threshold.reshape(-1, 1, 1))
            given = graph.add("Sub", [given, least], f"{at}.difference", shape)
        signs = graph.add("BipolarQuant", [given, self._one()], f"{at}.signs", shape, domain=QONNX_DOMAIN)
        return signs if encoding is Encoding.SIGNS else self._zero_one(at, signs, shape)

    def signs(self, at: str, weight: Floats) -> str:
        """BipolarQuant of a constant."""
        stored = self.graph.constant(f"{at}.stored", weight)
        inputs = [stored, self._one()]
        return self.graph.add_constant("BipolarQuant", inputs, f"{at}.weight", weight.shape, domain=QONNX_DOMAIN)

    def levels(self, at: str, weight: npt.NDArray[np.int8]) -> str:
        """Signed `Quant` of a constant, of 8 bits."""
        stored = self.graph.constant(f"{at}.stored", weight.astype(np.float32))
        inputs = [stored, *self._rule(8)]
        return self.graph.add_constant(
            "Quant", inputs, f"{at}.weight", weight.shape, signed=1, narrow=0, rounding_mode="ROUND",
            domain=QONNX_DOMAIN,
        )  # fmt: skip

    def _zero_one(self, at: str, given: str, shape: Shape) -> str:
        """Rounded, halves to the even number, and kept within 0 and 1."""
        inputs = [given, *self._rule(1)]
        return self.graph.add(
            "Quant", inputs, f"{at}.bits", shape, signed=0, narrow=0, rounding_mode="ROUND", domain=QONNX_DOMAIN
        )

    def _one(self) -> str:
        return self.graph.constant("one", 1.0)

    def _rule(self, bits: int) -> tuple[str, str, str]:
        """Scale, zero point and width of a `Quant`."""
        constant = self.graph.constant
        return self._one(), constant("zero", 0.0), constant(f"width{bits}", float(bits))
