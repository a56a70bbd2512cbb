"""Binarisers: two values, exact sums, gradients against closed forms, and what the three modes convolve."""

import pytest
import torch
import torch.nn.functional as F

from models.layers.binarisers import (
    Binariser,
    BinaryConv2d,
    binarise_activations,
    binarise_weights,
    float_weights,
    set_mode,
)
from models.layers.kernels import WeightNormalisation, normalise_weights
from models.layers.modes import Mode

POINTS = torch.tensor([-2.0, -1.0, -0.5, -1e-30, -0.0, 0.0, 1e-30, 0.3, 0.5, 0.75, 1.0, 1.0 + 1e-6, 1.5])
SIGNS = torch.where(POINTS >= 0, 1.0, -1.0)
AS_XNOR = 1.0 * (POINTS.abs() <= 1)
AS_BIREAL = (2 - 2 * POINTS.abs()).clamp(min=0)
ACTIVATIONS = {
    Binariser.DOREFA: (1.0 * (POINTS > 0.5), 1.0 * ((POINTS >= 0) & (POINTS <= 1))),
    Binariser.XNOR: (SIGNS, AS_XNOR),
    Binariser.BIREAL: (SIGNS, AS_BIREAL),
    Binariser.REACTNET: (SIGNS, AS_BIREAL),
}


@pytest.fixture(params=Binariser)
def binariser(request):
    return request.param


@pytest.fixture
def weight():
    """Filters with weights on both sides of 1, some of them 0."""
    weight = torch.randn(6, 4, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weight[0, 0] = 0.0
    weight[1, 1, 0] = -0.0
    return weight.requires_grad_()


def test_activations_are_the_closed_forms(binariser):
    values, slopes = ACTIVATIONS[binariser]
    for dtype in (torch.float32, torch.float64):
        x = POINTS.to(dtype).clone().requires_grad_()
        result = binarise_activations(x, binariser)
        result.backward(torch.full_like(x, 3.0))
        assert result.dtype == dtype
        assert torch.equal(result, values.to(dtype))
        assert torch.allclose(x.grad, 3 * slopes.to(dtype), rtol=1e-6)


def test_dorefa_rounds_a_half_to_the_even_zero():
    x = torch.tensor([0.5, torch.nextafter(torch.tensor(0.5), torch.tensor(1.0)).item()])
    assert torch.equal(binarise_activations(x, Binariser.DOREFA), x.clip(0, 1).round())
    assert torch.equal(binarise_activations(x, Binariser.DOREFA), torch.tensor([0.0, 1.0]))


def centred(weight):
    return weight - weight.mean(1, keepdim=True)


def per_filter(values):
    return values.mean((1, 2, 3), keepdim=True)


def test_weights_are_the_closed_forms(binariser, weight):
    latent, magnitude = {
        Binariser.DOREFA: lambda w: (w, w.abs().mean().expand(6, 1, 1, 1)),
        Binariser.XNOR: lambda w: (centred(w), per_filter(centred(w).clamp(-1, 1).abs())),
        Binariser.BIREAL: lambda w: (w, per_filter(w.abs())),
        Binariser.REACTNET: lambda w: (n := normalise_weights(w, WeightNormalisation.PAPER), per_filter(n.abs())),
    }[binariser](weight)
    kernel = binarise_weights(weight, binariser)
    assert torch.equal(kernel.weight, torch.where(latent >= 0, 1.0, -1.0).double())  # two values, 0 is +1
    assert torch.allclose(kernel.scale, magnitude.flatten())
    assert kernel.scale.requires_grad == (binariser is Binariser.XNOR)


def weight_gradient(weight, g, binariser):
    """By hand: the gradient of w, where g is that of scale * sign(w)."""
    if binariser is Binariser.DOREFA:
        return g
    if binariser is Binariser.XNOR:  # XNOR-Net, equation 12, behind the clamp and the centring; times BNAS's factor
        latent = centred(weight)
        signs, inside = torch.where(latent >= 0, 1.0, -1.0), latent.abs() <= 1
        scale = per_filter(latent.clamp(-1, 1).abs())
        return centred((scale * g + signs * per_filter(g * signs)) * inside) * weight[0].numel()
    if binariser is Binariser.BIREAL:
        return per_filter(weight.abs()) * g * (weight.abs() <= 1)
    normal = normalise_weights(weight, WeightNormalisation.PAPER)
    behind = per_filter(normal.abs()) * g * (normal.abs() <= 1)
    return torch.autograd.grad(normal, weight, behind)[0]


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 1, 1, 1), (2, 2, 2, 2)])
def test_gradients_are_the_closed_forms(binariser, weight, stride, padding, dilation, groups):
    layer = BinaryConv2d(4 * groups, 6, 3, stride, padding, dilation, groups, binariser=binariser).double()
    layer.weight.data = weight.detach()
    x = torch.randn(3, 4 * groups, 9, 9, dtype=torch.float64, requires_grad=True)
    output = layer(x)
    direction = torch.randn_like(output)
    output.backward(direction)

    kernel = binarise_weights(weight.detach(), binariser)
    scaled = (kernel.weight * kernel.scale.view(-1, 1, 1, 1)).requires_grad_()
    inputs = binarise_activations(x.detach(), binariser).requires_grad_()
    expected = F.conv2d(inputs, scaled, None, stride, padding, dilation, groups)
    assert torch.allclose(output, expected)
    expected.backward(direction)
    assert torch.allclose(layer.weight.grad, weight_gradient(weight, scaled.grad, binariser))
    slope = torch.autograd.grad(binarise_activations(x, binariser).sum(), x)[0]
    assert torch.allclose(x.grad, inputs.grad * slope)


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [(1, 1, 1, 1), (2, 4, 2, 3)])
def test_sums_are_exact_integers_and_the_scale_is_behind_them(binariser, stride, padding, dilation, groups):
    torch.manual_seed(0)
    layer = BinaryConv2d(96, 12, 5, stride, padding, dilation, groups, binariser=binariser)
    x = torch.randn(2, 96, 9, 9)
    kernel = layer.kernel()
    inputs = binarise_activations(x, binariser)
    columns = F.unfold(inputs, 5, dilation, padding, stride).long().unflatten(1, (groups, -1))  # (N, groups, ikk, HW)
    filters = kernel.weight.long().flatten(1).unflatten(0, (groups, -1))  # (groups, out / groups, ikk)
    sums = torch.einsum("gon,bgnp->bgop", filters, columns)
    output = layer(x)
    assert torch.equal(output, sums.view_as(output).float() * kernel.scale.view(1, -1, 1, 1))


def test_padding_adds_nothing(binariser):
    layer = BinaryConv2d(3, 2, 3, padding=1, binariser=binariser)
    ones = torch.ones(1, 3, 1, 1)  # binary 1 for every binariser: the sum is that of the filter's centre
    kernel = layer.kernel()
    assert torch.equal(layer(ones).flatten(), kernel.weight[:, :, 1, 1].sum(1) * kernel.scale)


def test_float_weights_are_what_signs_are_taken_of(binariser, weight):
    floats = float_weights(weight, binariser)
    assert floats.scale is None
    assert torch.equal(torch.where(floats.weight >= 0, 1.0, -1.0).double(), binarise_weights(weight, binariser).weight)
    if binariser in (Binariser.DOREFA, Binariser.BIREAL):
        assert torch.equal(floats.weight, weight)
    if binariser is Binariser.XNOR:
        assert floats.weight.abs().max() == 1


def test_modes(binariser):
    layer = BinaryConv2d(4, 6, 3, padding=1, binariser=binariser)
    network = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 1), layer)
    x = torch.randn(2, 4, 5, 5)
    binary = layer(x)
    set_mode(network, Mode.FWBA)
    inputs = binarise_activations(x, binariser)
    assert torch.equal(layer(x), F.conv2d(inputs, float_weights(layer.weight, binariser).weight, padding=1))
    set_mode(network, Mode.FWFA)
    assert torch.equal(layer(x), F.conv2d(F.relu(x), layer.weight, padding=1))
    set_mode(network, Mode.BWBA)
    assert torch.equal(layer(x), binary)


def test_a_kept_kernel_follows_mode_and_weight(binariser):
    layer = BinaryConv2d(4, 6, 3, binariser=binariser)
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


def test_filters_of_zeros_stay_finite(binariser):
    layer = BinaryConv2d(4, 6, 3, binariser=binariser)
    torch.nn.init.zeros_(layer.weight)
    layer(torch.rand(1, 4, 5, 5)).sum().backward()
    assert layer.weight.grad.isfinite().all()


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="6 and 8 channels do not divide into 4 groups"):
        BinaryConv2d(6, 8, 3, groups=4, binariser=Binariser.DOREFA)
    with pytest.raises(ValueError, match="reads one, and would be zero"):
        BinaryConv2d(8, 8, 3, groups=8, binariser=Binariser.XNOR)


def test_under_autocast_small_sums_stay_exact_and_gradients_come_in_the_parameters_type(binariser):
    layer = BinaryConv2d(8, 6, 3, padding=1, binariser=binariser)
    x = torch.randn(2, 8, 6, 6, requires_grad=True)
    exact = layer(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(x)
    assert torch.equal(output, exact)  # sums of fewer than 256 terms
    output.sum().backward()
    assert x.grad.dtype == layer.weight.grad.dtype == torch.float32
