"""Signs and their pseudo-gradients, normalised weights, and the kernels that convolutions multiply with."""

import math
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVarTuple

import torch
from torch import Tensor, nn

from models.layers.autograd import Function, once_differentiable, step_gradient, with_gradient
from models.layers.fused.choice import fuses

if TYPE_CHECKING:
    from models.layers.fused.weights import Cut

PAPER_EPSILON = 1e-5
Settings = TypeVarTuple("Settings")


class WeightNormalisation(Enum):
    """How a filter is normalised before its sign is taken (NAS-BNN, equation 6).

    PAPER: (w - mean) / sqrt(var + 1e-5), var the mean squared deviation (n in the denominator, so that a filter of one
    weight has a variance). AUTHORS: (w - mean) / std with n - 1 and no epsilon, as the authors' published checkpoint
    was trained; undefined for a constant filter. NONE: weights as they are (the paper's ablation).
    """

    NONE = "none"
    PAPER = "paper"
    AUTHORS = "authors"


class Kernel(NamedTuple):
    """What a convolution multiplies with.

    `weight` has shape (out, in / groups, k, k): signs, or floats where weights are not binary. `scale` has shape
    (out,), is applied after the convolution and carries no gradient (but XNOR-Net's, `models.layers.binarisers`); it
    is None for float weights.
    """

    weight: Tensor
    scale: Tensor | None


class KernelCache:
    """The last kernel of a layer, kept while gradients are off and its weight is the same and unchanged."""

    def __init__(self) -> None:
        self._kept: tuple[tuple[object, ...], Kernel] | None = None

    def get(self, weight: nn.Parameter, make: Callable[[Tensor, *Settings], Kernel], *settings: *Settings) -> Kernel:
        """make(weight, *settings), or what it gave last time."""
        if torch.is_grad_enabled() or weight.is_inference():
            self._kept = None
            return make(weight, *settings)
        # a weight that is replaced, moved or written to differs in one of these
        state = id(weight), weight.data_ptr(), weight._version, weight.dtype, weight.device, make, settings
        if self._kept is None or self._kept[0] != state:
            self._kept = (state, make(weight, *settings))
        return self._kept[1]


def new_weight(*shape: int) -> nn.Parameter:
    """A convolution's weight, uniform within 1 / sqrt(fan in), drawn from torch's global generator."""
    weight = torch.empty(shape)
    if not weight.is_meta:  # where values come later, as in extraction, drawing none saves a third of the time
        bound = math.prod(shape[1:]) ** -0.5
        weight.uniform_(-bound, bound)
    return nn.Parameter(weight)


def sign(x: Tensor) -> Tensor:
    """+1 where x >= 0 (so for 0.0 and -0.0), else -1 (NAS-BNN, equation 1). No gradient."""
    return torch.copysign(x.new_ones(()), x + 0.0)  # -0.0 + 0.0 is 0.0


def sign_weights(weight: Tensor) -> Tensor:
    """Forward: sign, with sign(0) = +1. Pseudo-gradient: the identity where |w| <= 1, 0 elsewhere. Any shape."""
    return with_gradient(weight, sign, lambda gradient, w: step_gradient(gradient, w, -1, 1))


class _Normalise(Function):
    """Rows of (out, n) to zero mean and unit deviation; sums over rows, as torch's own variance is slow on the CPU."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, degrees: int, epsilon: float) -> Tensor:
        normal = weight - weight.mean(1, keepdim=True)
        variance = torch.linalg.vector_norm(normal, dim=1, keepdim=True).square_().div_(degrees)
        inverse = variance.add_(epsilon).rsqrt_()
        normal *= inverse
        ctx.save_for_backward(normal, inverse)
        ctx.degrees = degrees
        return normal

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        normal, inverse = ctx.saved_tensors
        along = (gradient * normal).sum(1, keepdim=True).div_(-ctx.degrees)
        result = torch.addcmul(gradient, normal, along)
        result -= gradient.mean(1, keepdim=True)
        return result.mul_(inverse), None, None


def normalise_weights(weight: Tensor, normalisation: WeightNormalisation) -> Tensor:
    """Every filter at zero mean and unit standard deviation, (out, ...) -> (out, ...); see `WeightNormalisation`."""
    terms = divisor(normalisation, weight[0].numel())
    return weight if terms is None else standardise(weight, *terms)


def divisor(normalisation: WeightNormalisation, count: int) -> tuple[int, float] | None:
    """Of a filter of `count` weights: by how many the sum of squares is divided, and the epsilon; None without."""
    match normalisation:
        case WeightNormalisation.NONE:
            return None
        case WeightNormalisation.PAPER:
            return count, PAPER_EPSILON
        case WeightNormalisation.AUTHORS:
            return count - 1, 0.0


def standardise(weight: Tensor, degrees: int, epsilon: float) -> Tensor:
    """(w - mean) / sqrt(var + epsilon) of every filter (out, ...), var the sum of squares over `degrees`."""
    weight = weight.contiguous(memory_format=torch.channels_last)  # as convolutions want it; order does not matter here
    rows = _Normalise.apply(_rows(weight), degrees, epsilon)
    return rows.view(weight.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2)


def binary_kernel(weight: Tensor, normalisation: WeightNormalisation) -> Kernel:
    """Signs of the normalised weights w', and the mean |w'| of every filter as its scale, without gradient (ReActNet).

    The scale stays outside the convolution, whose sums of +1 and -1 are then exact integers (in float32, and in float16
    while they are within 2048), which is what a 1-bit engine computes; it folds into the batch norm that follows.
    """
    if fuses(weight):
        return fused_kernel(weight, None, None, normalisation, weight.dtype, binary=True)
    normal = normalise_weights(weight, normalisation)
    signs = sign_weights(normal)
    size = normal[0].numel()
    return Kernel(signs, _rows(normal.detach() * signs.detach()).sum(1).div_(size))  # w * sign(w) is |w|


def float_kernel(weight: Tensor, normalisation: WeightNormalisation) -> Kernel:
    """The normalised weights themselves, as the Bi-Teacher uses them (NAS-BNN, section 3.3.1)."""
    if fuses(weight):
        return fused_kernel(weight, None, None, normalisation, weight.dtype, binary=False)
    return Kernel(normalise_weights(weight, normalisation), None)


def fused_kernel(
    weight: Tensor,
    matrix: Tensor | None,
    cut: "Cut | None",
    normalisation: WeightNormalisation,
    dtype: torch.dtype,
    *,
    binary: bool,
) -> Kernel:
    """The kernel, of a type, of a weight or of a cut of it that is transformed by a matrix, in one launch; see
    `models.layers.fused.weights.prepare`."""
    from models.layers.fused.weights import Cut, prepare

    cut = cut or Cut.whole(weight)
    taps = cut.side**2 if matrix is None else len(matrix)
    terms = divisor(normalisation, taps * cut.inputs) or (0, 0.0)
    kernel, scale = prepare(weight, matrix, cut, *terms, dtype, binary=binary)
    return Kernel(kernel, scale if binary else None)


def _rows(weight: Tensor) -> Tensor:
    """(out, in, k, k) -> (out, k * k * in), without a copy where channels lie last in memory."""
    return weight.permute(0, 2, 3, 1).flatten(1)
