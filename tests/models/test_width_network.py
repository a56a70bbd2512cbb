"""Width networks: built as planned and priced, computed as the papers say, and inherited channel by channel."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from models.layers.binarisers import BINARISERS, make_binariser
from models.layers.binary import BinaryConv2d, set_mode
from models.layers.excitation import Projection
from models.layers.modes import Mode
from models.width.network import WidthNetwork, WidthOptions, inherit
from spaces import SpaceError
from spaces.width import Widths, WidthSpace

DIGITS = WidthSpace("digits", "vgg-digits", image_size=8, classes=5, channels=1)
RESNET_20 = WidthSpace("resnet", "resnet-20", image_size=8)
SPACES = {
    "vgg-small": WidthSpace("small", "vgg-small", image_size=8),
    "resnet-18": WidthSpace("imagenet", "resnet-18", image_size=64, classes=20),
    "resnet-20": RESNET_20,
    "vgg-digits": DIGITS,
    "xnor-resnet-18": WidthSpace("xnor", "xnor-resnet-18", image_size=32, classes=20, binariser="xnor"),
    "bi-real-18": WidthSpace("real", "bi-real-18", image_size=64, classes=20, binariser="bireal"),
    "real-to-binary-18": WidthSpace("gated", "real-to-binary-18", image_size=64, classes=20, binariser="bireal"),
    "bi-real-34": WidthSpace("deep", "bi-real-34", image_size=32, classes=20, binariser="bireal"),
}


def new_network(space, architecture, options=None, seed=0):
    """A network in float64, in evaluation mode, whose batch norms differ from their initial values."""
    torch.manual_seed(seed)
    network = WidthNetwork(space, architecture, options).double().eval()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
                    tensor += torch.rand_like(tensor)
    return network


def images_for(space, count=3, seed=1):
    shape = (count, space.channels, space.image_size, space.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# What is built -------------------------------------------------------------------------------------------------------


def count_operations(network, images):
    counts = {"binary": 0, "float": 0}

    def hook(module, _, output):
        if isinstance(module, torch.nn.Linear):
            counts["float"] += module.out_features * (module.in_features + 1)
        elif isinstance(module, Projection):
            counts["float"] += module.weight.numel()
        elif isinstance(module, BinaryConv2d | torch.nn.Conv2d):
            kind = "binary" if isinstance(module, BinaryConv2d) else "float"
            counts[kind] += module.weight.numel() * output.shape[2] * output.shape[3]

    for module in network.modules():
        module.register_forward_hook(hook)
    network(images)
    return counts


@pytest.mark.parametrize("base", SPACES)
def test_the_network_is_what_was_priced(base):
    space = SPACES[base]
    for place in (0, space.count() // 3, space.count() - 1):
        member = space.unrank(place)
        with torch.device("meta"):
            network = WidthNetwork(space, member)
            counts = count_operations(network, images_for(space, 2).to("meta", torch.float32))
        cost = space.cost(member)
        assert sum(parameter.numel() for parameter in network.parameters()) == cost.params
        assert (counts["binary"], counts["float"], cost.int8_ops) == (cost.bops, cost.flops, 0)


@given(st.integers(0, RESNET_20.count() - 1))
@settings(max_examples=10, deadline=None)
def test_widths_that_are_added_are_equal(place):
    member = RESNET_20.unrank(place)
    with torch.device("meta"):
        logits = WidthNetwork(RESNET_20, member)(torch.zeros(2, 3, 8, 8))
    assert logits.shape == (2, 10)


def test_the_first_convolution_and_the_linear_layer_are_float():
    network = WidthNetwork(DIGITS, DIGITS.uniform(0.25))
    convolutions = [layer.convolution for layer in network.layers.children()]
    assert type(convolutions[0]) is torch.nn.Conv2d
    assert {type(convolution) for convolution in convolutions[1:]} == {BinaryConv2d}
    assert type(network.classifier) is torch.nn.Linear


def test_strangers_are_refused():
    with pytest.raises(SpaceError, match="is not in space"):
        WidthNetwork(DIGITS, Widths((5, 1, 1, 1)))
    with pytest.raises(ValueError, match="binariser 'dorefa', the options say 'xnor'"):
        WidthNetwork(DIGITS, DIGITS.uniform(1), WidthOptions("xnor"))


# What is computed ----------------------------------------------------------------------------------------------------


def normed(layer, sums):
    norm = layer.norm
    deviation = (norm.running_var + 1e-5).sqrt().view(-1, 1, 1, 1).transpose(0, 1)
    mean, weight, bias = (t.view(1, -1, 1, 1) for t in (norm.running_mean, norm.weight, norm.bias))
    return (sums - mean) / deviation * weight + bias


def binary(layer, x, binariser, stride=1):
    kernel = make_binariser(binariser).weights(layer.convolution.weight)
    inputs = make_binariser(binariser).activations(x)
    padding = kernel.weight.shape[-1] // 2
    return F.conv2d(inputs, kernel.weight, None, stride, padding) * kernel.scale.view(1, -1, 1, 1)


@pytest.mark.parametrize("binariser", BINARISERS)
def test_an_inherited_vgg_step_by_step(binariser):
    space = replace(DIGITS, binariser=binariser)
    parent = new_network(space, space.uniform(4))
    network = new_network(space, Widths((0.5, 1, 0.25, 2)), seed=1)
    inherit(network, parent)
    images = images_for(space)

    first, second, third, fourth = (layer.requires_grad_(False) for layer in network.layers.children())
    x = normed(first, F.conv2d(images, parent.layers.conv1.convolution.weight[:16], padding=1))
    x = normed(second, F.max_pool2d(binary(second, x, binariser), 2))
    x = normed(third, binary(third, x, binariser))
    x = normed(fourth, F.max_pool2d(binary(fourth, x, binariser), 2))
    expected = x.relu().flatten(1) @ network.classifier.weight.T + network.classifier.bias
    assert torch.allclose(network(images), expected)


def test_a_resnet_step_by_step():
    network = new_network(RESNET_20, RESNET_20.unrank(RESNET_20.count() * 2 // 3)).requires_grad_(False)
    layers = dict(network.layers.items())
    images = images_for(RESNET_20)
    x = normed(layers["stem"], F.conv2d(images, layers["stem"].convolution.weight, padding=1))
    for stage in (1, 2, 3):
        for block in (1, 2, 3):
            label = f"s{stage}b{block}"
            stride = 2 if stage > 1 and block == 1 else 1
            inner, outer, down = (layers.get(f"{label}_{part}") for part in ("conv1", "conv2", "down"))
            y = normed(inner, binary(inner, x, "dorefa", stride))
            y = normed(outer, binary(outer, y, "dorefa"))
            assert (down is not None) == (stride == 2)
            x = y + (normed(down, binary(down, x, "dorefa", 2)) if down else x)
    expected = network.classifier(x.relu().mean((2, 3)))
    assert torch.allclose(network(images), expected)


def test_the_full_precision_twin_is_a_network_of_relus():
    twin = new_network(DIGITS, DIGITS.uniform(0.5), WidthOptions(mode=Mode.FWFA)).requires_grad_(False)
    images = images_for(DIGITS)
    x = images
    for place, layer in enumerate(twin.layers.children()):
        x = F.conv2d(x if place == 0 else x.relu(), layer.convolution.weight, padding=1)
        x = normed(layer, F.max_pool2d(x, 2) if place % 2 else x)
    assert torch.allclose(twin(images), twin.classifier(x.relu().flatten(1)))
    set_mode(twin, Mode.BWBA)
    assert not torch.allclose(twin(images), twin.classifier(x.relu().flatten(1)))


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("binariser", BINARISERS)
def test_it_trains(binariser, mode):
    space = replace(DIGITS, binariser=binariser)
    torch.manual_seed(0)
    network = WidthNetwork(space, space.uniform(0.25), WidthOptions(binariser, mode))
    images, labels = images_for(space, 32).float(), torch.arange(32) % 5
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


# Inheritance ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("space", [DIGITS, RESNET_20], ids=lambda space: space.base)
def test_the_widest_candidate_is_its_parent(space):
    parent = new_network(space, space.uniform(4)).float()
    network = new_network(space, space.uniform(4), seed=1).float()
    inherit(network, parent)
    images = images_for(space).float()
    assert torch.equal(network(images), parent(images))
    with torch.no_grad():
        network.classifier.weight.zero_()
    assert parent.classifier.weight.abs().max() > 0  # what was inherited is a copy


@pytest.mark.parametrize("space", [DIGITS, RESNET_20], ids=lambda space: space.base)
def test_every_tensor_is_a_slice_of_the_parents(space):
    parent = new_network(space, space.uniform(4))
    wide = parent.state_dict()
    network = new_network(space, space.unrank(space.count() // 3), seed=1)
    inherit(network, parent)
    for name, tensor in network.state_dict().items():
        if name != "classifier.weight":
            assert torch.equal(tensor, wide[name][tuple(map(slice, tensor.shape))]), name
    # the linear layer reads the same pixels of the same channels
    channels, parents = network.plans[-1].cout, parent.plans[-1].cout
    pixels = network.classifier.in_features // channels
    columns = torch.arange(parents * pixels).view(parents, pixels)[:channels].flatten()
    assert torch.equal(network.classifier.weight, parent.classifier.weight[:, columns])


def test_the_last_widths_do_not_change_what_is_before():
    """A network with only its last layer narrowed gives what the parent gives once the channels left out weigh 0."""
    parent = new_network(DIGITS, DIGITS.uniform(4))
    network = new_network(DIGITS, Widths((4, 4, 4, 1)), seed=1)
    inherit(network, parent)
    with torch.no_grad():
        parent.classifier.weight.unflatten(1, (256, -1))[:, 64:] = 0
        # dorefa's scale is one number a layer, so that of the filters that were left out counts, too
        kept = parent.layers.conv4.convolution.weight[:64]
        ratio = parent.layers.conv4.convolution.weight.abs().mean() / kept.abs().mean()
        network.layers.conv4.norm.running_mean /= ratio
        network.layers.conv4.norm.running_var.add_(1e-5).div_(ratio**2).sub_(1e-5)
    images = images_for(DIGITS)
    assert torch.allclose(network(images), parent(images))


def test_a_network_of_the_meta_device_gets_its_tensors():
    parent = new_network(DIGITS, DIGITS.uniform(4))
    candidate = Widths((0.25, 2, 1, 0.5))
    network = new_network(DIGITS, candidate, seed=1)
    with torch.device("meta"):
        empty = WidthNetwork(DIGITS, candidate).eval()
    for heir in (network, empty):
        inherit(heir, parent)
    assert torch.equal(empty(images_for(DIGITS)), network(images_for(DIGITS)))
    assert all(parameter.requires_grad for parameter in empty.parameters())


def test_parents_of_other_kinds_are_refused():
    network = WidthNetwork(DIGITS, DIGITS.uniform(0.25))
    with pytest.raises(ValueError, match=r"of vgg-digits .* cannot inherit from one of vgg-small"):
        inherit(network, WidthNetwork(SPACES["vgg-small"], SPACES["vgg-small"].uniform(0.25)))
    for change in ({"image_size": 12}, {"classes": 4}, {"channels": 3}):
        other = replace(DIGITS, **change)
        with pytest.raises(ValueError, match="cannot inherit"):
            inherit(network, WidthNetwork(other, other.uniform(1)))
    other = replace(DIGITS, name="wide", ratios=(1, 4), binariser="xnor")
    inherit(network, WidthNetwork(other, other.uniform(1)))  # names, ratios and binarisers may differ


def test_a_narrower_parent_is_refused_and_nothing_changes():
    network = WidthNetwork(DIGITS, Widths((0.5, 0.5, 0.5, 2)))
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    with pytest.raises(ValueError, match=r"layers\.conv4\.convolution\.weight has shape .* at least as wide"):
        inherit(network, WidthNetwork(DIGITS, DIGITS.uniform(1)))
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
