"""Equal ways to convolve, and the parts of a step that are fused: each against torch's own chain of operations."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from models.layers.convolution import convolve, input_gradient, weight_gradient
from models.layers.tail import Tail
from models.nasbnn.sharing import part, slice_groups, transform

# maps below, at and above the sizes at which ways change; kernels within and beyond the map; both strides
CASES = [
    (channels, groups, kernel_size, stride, size)
    for channels, groups, kernel_size, stride, size in itertools.product(
        (8, 48), (1, 2, 4), (1, 3, 5, 7), (1, 2), (2, 4, 8, 10)
    )
    if not (kernel_size == 1 and stride == 2)
]


@pytest.mark.parametrize(("channels", "groups", "kernel_size", "stride", "size"), CASES)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_convolutions_and_their_gradients(channels, groups, kernel_size, stride, size, layout):
    torch.manual_seed(0)
    x = torch.randn(3, channels, size, size, dtype=torch.float64).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(16, channels // groups, kernel_size, kernel_size, dtype=torch.float64, requires_grad=True)
    expected = F.conv2d(x, weight, None, stride, kernel_size // 2, 1, groups)
    gradient = torch.randn_like(expected)
    of_x, of_weight = torch.autograd.grad(expected, (x, weight), gradient)
    with torch.no_grad():
        assert torch.allclose(convolve(x, weight, stride, groups), expected)
        assert torch.allclose(input_gradient(gradient, x, weight, stride, groups), of_x)
        assert torch.allclose(weight_gradient(gradient, x, weight, stride, groups), of_weight)


@pytest.mark.parametrize("shortcut_channels", [None, 2, 3, 5, 7])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("scaled", [True, False])
def test_the_tail_has_its_true_gradient(shortcut_channels, training, scaled):
    torch.manual_seed(0)
    tail = Tail(6).double().train(training)
    parameters = {name: torch.randn(6, dtype=torch.float64, requires_grad=True) for name, _ in tail.named_parameters()}
    sums = torch.randn(3, 5, 2, 2, dtype=torch.float64, requires_grad=True)
    scale = torch.rand(5, dtype=torch.float64) + 0.5 if scaled else None
    shortcut = shortcut_channels and torch.randn(3, shortcut_channels, 2, 2, dtype=torch.float64, requires_grad=True)
    statistics = {"running_mean": torch.randn(6).double(), "running_var": torch.rand(6).double() + 0.5}

    def run(sums, shortcut, *values):
        state = dict(zip(parameters, values, strict=True)) | {k: v.clone() for k, v in statistics.items()}
        return torch.func.functional_call(tail, state, (sums, scale, shortcut))

    assert torch.autograd.gradcheck(run, (sums, shortcut, *parameters.values()))


def test_a_filter_without_scale_leaves_beta_and_shortcut():
    tail = Tail(2)
    for training in (True, False):
        tail.train(training)
        y = tail(torch.randn(3, 2, 4, 4), torch.tensor([0.0, 1.0]), torch.full((3, 2, 4, 4), 0.5))
        assert torch.allclose(y[:, 0], torch.tensor(0.5))


@pytest.mark.parametrize(("stored", "channels", "groups"), [(12, 12, 4), (12, 12, 1), (6, 8, 4), (6, 12, 4), (6, 8, 2)])
def test_slices_of_groups_take_runs_in_turn(stored, channels, groups):
    weight = torch.arange(12.0 * stored).view(12, stored, 1, 1).double().requires_grad_()
    size = channels // groups
    runs = min(stored, channels) // size
    expected = torch.cat(
        [weight[b * size : (b + 1) * size, b % runs * size : (b % runs + 1) * size] for b in range(groups)]
    )
    sliced = slice_groups(weight, channels, groups)
    assert torch.equal(sliced, expected)
    upstream = torch.randn_like(expected)
    ours, theirs = (torch.autograd.grad(out, weight, upstream, retain_graph=True)[0] for out in (sliced, expected))
    assert torch.equal(ours, theirs)


def test_parts_and_transformations_have_their_true_gradients():
    weight = torch.randn(3, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    matrix = torch.randn(9, 9, dtype=torch.float64, requires_grad=True)
    window = slice(1, 4)
    assert torch.autograd.gradcheck(
        lambda w, m: transform(part(w, slice(2), slice(1), window, window), m), (weight, matrix)
    )
    centre = weight[:, :, 1:4, 1:4]
    assert torch.allclose(transform(centre, matrix)[1, 1].flatten(), matrix @ centre[1, 1].flatten())
