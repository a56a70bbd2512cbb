"""Binarisers: how weights and activations become binary, and what stands in for the gradients; one class per paper.

    >>> kernel = BiReal().weights(torch.tensor([[[[0.5]]], [[[-0.25]]]]))
    >>> kernel.weight.flatten().tolist(), kernel.scale.tolist()
    ([1.0, -1.0], [0.5, 0.25])

Another one is a class here and a line in `spaces.hyperparameters.kinds.BINARISERS`;
`models.conformance.check_binariser` says whether it is sound.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from models.layers.autograd import step_gradient, tent_gradient, with_gradient
from models.layers.kernels import Kernel, WeightNormalisation, binary_kernel, float_kernel, sign, sign_weights
from spaces.errors import unknown
from spaces.hyperparameters import kinds


class Binariser(ABC):
    """What a binary convolution makes of its weights w and its activations x; sign(0) = +1.

    The scale of the weights stays outside the convolution, whose sums are then exact integers, as a 1-bit engine
    computes them. Binary activations are 1 where x >= `threshold` (a float32) and `low`, -1 or 0, elsewhere; filters
    read at least `fewest_inputs` channels. An instance has no state.
    """

    low: ClassVar[int] = -1
    threshold: ClassVar[float] = 0.0
    fewest_inputs: ClassVar[int] = 1

    @abstractmethod
    def weights(self, weight: Tensor) -> Kernel:
        """Signs (out, in / groups, k, k) and scales (out,)."""

    @abstractmethod
    def float_weights(self, weight: Tensor) -> Kernel:
        """What the signs of `weights` are taken of, for binary activations with float weights: no scale."""

    @abstractmethod
    def activations(self, x: Tensor) -> Tensor:
        """`low` or 1, of the shape and type of x."""


class DoReFa(Binariser):
    """DoReFa-Net (Zhou et al., 2016), with one bit, as the width search uses it (its equation 1).

    Weights: sign(w) * mean |w|, the mean taken over the layer; the gradient passes straight through to w.
    Activations: round(clip(x, 0, 1)), which is 1 where x > 0.5, and 0 at 0.5 itself, which rounds to the even number;
    the gradient passes where 0 <= x <= 1.
    """

    low = 0
    threshold = 0.5 + 2**-24  # the float32 after 0.5

    def weights(self, weight: Tensor) -> Kernel:
        """Signs of w; one scale for all filters, without gradient."""
        scale = weight.detach().abs().mean().clamp(min=torch.finfo(weight.dtype).tiny)  # the gradient divides by it
        # scale * sign(w) passes its gradient to w, and that of the sign holds the scale, which is applied to the sums
        return Kernel(with_gradient(weight, sign, lambda g, w: g / scale), scale.expand(weight.shape[0]))

    def float_weights(self, weight: Tensor) -> Kernel:
        """w."""
        return Kernel(weight, None)

    def activations(self, x: Tensor) -> Tensor:
        """0 or 1."""
        return with_gradient(x, lambda x: (x > 0.5).to(x.dtype), lambda g, x: step_gradient(g, x, 0, 1))


class Xnor(Binariser):
    """XNOR-Net (Rastegari et al., 2016), as BNAS uses it.

    Weights: v = clamp(w - mean of w over a filter's inputs, -1, 1) becomes sign(v) * mean |v|, the mean per filter. The
    gradient is that of this product, the mean included (XNOR-Net, equation 12), with the identity where |v| <= 1 for
    that of the sign, times the number of weights of a filter: the public code of BNAS has this factor, and its learning
    rates for SGD train next to nothing without it.
    Activations: sign(x); the gradient passes where |x| <= 1.
    """

    fewest_inputs = 2  # centred, a filter that reads one channel is zero

    def weights(self, weight: Tensor) -> Kernel:
        """Signs of v and, with gradient, the mean |v| of every filter."""
        centred = _centred(with_gradient(weight, lambda w: w.view_as(w), lambda g, w: g * w[0].numel()))
        signs = sign_weights(centred)
        # |v| as v * sign(v), whose gradient has two values where that of torch's |v| has a third at 0
        return Kernel(signs, (centred.clamp(-1, 1) * signs.detach()).mean((1, 2, 3)))

    def float_weights(self, weight: Tensor) -> Kernel:
        """v."""
        return Kernel(_centred(weight).clamp(-1, 1), None)

    def activations(self, x: Tensor) -> Tensor:
        """-1 or 1."""
        return sign_weights(x)


class BiReal(Binariser):
    """Bi-Real Net (Liu et al., 2018).

    Weights: sign(w) * mean |w|, the mean per filter and constant in the gradient; the gradient of the sign is the
    identity where |w| <= 1.
    Activations: sign(x), with the gradient 2 - 2|x| where |x| <= 1.
    """

    normalisation: ClassVar = WeightNormalisation.NONE

    def weights(self, weight: Tensor) -> Kernel:
        """Signs of w and, without gradient, the mean |w| of every filter."""
        return binary_kernel(weight, self.normalisation)

    def float_weights(self, weight: Tensor) -> Kernel:
        """w, normalised where the binariser normalises."""
        return float_kernel(weight, self.normalisation)

    def activations(self, x: Tensor) -> Tensor:
        """-1 or 1."""
        return with_gradient(x, sign, tent_gradient)


class ReActNet(BiReal):
    """ReActNet (Liu et al., 2020) with NAS-BNN's normalisation (its equation 6): `BiReal` of normalised filters."""

    normalisation = WeightNormalisation.PAPER


BINARISERS: dict[str, type[Binariser]] = {name: globals()[kind] for name, kind in kinds.BINARISERS.items()}


def make_binariser(name: str) -> Binariser:
    """The binariser of this name. Raises `ValueError`."""
    if name not in BINARISERS:
        raise ValueError(unknown("binariser", name, BINARISERS))
    return BINARISERS[name]()


def _centred(weight: Tensor) -> Tensor:
    """Every position of every filter at zero mean over the inputs that it reads."""
    return weight - weight.mean(1, keepdim=True)
