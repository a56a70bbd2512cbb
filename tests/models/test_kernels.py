"""Signs and weights: values at and around zero, pseudo-gradients, normalisation."""

import pytest
import torch
import torch.nn.functional as F

from models.layers.kernels import WeightNormalisation, binary_kernel, normalise_weights, sign, sign_weights
from models.layers.modes import Activations
from models.layers.unit import binary_convolution

POINTS = torch.tensor([-2.0, -1.0, -0.5, -1e-38, -0.0, 0.0, 1e-38, 0.25, 1.0, 1.5])
SIGNS = torch.tensor([-1.0, -1.0, -1.0, -1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize("function", [sign, sign_weights])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_zero_is_positive_and_there_are_two_values(function, dtype):
    assert torch.equal(function(POINTS.to(dtype)), SIGNS.to(dtype))


def test_zero_is_positive_inside_a_convolution_too():
    x = POINTS.view(1, -1, 1, 1)
    for shift in (torch.zeros(len(POINTS)), torch.full((len(POINTS),), -0.0), -POINTS):
        sums = binary_convolution(x, shift, torch.eye(len(POINTS))[..., None, None], 1, 1, Activations.BINARY)
        expected = SIGNS if shift.abs().max() == 0 else torch.ones(len(POINTS))
        assert torch.equal(sums.flatten(), expected)


def test_the_pseudo_gradient_of_weights_is_the_identity_within_one():
    x = POINTS.clone().requires_grad_()
    sign_weights(x).backward(torch.full_like(x, 3.0))
    assert torch.equal(x.grad, 3.0 * (POINTS.abs() <= 1))


def test_the_pseudo_gradient_of_activations_is_bi_reals():
    x = POINTS.view(1, 1, 1, -1).clone().requires_grad_()
    shift = torch.full((1,), 0.25, requires_grad=True)
    binary_convolution(x, shift, torch.full((1, 1, 1, 1), 3.0), 1, 1, Activations.BINARY).sum().backward()
    slope = (2 - 2 * (POINTS + 0.25).abs()).clamp(min=0)
    assert torch.allclose(x.grad.flatten(), 3 * slope)
    assert torch.allclose(shift.grad, 3 * slope.sum())


@pytest.mark.parametrize("normalisation", [WeightNormalisation.PAPER, WeightNormalisation.AUTHORS])
def test_normalised_filters_have_zero_mean_and_unit_deviation(normalisation):
    weight = torch.randn(5, 3, 3, 3, dtype=torch.float64) * 7 + 2
    rows = normalise_weights(weight, normalisation).flatten(1)
    correction = 1 if normalisation is WeightNormalisation.AUTHORS else 0
    assert rows.mean(1).abs().max() < 1e-12
    assert torch.allclose(rows.std(1, correction=correction), torch.ones(5, dtype=torch.float64), atol=1e-5)


@pytest.mark.parametrize("normalisation", WeightNormalisation)
def test_normalisation_has_its_true_gradient(normalisation):
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: normalise_weights(w, normalisation), weight)


def test_a_constant_filter_stays_finite_with_the_papers_epsilon():
    kernel = binary_kernel(torch.full((2, 1, 1, 1), 0.3, requires_grad=True), WeightNormalisation.PAPER)
    kernel.weight.sum().backward()
    assert torch.equal(kernel.weight, torch.ones(2, 1, 1, 1))
    assert torch.isfinite(kernel.scale).all()


def test_the_scale_carries_no_gradient():
    weight = torch.randn(3, 2, 3, 3, requires_grad=True)
    assert not binary_kernel(weight, WeightNormalisation.PAPER).scale.requires_grad


def test_sums_are_exact_integers():
    x = torch.randn(2, 48, 9, 9)
    kernel = binary_kernel(torch.randn(48, 24, 5, 5), WeightNormalisation.PAPER)
    sums = binary_convolution(x, torch.zeros(48), kernel.weight, 1, 2, Activations.BINARY)
    expected = F.conv2d(sign(x).double(), kernel.weight.double(), padding=2, groups=2)
    assert torch.equal(sums.double(), expected)
    assert torch.equal(sums, sums.round())


def test_under_autocast_the_sums_are_those_of_the_half_type_and_gradients_come_in_the_inputs():
    x = torch.randn(2, 8, 6, 6, requires_grad=True)
    weight = sign(torch.randn(8, 8, 3, 3)).requires_grad_()
    exact = binary_convolution(x, torch.zeros(8), weight, 1, 1, Activations.BINARY)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        sums = binary_convolution(x, torch.zeros(8), weight, 1, 1, Activations.BINARY)
    assert sums.dtype == torch.float32
    assert torch.equal(sums, exact)  # fewer than 256 terms
    sums.sum().backward()
    assert x.grad.dtype == weight.grad.dtype == torch.float32
