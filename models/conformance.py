"""What every binariser must do, as plain assertions; for the tests of whoever adds one.

def test_mine():
    check_binariser(Mine, slope=lambda x: 1.0 * (x.abs() <= 1))
"""

from collections.abc import Callable
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.layers.binarisers import Binariser
from models.layers.binary import BinaryConv2d, Sizes
from models.onebit import portable
from models.onebit.engine import Engine
from models.onebit.file import Model, decode, encode
from models.onebit.lowering.lower import lower
from models.width.network import WidthNetwork
from spaces import WidthSpace

POINTS = (-2.0, -1.0, -0.5, -1e-30, -0.0, 0.0, 1e-30, 0.3, 0.5, 0.75, 1.0, 1.0 + 1e-6, 1.5)
"""Where activations are looked at: around 0, around the bounds of usual pseudo-gradients, and outside of them."""


def check_binariser(
    kind: type[Binariser],
    slope: Callable[[Tensor], Tensor] | None = None,
    weight_gradient: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> None:
    """Raise `AssertionError`, which names the rule, unless a binariser keeps all of them.

    Closed forms are compared with where they are given: `slope(x)` is the pseudo-gradient of activations, and
    `weight_gradient(w, g)` the gradient of weights w (out, in, k, k), where g is that of scale * sign(w).
    """
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(0)
        check_activations(kind(), slope)
        check_weights(kind())
        check_training(kind())
        check_layer(kind(), weight_gradient)
        check_export(kind())


def check_activations(binariser: Binariser, slope: Callable[[Tensor], Tensor] | None = None) -> None:
    """Two values, the larger one from the threshold on, and the stated pseudo-gradient, in x's type."""
    assert binariser.low in (-1, 0), "the lower value of activations is -1 or 0"
    assert binariser.low == 0 or binariser.threshold == 0, "sign(0) is +1: signs have the threshold 0"
    edge = torch.tensor([binariser.threshold])
    assert edge.double().item() == binariser.threshold, "the threshold is a float32"
    x = torch.cat([torch.tensor(POINTS), edge, edge.nextafter(-edge.new_ones(()) / 0)])
    expected = torch.where(x >= edge, 1.0, float(binariser.low))
    assert torch.equal(binariser.activations(x), expected), "activations are 1 from the threshold on, else `low`"
    for dtype in (torch.float32, torch.float64):
        x = torch.tensor(POINTS, dtype=dtype, requires_grad=True)
        result = binariser.activations(x)
        (gradient,) = torch.autograd.grad(result, x, torch.full_like(x, 3.0))
        assert result.dtype == gradient.dtype == dtype, "activations and gradients are of the type of x"
        assert gradient.isfinite().all(), "the gradient of activations is finite"
        if slope is not None:
            assert torch.allclose(gradient, 3 * slope(x.detach()).to(dtype), rtol=1e-6), (
                "the gradient is the stated one"
            )


def check_weights(binariser: Binariser) -> None:
    """Signs of the float weights, with sign(0) = +1; a scale per filter that is not negative."""
    weight = random_weight(8, 6)
    kernel, floats = binariser.weights(weight), binariser.float_weights(weight)
    assert torch.equal(kernel.weight, torch.where(floats.weight >= 0, 1.0, -1.0).double()), "weights are signs"
    assert floats.scale is None, "float weights have no scale"
    assert kernel.scale is not None, "binary weights have a scale"
    assert kernel.scale.shape == (8,), "there is one scale per filter"
    assert (kernel.scale >= 0).all(), "no scale is negative: a pool before it takes the same maximum"


def check_training(binariser: Binariser) -> None:
    """What is computed forward is the same at any time of a training, and so is what is exported after it."""
    weight, x = random_weight(8, 6), torch.tensor(POINTS)
    for progress in (0.0, 0.4, 1.0):
        then = binariser.at(progress)
        assert torch.equal(then.activations(x), binariser.activations(x)), "activations change in a training"
        for now, later in zip(binariser.weights(weight), then.weights(weight), strict=True):
            assert now is not None
            assert later is not None
            assert torch.equal(now, later), "weights change in a training"
        floats = (kind.float_weights(weight).weight for kind in (binariser, then))
        assert torch.equal(*floats), "float weights change in a training"


def check_layer(binariser: Binariser, weight_gradient: Callable[[Tensor, Tensor], Tensor] | None = None) -> None:
    """Sums of whole numbers in every geometry, to which padding adds nothing; gradients through the whole layer."""
    for stride, (padding, dilation), groups in product((1, 2), ((1, 1), (4, 2)), (1, 3)):
        layer = BinaryConv2d(Sizes(24, 12, 5, stride, padding, dilation, groups), binariser=binariser)
        x, kernel = torch.randn(2, 24, 9, 9), layer.kernel()
        assert kernel.scale is not None
        columns = F.unfold(binariser.activations(x), 5, dilation, padding, stride).long().unflatten(1, (groups, -1))
        filters = kernel.weight.long().flatten(1).unflatten(0, (groups, -1))  # (groups, out / groups, in / groups * 25)
        output = layer(x)
        sums = torch.einsum("gon,bgnp->bgop", filters, columns).view_as(output)
        assert torch.equal(output, sums * kernel.scale.view(-1, 1, 1)), "a layer is scale * sums of whole numbers"
    for stride, padding, dilation, groups in ((1, 1, 1, 1), (2, 2, 2, 2)):
        layer = BinaryConv2d(Sizes(4 * groups, 6, 3, stride, padding, dilation, groups), binariser=binariser).double()
        layer.weight.data = weight = random_weight(6, 4)
        x = torch.randn(3, 4 * groups, 9, 9, dtype=torch.float64, requires_grad=True)
        output, kernel = layer(x), binariser.weights(weight)
        assert kernel.scale is not None
        scaled = (kernel.weight * kernel.scale.view(-1, 1, 1, 1)).requires_grad_()
        inputs = binariser.activations(x)
        expected = F.conv2d(inputs, scaled, None, stride, padding, dilation, groups)
        direction = torch.randn_like(output)
        to_x, to_weight = torch.autograd.grad(output, (x, layer.weight), direction)
        to_inputs, to_scaled = torch.autograd.grad(expected, (x, scaled), direction)
        assert torch.allclose(to_x, to_inputs), "the gradient of x is that of the convolution times the slope"
        assert to_weight.isfinite().all(), "the gradient of weights is finite"
        if weight_gradient is not None:
            assert torch.allclose(to_weight, weight_gradient(weight, to_scaled)), "the gradient is the stated one"
    nn.init.zeros_(layer.weight)
    layer(torch.rand_like(x)).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all(), "the gradient of filters of zeros is finite"


@torch.no_grad()
def check_export(binariser: Binariser) -> None:
    """A small width network as a 1-bit file, read back: the same bits from all engines, the classes of the network."""
    space = WidthSpace("small", "vgg-digits", image_size=8, classes=5, channels=1)
    network = WidthNetwork(space, space.uniform(0.25)).eval()
    for module in network.modules():
        if isinstance(module, BinaryConv2d):
            module.binariser = binariser
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            module.running_mean += 0.3 * torch.randn_like(module.running_mean)
            module.weight.copy_(torch.randn_like(module.weight))
    images = torch.randn(8, 1, 8, 8)
    program = lower(network)
    stored = decode(encode(Model(program, tuple("abcde"), (0.0,), (1.0,)))).program
    logits, expected = Engine(stored)(images), network(images)
    in_numpy = torch.from_numpy(portable.run(program, images.permute(0, 2, 3, 1).numpy()))
    assert torch.equal(logits, in_numpy), "a stored program gives the bits of the one that was written"
    assert torch.allclose(logits, expected, rtol=1e-4, atol=1e-4), "a program gives the logits of its network"
    assert torch.equal(logits.argmax(1), expected.argmax(1)), "a program sees the classes of its network"


def random_weight(filters: int, inputs: int) -> Tensor:
    """(filters, inputs, 3, 3) in float64: values on both sides of 1 and -1, some 0.0 and some -0.0."""
    weight = torch.randn(filters, inputs, 3, 3, dtype=torch.float64)
    weight[0, 0], weight[1, 1, 0] = 0.0, -0.0
    return weight
