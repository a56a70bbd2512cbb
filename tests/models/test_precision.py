"""Half types: what is exact in them, what is rounded and by how much, and that what is measured or exported is not."""

import itertools

import pytest
import torch
import torch.nn.functional as F

from models.layers.binarisers import BiReal, DoReFa
from models.layers.binary import BinaryConv2d, Sizes
from models.layers.convolution import Terms, convolve, exact_inputs
from models.layers.modes import Activations, Mode
from models.layers.unit import binary_convolution
from models.nasbnn.supernet import NasBnnSupernet
from models.onebit.file import Model, encode
from models.onebit.lowering.lower import lower
from spaces import get_space

HALF = [torch.bfloat16, torch.float16]
# inputs of a filter, groups, kernel: sums within 256 terms, within 512, odd ones, and in two, three and more parts
SIZES = [(8, 1, 3), (28, 2, 3), (9, 3, 5), (12, 4, 5), (48, 1, 5), (300, 1, 1), (384, 2, 1), (1025, 1, 1), (192, 1, 5)]


def bytes_of(network):
    return encode(Model(lower(network), tuple("0123456789"), (0.5,), (0.5,)))


def signs(*shape, bias=0.0, low=-1.0):
    return torch.where(torch.randn(shape) + bias >= 0, 1.0, low)


@pytest.mark.parametrize("half", HALF)
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("terms", [Terms.SIGNS, Terms.WHOLE])
def test_sums_of_whole_numbers_are_exact(half, size, terms):
    torch.manual_seed(0)
    inputs, groups, kernel_size = size
    for bias, stride, side in itertools.product((0.0, 2.0), (1, 2), (3, 9)):  # biased ones reach the largest sums
        if kernel_size == 1 and stride == 2:
            continue
        x = signs(2, inputs * groups, side, side, bias=bias, low=-1.0 if terms is Terms.SIGNS else 0.0)
        weight = signs(4 * groups, inputs, kernel_size, kernel_size, bias=bias)
        sums = convolve(x.to(half), weight.to(half), stride, groups, terms)
        expected = F.conv2d(x.double(), weight.double(), None, stride, kernel_size // 2, 1, groups)
        assert sums.dtype == torch.float32
        assert torch.equal(sums.double(), expected)


@pytest.mark.parametrize("half", HALF)
@pytest.mark.parametrize(("inputs", "taps"), [(8, 9), (7, 9), (512, 1), (513, 1), (48, 25), (2, 256), (3, 300)])
def test_as_many_inputs_as_a_type_can_hold(half, inputs, taps):
    """The largest sum of so many is in the type, and one step further there is a sum that is not."""
    side = round(taps**0.5)
    weight = torch.ones(1, inputs, side, taps // side, dtype=half)
    for terms, step in ((Terms.SIGNS, 2 if inputs % 2 == 0 else 1), (Terms.WHOLE, 1)):
        count = exact_inputs(weight, terms)
        terms_added = weight[0, 0].numel()
        assert all((n := step * k) == torch.tensor(float(n)).to(half) for k in range(count * terms_added // step + 1))
        beyond = torch.arange(0, (count + step) * terms_added + 1, step, dtype=torch.float32)
        assert not torch.equal(beyond, beyond.to(half).float())


def test_a_half_type_rounds_where_sums_are_not_cut():
    """What the cut is for: the same convolution by torch alone is not exact."""
    x, weight = signs(1, 300, 3, 3, bias=3.0).bfloat16(), torch.ones(1, 300, 3, 3).bfloat16()
    assert not torch.equal(F.conv2d(x, weight, padding=1).double(), F.conv2d(x.double(), weight.double(), padding=1))


@pytest.mark.parametrize("half", HALF)
@pytest.mark.parametrize("activations", [Activations.BINARY, Activations.FLOAT])
@pytest.mark.parametrize("size", [(16, 1, 3, 8), (48, 1, 5, 4), (96, 1, 1, 4), (24, 4, 3, 8)])
def test_gradients_are_those_of_float64_within_the_type(half, activations, size):
    """Relative to the largest gradient, within four units of the type's last place: operands and results are rounded
    once each, sums are not."""
    torch.manual_seed(0)
    channels, groups, kernel_size, side = size
    x, shift = torch.randn(8, channels, side, side), torch.randn(channels) * 0.1
    weight = signs(channels, channels // groups, kernel_size, kernel_size)
    gradient = torch.randn(8, channels, side, side)

    def gradients(dtype):
        leaves = [each.detach().to(dtype).requires_grad_() for each in (x, shift, weight)]
        sums = binary_convolution(*leaves, 1, groups, activations, 1.0, Terms.SIGNS)
        return torch.autograd.grad(sums, leaves, gradient.to(dtype))

    expected = gradients(torch.float64)
    with torch.autocast("cpu", dtype=half):
        found = gradients(torch.float32)
    for ours, exact in zip(found, expected, strict=True):
        assert ours.dtype == torch.float32
        assert (ours - exact).abs().max() <= 4 * torch.finfo(half).eps * exact.abs().max()


@pytest.mark.parametrize("binariser", [BiReal(), DoReFa()])
@pytest.mark.parametrize("half", HALF)
def test_a_binary_layer_is_exact_beyond_256_terms(binariser, half):
    layer = BinaryConv2d(Sizes(64, 8, 5, padding=4, dilation=2, groups=2), binariser)
    x = torch.randn(2, 64, 9, 9) + 1
    with torch.no_grad():
        layer.weight.abs_()  # large sums
    expected = layer(x)
    with torch.autocast("cpu", dtype=half):
        assert torch.equal(layer(x), expected)


def test_a_binary_network_computes_the_same_in_training_and_evaluation_whatever_the_precision():
    torch.manual_seed(0)
    supernet = NasBnnSupernet(get_space("nasbnn-digits"))
    images, largest = torch.randn(8, 1, 8, 8), supernet.space.largest()
    twin = NasBnnSupernet(supernet.space)
    twin.load_state_dict(supernet.state_dict())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = supernet(images, largest, Mode.BWBA)
    assert torch.equal(logits, twin(images, largest, Mode.BWBA))
    for ours, theirs in zip(supernet.buffers(), twin.buffers(), strict=True):
        assert torch.equal(ours, theirs)  # running statistics
    network = supernet.extract(largest).eval()
    exported = bytes_of(network)
    with torch.no_grad():
        expected = network(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(network(images), expected)
            assert bytes_of(network) == exported
