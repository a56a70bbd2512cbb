"""Networks with gates: the layer from its formula, and the 1-bit program to the bit."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.layers.binarisers import BINARISERS, make_binariser
from models.layers.binary import BinaryConv2d, Sizes, set_mode
from models.layers.excitation import Excitation
from models.layers.modes import Mode
from models.onebit import portable
from models.onebit.engine import Backend, Engine
from models.onebit.lowering.lower import lower
from models.width.gated import GatedConvolution
from models.width.network import WidthNetwork, WidthOptions, inherit
from spaces import get_space

SMALL = replace(get_space("real-to-binary-18"), image_size=32, classes=5, ratios=(0.0625, 0.125, 0.25))


def network_of(space=SMALL, place=0.5, seed=0):
    """As if it were trained: no number is its initial value, and some batch norms fall."""
    torch.manual_seed(seed)
    member = space.unrank(int(place * (space.count() - 1)))
    network = WidthNetwork(space, member, WidthOptions(space.binariser))
    with torch.no_grad():
        for name, values in network.named_parameters():
            values += (1.0 if "norm" in name else 0.1) * torch.randn_like(values)
        for name, values in network.named_buffers():
            if "running" in name:
                values += 0.5 * (torch.rand_like(values) if name.endswith("var") else torch.randn_like(values))
    return network.eval()


def images_of(space=SMALL, count=6, seed=1):
    shape = (count, space.channels, space.image_size, space.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("binariser", BINARISERS)
@pytest.mark.parametrize("place", [0.0, 0.4, 1.0])
def test_a_network_is_its_program_to_the_bit(binariser, place):
    space = replace(SMALL, binariser=binariser)
    network, images = network_of(space, place), images_of()
    program = lower(network)
    tensors = portable.run_all(program, images.permute(0, 2, 3, 1).numpy())
    with torch.inference_mode():
        found = [maps for _, maps in network.maps(images)]
        wanted = network(images)
    later = iter(tensors)
    for maps in found:  # in this order
        assert any(np.array_equal(maps.permute(0, 2, 3, 1), tensor) for tensor in later)
    for backend in (Backend.BEST, Backend.PLAIN_C):
        np.testing.assert_array_equal(Engine(program, backend)(images), tensors[-1].reshape(len(images), -1))
    torch.testing.assert_close(torch.from_numpy(tensors[-1]).flatten(1), wanted, rtol=1e-5, atol=1e-5)


def oracle(layer, x, shortcut):
    """A layer from its formula, in torch's own layers, with signs of float filters scaled by their mean size."""
    norm = layer.norm
    n = F.batch_norm(x, norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training, 0.1, 1e-5)
    weight = layer.convolution.weight
    filters = torch.where(weight >= 0, 1.0, -1.0) * weight.abs().mean((1, 2, 3), keepdim=True)
    y = F.conv2d(torch.where(n >= 0, 1.0, -1.0).to(x.dtype), filters, None, layer.convolution.stride, 1)
    first, second = layer.gate.reduce, layer.gate.expand
    gate = F.hardsigmoid(F.relu(n.mean((2, 3)) @ first.weight.T + first.bias) @ second.weight.T + second.bias)
    return F.prelu(y * gate[:, :, None, None], layer.slope) + shortcut


@pytest.mark.parametrize("training", [False, True])
def test_a_layer_is_its_formula(training):
    network = network_of().double().train(training)
    for name in ("s1b1_conv1", "s2b1_conv1", "s2b1_conv2"):
        layer = network.layers[name]
        assert isinstance(layer, GatedConvolution)
        out_channels, in_channels, _, _ = layer.convolution.weight.shape
        x = torch.randn(3, in_channels, 8, 8, dtype=torch.float64)
        shortcut = torch.randn(3, out_channels, 8 // layer.convolution.stride, 8 // layer.convolution.stride)
        wanted = oracle(layer, x, shortcut.double())
        torch.testing.assert_close(layer(x, shortcut.double()), wanted)
        with torch.no_grad():
            torch.testing.assert_close(layer(x, shortcut.double()), wanted)


def test_the_stem_ends_in_a_relu_and_shortcuts_in_none():
    maps = dict(network_of().maps(images_of()))
    assert (maps["stem"] >= 0).all()
    assert (maps["s2b1.down"] < 0).any()


def test_every_number_learns():
    torch.manual_seed(0)
    sizes = Sizes(32, 64, 3, 2, 1)
    layer = GatedConvolution(BinaryConv2d(sizes, make_binariser("bireal")))
    layer(torch.randn(32, 32, 4, 4), torch.randn(32, 64, 2, 2)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_every_mode_runs_and_only_the_binary_one_is_exported():
    network = network_of()
    logits = []
    for mode in Mode:
        set_mode(network, mode)
        with torch.no_grad():
            logits.append(network(images_of()))
        torch.testing.assert_close(logits[-1], network(images_of()), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits[0], logits[1])
    with pytest.raises(TypeError, match="FWFA is not binary"):
        lower(network)


def test_gates_are_inherited_with_the_channels_that_they_read():
    parent, child = network_of(place=1.0), network_of(place=0.0, seed=2)
    inherit(child, parent)
    wide, narrow = parent.layers["s2b1_conv1"].gate, child.layers["s2b1_conv1"].gate
    assert isinstance(narrow, Excitation)
    assert torch.equal(narrow.reduce.weight, wide.reduce.weight[:1, :4])
    assert torch.equal(narrow.expand.bias, wide.expand.bias[:8])
    assert torch.isfinite(child(images_of())).all()


def test_it_trains_from_scratch():
    torch.manual_seed(0)
    space = SMALL
    network = WidthNetwork(space, space.sample(random.Random(0)), WidthOptions("bireal"))
    images, labels = images_of(count=32), torch.arange(32) % 5
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(25):
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]
