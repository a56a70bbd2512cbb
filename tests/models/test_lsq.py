"""The 8-bit quantiser of the stem."""

import torch

from models.layers.lsq import initial_step, quantise_weights


def test_weights_become_whole_multiples_within_eight_bits():
    weight = torch.randn(4, 3, 3, 3, dtype=torch.float64)
    step = torch.tensor([0.1, 0.01, 1e-3, 2.0], dtype=torch.float64)
    levels = quantise_weights(weight, step) / step.view(-1, 1, 1, 1)
    assert torch.allclose(levels, levels.round(), atol=1e-9)
    assert levels.min() >= -128
    assert levels.max() <= 127
    assert levels[2].abs().max() > 126  # the small step clips
    inside = (weight / step.view(-1, 1, 1, 1)).abs() < 127
    error = (levels * step.view(-1, 1, 1, 1) - weight).abs()
    assert (error <= 0.5001 * step.view(-1, 1, 1, 1))[inside].all()


def test_gradients_are_those_of_the_paper():
    weight = torch.tensor([[[[0.26, -3.0, 5.0]]]], dtype=torch.float64, requires_grad=True)
    step = torch.tensor([0.02], dtype=torch.float64, requires_grad=True)  # levels 13, -150 (clipped), 250 (clipped)
    upstream = torch.tensor([[[[1.0, 10.0, 100.0]]]], dtype=torch.float64)
    quantise_weights(weight * 1.001, step).backward(upstream)
    assert torch.allclose(weight.grad, torch.tensor([[[[1.001, 0.0, 0.0]]]], dtype=torch.float64))
    level = 13 * 1.001
    expected = ((13 - level) * 1 - 128 * 10 + 127 * 100) / (3 * 127) ** 0.5
    assert torch.allclose(step.grad, torch.tensor([expected], dtype=torch.float64))


def test_the_first_step_covers_three_deviations():
    weight = torch.randn(8, 27) * 0.2 + 0.05
    step = initial_step(weight)
    reach = torch.maximum(
        (weight.mean(1) + 3 * weight.std(1, correction=0)).abs(),
        (weight.mean(1) - 3 * weight.std(1, correction=0)).abs(),
    )
    assert torch.allclose(step * 128, reach)
    assert (initial_step(torch.zeros(2, 9)) > 0).all()
