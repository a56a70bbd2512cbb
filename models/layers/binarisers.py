"""Binarisers: how weights and activations become binary, and what stands in for the gradients; one class per paper.

    >>> kernel = BiReal().weights(torch.tensor([[[[0.5]]], [[[-0.25]]]]))
    >>> kernel.weight.flatten().tolist(), kernel.scale.tolist()
    ([1.0, -1.0], [0.5, 0.25])

Another one is a class here and a line in `spaces.hyperparameters.kinds.BINARISERS`;
`models.conformance.check_binariser` says whether it is sound.
"""

import copy
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from models.layers.autograd import step_gradient, tent_gradient, window_gradient, with_gradient
from models.layers.kernels import (
    PAPER_EPSILON,
    Kernel,
    WeightNormalisation,
    binary_kernel,
    float_kernel,
    sign,
    sign_weights,
    standardise,
)
from spaces.errors import unknown
from spaces.hyperparameters import kinds


class Binariser(ABC):
    """What a binary convolution makes of its weights w and its activations x; sign(0) = +1.

    The scale of the weights stays outside the convolution, whose sums are then exact integers, as a 1-bit engine
    computes them. Binary activations are 1 where x >= `threshold` (a float32) and `low`, -1 or 0, elsewhere; filters
    read at least `fewest_inputs` channels. An instance has settings at most, and no state. `bound` is the distance from
    the threshold beyond which an activation has no gradient, where that is not the one that a class states (None).
    """

    bound: float | None = None
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

    def within(self, bound: float) -> Self:
        """This binariser with another `bound`: how far from the threshold an activation has a gradient."""
        other = copy.copy(self)
        object.__setattr__(other, "bound", bound)  # some are frozen
        return other

    def at(self, progress: float) -> Self:
        """The binariser to train with after this share of the epochs, from 0 to 1: pseudo-gradients may change in a
        training, what is computed forward may not."""
        return self


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
        bound = self.bound
        if bound is None:
            return with_gradient(x, _above_half, lambda g, x: step_gradient(g, x, 0, 1))
        return with_gradient(x, _above_half, lambda g, x: window_gradient(g, x, 0.5, bound))


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
        bound = self.bound
        return (
            sign_weights(x) if bound is None else with_gradient(x, sign, lambda g, x: window_gradient(g, x, 0, bound))
        )


class BiReal(Binariser):
    """Bi-Real Net (Liu et al., 2018).

    Weights: sign(w) * mean |w|, the mean per filter and constant in the gradient; the gradient of the sign is the
    identity where |w| <= 1.
    Activations: sign(x), with the gradient 2 / b (1 - |x| / b) where |x| <= b; b is the bound, 1 in the paper.
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
        return with_gradient(x, sign, lambda g, x: tent_gradient(g, x, self.bound or 1.0))


class ReActNet(BiReal):
    """ReActNet (Liu et al., 2020) with NAS-BNN's normalisation (its equation 6): `BiReal` of normalised filters."""

    normalisation = WeightNormalisation.PAPER


@dataclass(frozen=True)
class ReSTE(BiReal):
    """ReSTE (Wu et al., 2023): `BiReal` with another estimator, for weights and activations alike.

    The gradient of the sign is that of sign(x) |x|^(1/o): |x|^(1/o - 1) / o where `near` < |x| <= `clip`, the mean
    slope near^(1/o - 1) where |x| <= `near`, and 0 beyond the clip. In a training o rises evenly from 1, where this is
    the identity within the clip, to `power`; `progress` is the share that is done. The authors' code takes one scale
    for a layer, with gradient; here it is `BiReal`'s.
    """

    power: float = 3.0
    clip: float = 1.5
    near: float = 0.1
    progress: float = 1.0

    def at(self, progress: float) -> Self:
        """With o after this share of the epochs."""
        return replace(self, progress=progress)

    def weights(self, weight: Tensor) -> Kernel:
        """Signs of w and, without gradient, the mean |w| of every filter."""
        signs = with_gradient(weight, sign, lambda g, w: g * self.slope(w, self.clip))
        return Kernel(signs, weight.detach().abs().mean((1, 2, 3)))

    def activations(self, x: Tensor) -> Tensor:
        """-1 or 1."""
        return with_gradient(x, sign, lambda g, x: g * self.slope(x, self.bound or self.clip))

    def slope(self, x: Tensor, clip: float) -> Tensor:
        """What stands for the derivative of the sign at x, of any shape, with this clip."""
        size, o = x.abs(), 1 + (self.power - 1) * self.progress
        power = size.clamp(min(self.near, clip), clip) ** (1 / o - 1)
        return torch.where(size <= self.near, power, power / o) * (size <= clip)


@dataclass(frozen=True)
class ReCU(BiReal):
    """ReCU (Xu et al., 2021): weights far from 0, which hardly ever change sign, are brought back to a quantile.

    Weights: v = 2 sqrt(2) (w - mean) / sqrt(var + 1e-5) per filter, var with n - 1. Sign(v), whose gradient is the
    identity where |v| <= Q and 0 elsewhere; Q = -E|v| ln(2 - 2 tau) is the quantile tau of a Laplace distribution with
    the layer's mean |v|, constant in the gradient. In a training tau rises exponentially from `lowest` to `highest`;
    `progress` is the share that is done. Scale: the mean |v|, constant; the authors learn one, as the batch norm after
    the convolution does too. Activations: as `BiReal`'s. The authors divide them by their deviation before the
    pseudo-gradient, in training only.
    """

    lowest: float = 0.85
    highest: float = 0.99
    progress: float = 1.0

    def at(self, progress: float) -> Self:
        """With tau after this share of the epochs."""
        return replace(self, progress=progress)

    @property
    def tau(self) -> float:
        """The share of weights below the quantile."""
        return self.lowest + (self.highest - self.lowest) * math.expm1(self.progress) / math.expm1(1)

    def weights(self, weight: Tensor) -> Kernel:
        """Signs of v and, without gradient, the mean |v| of every filter."""
        v = self.float_weights(weight).weight
        size = v.detach().abs()
        bound = -size.mean() * math.log(2 - 2 * self.tau)
        return Kernel(with_gradient(v, sign, lambda g, v: g * (v.abs() <= bound)), size.mean((1, 2, 3)))

    def float_weights(self, weight: Tensor) -> Kernel:
        """v."""
        return Kernel(math.sqrt(8) * _standardised(weight), None)


@dataclass(frozen=True)
class OvSW(BiReal):
    """OvSW (Xiang et al., 2024): weights of small gradients change their signs too, and so do those that never do.

    Weights: sign(w), whose gradient is the identity; that of a filter whose norm is below `least` times the norm of the
    filter is made as long as that. Scale: the mean |v| of the filter v at zero mean and unit deviation (n - 1, 1e-5),
    constant in the gradient. Activations: as `BiReal`'s.

    A training may let silent weights decay (`search.training.silent`): after a step s becomes m s + (1 - m) f, where f
    is 1 for a weight that changed its sign and 0 for others, and m the `memory`; silent are those with s < `rarely`.
    s is 0 at first, and after a flip above the threshold for some 2300 steps.
    """

    least: float = 0.01
    memory: float = 0.999
    rarely: float = 1e-4

    def weights(self, weight: Tensor) -> Kernel:
        """Signs of w and, without gradient, the mean |v| of every filter."""
        scale = _standardised(weight.detach()).abs().mean((1, 2, 3))
        return Kernel(with_gradient(weight, sign, self._stretched), scale)

    def count_flips(self, counts: Tensor, flipped: Tensor) -> None:
        """Bring the s of all weights up to date, in place, with which of them changed their signs in a step."""
        counts.mul_(self.memory).add_(flipped, alpha=1 - self.memory)

    def silent(self, counts: Tensor) -> Tensor:
        """Which weights hardly ever change their signs."""
        return counts < self.rarely

    def _stretched(self, gradient: Tensor, weight: Tensor) -> Tensor:
        """The gradient of every filter, at least `least` times as long as the filter where it is not zero."""
        length, size = (torch.linalg.vector_norm(x.flatten(1), dim=1) for x in (gradient, weight))
        factor = (self.least * size.clamp(min=1e-3) / length.clamp(min=1e-6)).clamp(min=1)
        return gradient * factor.view(-1, 1, 1, 1)


@dataclass(frozen=True)
class BiPer(BiReal):
    """BiPer (Vargas et al., 2024): weights are signs of a periodic function of the latent ones.

    Weights: sign(sin(omega w)), with the gradient of sin(omega w), which is what stands in where weights are float (the
    paper's first stage). Scale 1: the authors learn one, which the batch norm after the convolution does as well.
    Activations: as `BiReal`'s.
    """

    omega: float = 20.0

    def weights(self, weight: Tensor) -> Kernel:
        """Signs of sin(omega w), and ones."""
        wave = self.float_weights(weight).weight
        return Kernel(with_gradient(wave, sign, lambda g, _: g), torch.ones_like(weight[:, 0, 0, 0]))

    def float_weights(self, weight: Tensor) -> Kernel:
        """sin(omega w)."""
        return Kernel((self.omega * weight).sin(), None)


BINARISERS: dict[str, type[Binariser]] = {name: globals()[kind] for name, kind in kinds.BINARISERS.items()}


def make_binariser(name: str) -> Binariser:
    """The binariser of this name. Raises `ValueError`."""
    if name not in BINARISERS:
        raise ValueError(unknown("binariser", name, BINARISERS))
    return BINARISERS[name]()


def _above_half(x: Tensor) -> Tensor:
    return (x > 0.5).to(x.dtype)


def _centred(weight: Tensor) -> Tensor:
    """Every position of every filter at zero mean over the inputs that it reads."""
    return weight - weight.mean(1, keepdim=True)


def _standardised(weight: Tensor) -> Tensor:
    """Every filter at zero mean and unit deviation, of n - 1 weights and 1e-5."""
    return standardise(weight, max(weight[0].numel() - 1, 1), PAPER_EPSILON)
