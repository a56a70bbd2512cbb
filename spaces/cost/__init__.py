"""Operations, parameters and bits of a network, in closed form: the one place where they are counted.

Operations are multiply-accumulates. OPs = float + 8-bit / 8 + 1-bit / 64 (NAS-BNN, section 4.1.2; the convention of
Bi-Real Net and ReActNet). Batch norm, PReLU, shifts, pooling and additions count nothing.

Bits are those of the network as it is deployed: 1 for a binary weight, 8 for a weight of the stem, 32 for every other
number that is left after exact folding. The weights' scale, the stem's step, the batch norm's statistics and the first
shift of an RPReLU all fold into the batch norm's two numbers per channel, and a batch norm before a sign into one
threshold. A `.bnn` file has these numbers, and a header.

Formulas take numpy arrays with one entry per network, so that 100,000 architectures are priced in one call.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

FLOAT_BITS = 32
METRICS = ("flops", "int8_ops", "bops", "ops", "params", "bits", "bytes")  # what a network costs, as columns of a table


class _Metrics:
    """What a layer's cost and a network's have in common."""

    def metrics(self) -> dict[str, float]:
        """Every cost by name."""
        return {name: getattr(self, name) for name in METRICS}


class Price(NamedTuple):
    """What one layer costs, for many architectures at once; arrays of shape (architectures,)."""

    name: str
    out_channels: Ints
    out_size: int
    flops: Ints
    int8_ops: Ints
    bops: Ints
    params: Ints
    bits: Ints


@dataclass(frozen=True)
class LayerCost(_Metrics):
    """What one layer of one network costs.

    `flops`, `int8_ops` and `bops` are multiply-accumulates per image in float, 8-bit and 1-bit arithmetic; `out_size`
    is the height and width of the layer's output; `bits` is the layer's size when deployed.
    """

    name: str
    out_channels: int
    out_size: int
    flops: int
    int8_ops: int
    bops: int
    params: int
    bits: int

    @property
    def ops(self) -> float:
        """Equivalent operations, float + 8-bit / 8 + 1-bit / 64."""
        return operations(self.flops, self.int8_ops, self.bops)

    @property
    def bytes(self) -> float:
        """Size when deployed; a layer may end within a byte."""
        return self.bits / 8


@dataclass(frozen=True)
class Cost(_Metrics):
    """What one network costs, in all and layer by layer; units as in `LayerCost`."""

    layers: tuple[LayerCost, ...]

    @property
    def flops(self) -> int:
        """Float multiply-accumulates per image."""
        return sum(layer.flops for layer in self.layers)

    @property
    def int8_ops(self) -> int:
        """8-bit multiply-accumulates per image."""
        return sum(layer.int8_ops for layer in self.layers)

    @property
    def bops(self) -> int:
        """Binary multiply-accumulates per image."""
        return sum(layer.bops for layer in self.layers)

    @property
    def ops(self) -> float:
        """Equivalent operations, float + 8-bit / 8 + 1-bit / 64."""
        return operations(self.flops, self.int8_ops, self.bops)

    @property
    def params(self) -> int:
        """Learnable numbers of the network on its own."""
        return sum(layer.params for layer in self.layers)

    @property
    def bits(self) -> int:
        """Size when deployed."""
        return sum(layer.bits for layer in self.layers)

    @property
    def bytes(self) -> int:
        """Size when deployed, in whole bytes."""
        return -(-self.bits // 8)


@dataclass(frozen=True)
class Costs:
    """What many networks cost; every field is an array with one entry per network, units as in `LayerCost`."""

    flops: Ints
    int8_ops: Ints
    bops: Ints
    params: Ints
    bits: Ints

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """The costs of several lists of networks as those of one list."""
        nothing = np.zeros(0, dtype=np.int64)
        columns = ("flops", "int8_ops", "bops", "params", "bits")
        return cls(*(np.concatenate([nothing, *(getattr(part, column) for part in parts)]) for column in columns))

    @property
    def ops(self) -> npt.NDArray[np.float64]:
        """Equivalent operations, float + 8-bit / 8 + 1-bit / 64."""
        return self.flops + self.int8_ops / 8 + self.bops / 64


def operations(flops: int, int8_ops: int, bops: int) -> float:
    """Equivalent operations of three counts of multiply-accumulates (NAS-BNN, section 4.1.2).

    >>> operations(769_000, 8_128_512, 1_215_212_544)  # model A of the paper's Table 6
    20772760.0
    """
    return flops + int8_ops / 8 + bops / 64


def total(prices: Sequence[Price]) -> Costs:
    """Sum the layers of many networks."""

    def add(column: str) -> Ints:
        return np.stack([getattr(price, column) for price in prices]).sum(axis=0, dtype=np.int64)

    return Costs(*(add(column) for column in ("flops", "int8_ops", "bops", "params", "bits")))


def itemise(prices: Sequence[Price], row: int = 0) -> Cost:
    """The layers of one network out of many; layers that it does not have (no output channels) are left out."""
    there = [price for price in prices if price.out_channels[row] > 0]
    return Cost(
        tuple(LayerCost(p.name, int(p.out_channels[row]), p.out_size, *(int(c[row]) for c in p[3:])) for p in there)
    )


def int8_convolution(name: str, cin: Ints, cout: Ints, kernel_size: int, size: int) -> Price:
    """A convolution with 8-bit weights (one learned step per output channel), then batch norm and RPReLU."""
    weights = cout * cin * kernel_size**2
    nothing = np.zeros_like(weights)
    # params: weights, steps, batch norm (2), RPReLU (3); steps and first shift fold into the batch norm when deployed
    return Price(
        name, cout, size, nothing, weights * size**2, nothing, weights + 6 * cout, 8 * weights + FLOAT_BITS * 4 * cout
    )


def binary_convolution(
    name: str, cin: Ints, cout: Ints, kernel_size: Ints | int, groups: Ints | int, size: int
) -> Price:
    """RSign, a binary convolution, batch norm and RPReLU: one unit of a ReActNet-like block."""
    weights = cout * (cin // groups) * kernel_size**2
    nothing = np.zeros_like(weights)
    floats = cin + 5 * cout  # a shift per input channel; batch norm (2) and RPReLU (3) per output channel
    bits = weights + FLOAT_BITS * (floats - cout)  # the first shift of the RPReLU folds into the batch norm
    return Price(name, cout, size, nothing, nothing, weights * size**2, weights + floats, bits)


SQUEEZED = 8
"""How many channels a squeeze-and-excite makes one of between its two layers: BNext, as its authors' code has it, and
Real-to-Binary, as that of others who built it (larq zoo)."""


def squeezed(channels: Ints) -> Ints:
    """Channels between the two layers of a squeeze-and-excite: at least one, where there are any."""
    return np.maximum(channels // SQUEEZED, np.minimum(channels, 1))


def recoupled(unit: Price, excite: Ints, slopes: Ints | int = 0) -> Price:
    """A `binary_convolution` that BNext's recoupling follows: a squeeze-and-excite, a product, a batch norm.

    `excite` is of how many bits the weights of the squeeze-and-excite are, 0 where there is none; `slopes` are those of
    the PReLU of what is multiplied. Its two layers count as float or 8-bit operations, as a stem's do; means, products
    and the batch norm count nothing.
    """
    there, of_8_bits = excite > 0, excite == 8
    channels = unit.out_channels * there
    hidden = squeezed(channels)
    weights = 2 * channels * hidden
    biases = hidden + channels
    steps = biases * of_8_bits
    floats = 2 * unit.out_channels + slopes + channels + biases + steps  # batch norm, slopes, balance, biases, steps
    return unit._replace(
        flops=unit.flops + weights * ~of_8_bits,
        int8_ops=unit.int8_ops + weights * of_8_bits,
        params=unit.params + weights + floats,
        bits=unit.bits + np.where(of_8_bits, 8, FLOAT_BITS) * weights + FLOAT_BITS * floats,
    )


def linear(name: str, cin: Ints, classes: int) -> Price:
    """A float linear layer with bias, counted as classes * (inputs + 1) operations, as the paper's figures are."""
    weights = classes * (cin + 1)
    nothing = np.zeros_like(weights)
    return Price(name, np.full_like(cin, classes), 1, weights, nothing, nothing, weights, FLOAT_BITS * weights)


def float_convolution(name: str, cin: Ints, cout: Ints, kernel_size: int, size: int) -> Price:
    """A float convolution without bias, then batch norm (2 numbers per channel)."""
    weights = cout * cin * kernel_size**2
    nothing = np.zeros_like(weights)
    params = weights + 2 * cout
    return Price(name, cout, size, weights * size**2, nothing, nothing, params, FLOAT_BITS * params)


def normed_binary_convolution(name: str, cin: Ints, cout: Ints, kernel_size: int, size: int) -> Price:
    """A binary convolution whose scale follows from its weights, then batch norm, into which the scale folds."""
    weights = cout * cin * kernel_size**2
    nothing = np.zeros_like(weights)
    norms = 2 * cout
    return Price(name, cout, size, nothing, nothing, weights * size**2, weights + norms, weights + FLOAT_BITS * norms)


def gated_binary_convolution(name: str, cin: Ints, cout: Ints, kernel_size: int, size: int) -> Price:
    """Batch norm, sign, a binary convolution, times a float squeeze-and-excite of what the sign is of, PReLU.

    One layer of Real-to-Binary (Martinez et al., 2020). Means and products count nothing, as everywhere here. When
    deployed, a batch norm is a threshold per channel, and its two numbers for the squeeze-and-excite; the scale of a
    filter is a number of its own.
    """
    weights, hidden = cout * cin * kernel_size**2, squeezed(cin)
    gate = hidden * (cin + cout)
    nothing = np.zeros_like(weights)
    numbers = gate + hidden + cout  # weights and biases of the squeeze-and-excite
    params = weights + 2 * cin + numbers + cout
    bits = weights + FLOAT_BITS * (3 * cin + cout + numbers + cout)
    return Price(name, cout, size, gate, nothing, weights * size**2, params, bits)


def in_full_precision(price: Price) -> Price:
    """The same layer with every operation and every number in float."""
    nothing = np.zeros_like(price.flops)
    flops = price.flops + price.int8_ops + price.bops
    return price._replace(flops=flops, int8_ops=nothing, bops=nothing, bits=FLOAT_BITS * price.params)


def binary_convolution_after_norm(name: str, cin: Ints, cout: Ints, kernel_size: int, groups: int, size: int) -> Price:
    """Batch norm (2 numbers per input channel), sign, a binary convolution and ReLU: one unit of a BNAS network.

    When deployed, the batch norm is one threshold per input channel. The scale of a filter follows from its float
    weights; when these are bits, it is a number of its own.
    """
    weights = cout * (cin // groups) * kernel_size**2
    nothing = np.zeros_like(weights)
    bits = weights + FLOAT_BITS * (cin + cout)
    return Price(name, cout, size, nothing, nothing, weights * size**2, weights + 2 * cin, bits)


def float_convolution_after_norm(name: str, cin: Ints, cout: Ints, kernel_size: int, size: int) -> Price:
    """Batch norm (2 numbers per input channel), then a float convolution without padding, into which it folds."""
    weights = cout * cin * kernel_size**2
    nothing = np.zeros_like(weights)
    params, bits = weights + 2 * cin, FLOAT_BITS * (weights + cout)
    return Price(name, cout, size, weights * size**2, nothing, nothing, params, bits)
