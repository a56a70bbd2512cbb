"""Binarisers: what all of them must do, each one's closed forms, and what the three modes convolve."""

import math

import pytest
import torch
import torch.nn.functional as F

from models.conformance import POINTS, check_binariser, random_weight
from models.layers.binarisers import (
    BINARISERS,
    BiPer,
    BiReal,
    DoReFa,
    OvSW,
    ReActNet,
    ReCU,
    ReSTE,
    Xnor,
    make_binariser,
)
from models.layers.binary import BinaryConv2d, Sizes, set_mode, set_progress
from models.layers.kernels import Kernel, WeightNormalisation, normalise_weights, sign
from models.layers.modes import Mode
from spaces.hyperparameters.kinds import BINARISERS as NAMES


@pytest.fixture(params=BINARISERS.values())
def kind(request):
    return request.param


@pytest.fixture
def binariser(kind):
    return kind()


@pytest.fixture
def weight():
    torch.manual_seed(0)
    return random_weight(6, 4).requires_grad_()


# What all of them must do ---------------------------------------------------------------------------------------------


def centred(weight):
    return weight - weight.mean(1, keepdim=True)


def per_filter(values):
    return values.mean((1, 2, 3), keepdim=True)


def within_one(values):
    return 1.0 * (values.abs() <= 1)


def tent(x):
    return (2 - 2 * x.abs()).clamp(min=0)


def of_product(weight, g):
    """XNOR-Net, equation 12, with the clamp and the centring before it; times BNAS's factor."""
    latent = centred(weight)
    signs, scale = torch.where(latent >= 0, 1.0, -1.0), per_filter(latent.clamp(-1, 1).abs())
    return centred((scale * g + signs * per_filter(g * signs)) * within_one(latent)) * weight[0].numel()


def of_normalised(weight, g):
    weight = weight.clone().requires_grad_()
    normal = normalise_weights(weight, WeightNormalisation.PAPER)
    behind = per_filter(normal.abs()) * g * within_one(normal)
    return torch.autograd.grad(normal, weight, behind)[0]


def of_reste(x):
    """sign(x) |x|^(1/3), its slope between 0.1 and 1.5, the mean of it up to 0.1."""
    return sum(
        within * slope
        for within, slope in (
            (x.abs() <= 0.1, 0.1 ** (1 / 3) / 0.1),
            ((x.abs() > 0.1) & (x.abs() <= 1.5), x.abs().clamp(min=0.1) ** (-2 / 3) / 3),
        )
    )


def standardised(weight):
    deviation = (weight.var((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    return (weight - per_filter(weight)) / deviation


def of_recu(weight, g):
    weight = weight.clone().requires_grad_()
    v = 8**0.5 * standardised(weight)
    bound = -v.abs().mean() * math.log(2 - 2 * 0.99)
    return torch.autograd.grad(v, weight, per_filter(v.abs()) * g * (v.abs() <= bound))[0]


def of_ovsw(weight, g):
    g = per_filter(standardised(weight).abs()) * g
    ratio = g.flatten(1).norm(dim=1) / weight.flatten(1).norm(dim=1)
    return g * (0.01 / ratio).clamp(min=1).view(-1, 1, 1, 1)


CLOSED_FORMS = {
    DoReFa: (lambda x: 1.0 * ((x >= 0) & (x <= 1)), lambda weight, g: g),
    Xnor: (within_one, of_product),
    BiReal: (tent, lambda weight, g: per_filter(weight.abs()) * g * within_one(weight)),
    ReActNet: (tent, of_normalised),
    ReSTE: (of_reste, lambda weight, g: per_filter(weight.abs()) * g * of_reste(weight)),
    ReCU: (tent, of_recu),
    OvSW: (tent, of_ovsw),
    BiPer: (tent, lambda weight, g: g * 20 * (20 * weight).cos()),
}


def test_every_binariser_conforms_and_has_the_gradients_that_it_states(kind):
    check_binariser(kind, *CLOSED_FORMS[kind])


def test_the_spaces_list_the_binarisers():
    assert {name: kind.__name__ for name, kind in BINARISERS.items()} == NAMES


def test_an_unknown_one_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="unknown binariser 'dorfea'; did you mean 'dorefa'"):
        make_binariser("dorfea")


class ThreeValues(BiReal):
    def activations(self, x):
        return torch.sign(x)


class Negative(BiReal):
    def weights(self, weight):
        signs, scale = super().weights(weight)
        return Kernel(signs, -scale)


class Changing(BiReal):
    def at(self, progress):
        return Xnor() if progress > 0.5 else self


class Clipless(BiReal):
    def activations(self, x):
        return x + (sign(x) - x).detach()


@pytest.mark.parametrize(
    ("faulty", "rule"),
    [
        (ThreeValues, "1 from the threshold on"),
        (Negative, "no scale is negative"),
        (Changing, "weights change in a training"),
        (Clipless, "is the stated one"),
    ],
)
def test_a_faulty_binariser_is_found(faulty, rule):
    with pytest.raises(AssertionError, match=rule):
        check_binariser(faulty, *CLOSED_FORMS[BiReal])


# Each one's forward formulas ------------------------------------------------------------------------------------------


def test_activations_are_the_closed_forms(binariser):
    x = torch.tensor(POINTS)
    expected = x.clip(0, 1).round() if isinstance(binariser, DoReFa) else torch.where(x >= 0, 1.0, -1.0)
    assert torch.equal(binariser.activations(x), expected)
    assert torch.equal(binariser.activations(x.double()), expected.double())


# The limits of settings, and what changes in a training ---------------------------------------------------------------


def gradient_of(convert, x):
    x = x.detach().clone().requires_grad_()
    return torch.autograd.grad(convert(x).sum(), x)[0]


def signs(binariser):
    return lambda weight: binariser.weights(weight).weight


def test_reste_begins_as_the_identity_within_its_clip():
    x = torch.tensor(POINTS)
    assert torch.equal(gradient_of(ReSTE().at(0).activations, x), 1.0 * (x.abs() <= 1.5))
    assert ReSTE().at(1) == ReSTE()


def test_recu_ends_as_plain_standardisation_where_its_quantile_is_all(weight):
    everything = ReCU(highest=1 - 1e-12)
    plain = gradient_of(lambda w: 8**0.5 * standardised(w) * 1.0, weight)
    assert torch.allclose(gradient_of(signs(everything), weight), plain, atol=1e-9)
    assert (ReCU().at(0).tau, ReCU().at(1).tau) == pytest.approx((0.85, 0.99))


def test_recu_cuts_the_share_of_weights_that_its_quantile_leaves_out():
    torch.manual_seed(0)
    laplace = torch.distributions.Laplace(0.0, 1.0).sample((1, 400, 10, 10)).double()
    v = ReCU().float_weights(laplace).weight
    for binariser, share in ((ReCU().at(0), 0.3), (ReCU(), 0.02)):
        bound = -v.abs().mean() * math.log(2 - 2 * binariser.tau)
        assert (v.abs() > bound).double().mean() == pytest.approx(share, abs=0.01)


def test_ovsw_passes_the_gradient_on_where_none_is_too_small(weight):
    assert torch.equal(gradient_of(signs(OvSW(least=0)), weight), torch.ones_like(weight))


def test_ovsw_stretches_a_small_gradient_of_a_filter_to_its_share(weight):
    (gradient,) = torch.autograd.grad(signs(OvSW())(weight), weight, torch.full_like(weight, 1e-5))
    lengths = gradient.flatten(1).norm(dim=1) / weight.flatten(1).norm(dim=1)
    assert torch.allclose(lengths, torch.full_like(lengths, 0.01))


def test_biper_is_a_plain_sign_where_its_wave_is_long(weight):
    slow = BiPer(omega=1e-3)
    assert torch.equal(signs(slow)(weight), signs(BiReal())(weight))
    assert torch.allclose(gradient_of(signs(slow), weight) / 1e-3, torch.ones_like(weight), atol=1e-4)


def test_a_network_is_given_the_binarisers_of_its_progress():
    layer = BinaryConv2d(Sizes(4, 4, 3), binariser=ReSTE())
    for progress in (0.25, 0.5):
        set_progress(layer, progress)
        assert layer.binariser == ReSTE(progress=progress)


def test_dorefa_rounds_a_half_to_the_even_zero():
    x = torch.tensor([0.5, torch.nextafter(torch.tensor(0.5), torch.tensor(1.0)).item()])
    assert torch.equal(DoReFa().activations(x), x.clip(0, 1).round())
    assert torch.equal(DoReFa().activations(x), torch.tensor([0.0, 1.0]))
    assert torch.equal(x[1], torch.tensor(DoReFa.threshold))


def test_weights_are_the_closed_forms(kind, weight):
    latent, magnitude = {
        DoReFa: lambda w: (w, w.abs().mean().expand(6, 1, 1, 1)),
        Xnor: lambda w: (centred(w), per_filter(centred(w).clamp(-1, 1).abs())),
        BiReal: lambda w: (w, per_filter(w.abs())),
        ReActNet: lambda w: (n := normalise_weights(w, WeightNormalisation.PAPER), per_filter(n.abs())),
        ReSTE: lambda w: (w, per_filter(w.abs())),
        ReCU: lambda w: (v := 8**0.5 * standardised(w), per_filter(v.abs())),
        OvSW: lambda w: (w, per_filter(standardised(w).abs())),
        BiPer: lambda w: ((20 * w).sin(), torch.ones(6, 1, 1, 1).double()),
    }[kind](weight)
    kernel = kind().weights(weight)
    assert torch.equal(kernel.weight, torch.where(latent >= 0, 1.0, -1.0).double())  # two values, 0 is +1
    assert torch.allclose(kernel.scale, magnitude.flatten())
    assert kernel.scale.requires_grad == (kind is Xnor)
    floats = kind().float_weights(weight).weight
    assert torch.allclose(floats, latent.clamp(-1, 1) if kind is Xnor else latent, rtol=1e-12)


# The layer ------------------------------------------------------------------------------------------------------------


def test_padding_adds_nothing(binariser):
    layer = BinaryConv2d(Sizes(3, 2, 3, padding=1), binariser=binariser)
    ones = torch.ones(1, 3, 1, 1)  # binary 1 for every binariser: the sum is that of the filter's centre
    kernel = layer.kernel()
    assert torch.equal(layer(ones).flatten(), kernel.weight[:, :, 1, 1].sum(1) * kernel.scale)


def test_modes(binariser):
    layer = BinaryConv2d(Sizes(4, 6, 3, padding=1), binariser=binariser)
    network = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 1), layer)
    x = torch.randn(2, 4, 5, 5)
    binary = layer(x)
    set_mode(network, Mode.FWBA)
    inputs = binariser.activations(x)
    assert torch.equal(layer(x), F.conv2d(inputs, binariser.float_weights(layer.weight).weight, padding=1))
    set_mode(network, Mode.FWFA)
    assert torch.equal(layer(x), F.conv2d(F.relu(x), layer.weight, padding=1))
    set_mode(network, Mode.BWBA)
    assert torch.equal(layer(x), binary)


def test_a_kept_kernel_follows_mode_and_weight(binariser):
    layer = BinaryConv2d(Sizes(4, 6, 3), binariser=binariser)
    with torch.no_grad():
        binary = layer.kernel()
        assert layer.kernel() is binary
        layer.mode = Mode.FWBA
        assert layer.kernel().scale is None
        layer.mode = Mode.BWBA
        assert torch.equal(layer.kernel().weight, binary.weight)
        layer.weight.mul_(-1)
        assert torch.equal(layer.kernel().weight, -binary.weight)
    assert layer.kernel().weight.requires_grad


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="6 and 8 channels do not divide into 4 groups"):
        BinaryConv2d(Sizes(6, 8, 3, groups=4), binariser=DoReFa())
    with pytest.raises(ValueError, match="Xnor must read at least 2 channels; 8 channels in 8 groups are too few"):
        BinaryConv2d(Sizes(8, 8, 3, groups=8), binariser=Xnor())


def test_under_autocast_small_sums_stay_exact_and_gradients_come_in_the_parameters_type(binariser):
    layer = BinaryConv2d(Sizes(8, 6, 3, padding=1), binariser=binariser)
    x = torch.randn(2, 8, 6, 6, requires_grad=True)
    exact = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(x)
    assert torch.equal(output, exact)  # sums of fewer than 256 terms
    output.sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == torch.float32
