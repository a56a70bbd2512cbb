"""The 8-bit quantiser of the stem."""

import torch

from models.layers.lsq import SMALLEST_STEP, initial_step, keep_positive, quantise_weights


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


def through(rounded, exact):
    """The value of one, the gradient of the other."""
    return exact + (rounded - exact).detach()


def test_eight_steps_of_an_optimiser_are_those_of_straight_through_rounding_with_the_same_floor():
    """The authors keep the step at or above the floor before a forward pass, we after an update; autograd's own
    gradients stand for theirs."""
    generator = torch.Generator().manual_seed(1)
    first = torch.randn(16, 3, 3, 3, generator=generator, dtype=torch.float64) * 0.8
    images = torch.randn(8, 3, 8, 8, generator=generator, dtype=torch.float64)
    targets = torch.randn(8, 16, 6, 6, generator=generator, dtype=torch.float64)
    start = initial_step(first)
    start[:4] = 2e-3  # which updates of 2.5e-3 make negative
    ends = []
    floored = 0
    for ours in (True, False):
        weight, step = (torch.nn.Parameter(value.clone()) for value in (first, start))
        optimiser = torch.optim.Adam([weight, step], lr=2.5e-3)
        for _ in range(8):
            if ours:
                quantised = quantise_weights(weight, step)
            else:
                step.data.clamp_(min=SMALLEST_STEP)
                factor = (weight.numel() * 127) ** -0.5
                scale = (step * factor + (step - step * factor).detach()).view(-1, 1, 1, 1)
                ratio = (weight / scale).clamp(-128, 127)
                quantised = through(ratio.round(), ratio) * scale
            loss = (torch.nn.functional.conv2d(images, quantised) - targets).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            if ours:
                floored += int((step < SMALLEST_STEP).sum())
                keep_positive(step)
        step.data.clamp_(min=SMALLEST_STEP)
        ends.append((weight.detach(), step.detach()))
    assert floored, "the floor is reached"
    for mine, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-9)
