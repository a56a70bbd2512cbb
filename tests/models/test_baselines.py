"""Networks of papers by name: what is built is what was counted, and what is exported is what was built."""

import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.families import build_network, family_of
from models.layers.binary import BinaryConv2d
from models.layers.tail import NormTail
from models.nasbnn.network import ConvolutionUnit, FloatStem, Stem
from models.nasbnn.recoupling import Gate
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions
from models.onebit.engine import Backend, Engine
from models.onebit.lowering.lower import lower
from models.width.gated import GatedConvolution
from spaces import get_space
from spaces.catalogue import NETWORKS, get_network
from spaces.joint.networks import NetworksSpace
from spaces.nasbnn.declaration import Blocks

REACTNET = replace(get_space("reactnet@16/8"), classes=5)


_COUNTED = (Stem, FloatStem, ConvolutionUnit, Gate, GatedConvolution, BinaryConv2d, nn.Conv2d, nn.Linear)


def count_operations(network, images):
    """Multiply-accumulates by hooks on the built network: of 8 bits, binary and float."""
    counts = {"int8": 0, "binary": 0, "float": 0}

    def hook(module, given, output):
        kind = (
            "int8" if isinstance(module, Stem) else "float" if isinstance(module, FloatStem | nn.Conv2d) else "binary"
        )
        if isinstance(module, Gate | GatedConvolution):
            gate = module if isinstance(module, Gate) else module.gate
            kind = "float" if gate.reduce.step is None else "int8"
            counts[kind] += gate.reduce.weight.numel() + gate.expand.weight.numel()
        elif isinstance(module, nn.Linear):
            counts["float"] += module.out_features * (module.in_features + 1)
        else:
            counts[kind] += module.weight.numel() * output.shape[2] * output.shape[3]

    for module in network.modules():
        if isinstance(module, _COUNTED):
            module.register_forward_hook(hook)
    network(images)
    return counts["int8"], counts["binary"], counts["float"]


_LARGE = ("bnext-s", "bnext-m")  # as bnext-t but for widths and depths


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.long) if name in _LARGE else name for name in NETWORKS]
)
def test_hooks_on_the_built_network_count_what_the_closed_form_says(name):
    known = get_network(name)
    space = get_space(known.space)
    member = space.parse(known.architecture)
    # the units of NAS-BNN's family cannot be run without values
    with torch.device("cpu" if space.family == "nasbnn" else "meta"), torch.inference_mode():
        network = build_network(space, member).eval()
        counted = count_operations(network, torch.zeros(1, 3, space.image_size, space.image_size))
    cost = space.cost(member)
    assert counted == (cost.int8_ops, cost.bops, cost.flops)
    assert sum(parameter.numel() for parameter in network.parameters()) == cost.params


@torch.no_grad()
def moved(network):
    """With numbers of its norms that are not the initial ones."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.3 * torch.randn_like(module.running_mean)
            module.running_var += torch.rand_like(module.running_var)
            module.weight += 0.3 * torch.randn_like(module.weight)
            module.bias += 0.3 * torch.randn_like(module.bias)
    return network.eval()


@pytest.mark.parametrize("name", ["bi-real-18", "real-to-binary-18", "xnor-resnet-18", "react-net-a", "bnext-t"])
def test_the_program_of_a_named_network_gives_its_logits(name):
    torch.manual_seed(0)
    space = NetworksSpace("one", (name,), image_size=32, classes=7)
    own, member, _ = vars(space.split(space.unrank(0))).values()
    network = moved(build_network(own, member))
    images = torch.randn(4, 3, 32, 32)
    with torch.inference_mode():
        wanted = network(images)
    program = lower(network)
    logits = Engine(program)(images)
    assert torch.equal(logits, Engine(program, Backend.PORTABLE)(images))
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)


def test_the_shortcut_of_bi_real_net_is_a_convolution_of_means():
    torch.manual_seed(0)
    space = replace(get_space("bi-real-18"), image_size=64, classes=5)
    network = moved(build_network(space, space.uniform(1)))
    layer = network.layers["s2b1_down"]
    x = torch.randn(2, 64, 16, 16)
    norm = layer.norm
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    means = F.conv2d(F.avg_pool2d(x, 2), layer.convolution.weight)
    expected = (means - norm.running_mean.view(-1, 1, 1)) * scale.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    torch.testing.assert_close(layer(x, None), expected, rtol=1e-5, atol=1e-5)


def test_bi_real_net_has_no_activation_before_its_mean():
    torch.manual_seed(0)
    space = replace(get_space("bi-real-18"), image_size=32, classes=5)
    network = moved(build_network(space, space.uniform(1)))
    images = torch.randn(2, 3, 32, 32)
    *_, (_, last) = network.maps(images)
    assert (last < 0).any()
    torch.testing.assert_close(network(images), network.classifier(last.mean((2, 3))))


def test_a_float_stem_is_a_convolution_and_a_norm():
    torch.manual_seed(0)
    stem = FloatStem(3, 8, 2).double()
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64)
    norm = nn.BatchNorm2d(8).double()
    for _ in range(3):
        sums = F.conv2d(images, stem.weight, None, 2, 1)
        torch.testing.assert_close(stem(images), norm(sums))
    stem.eval(), norm.eval()
    with torch.no_grad():
        torch.testing.assert_close(stem(images), norm(F.conv2d(images, stem.weight, None, 2, 1)))
    torch.testing.assert_close(stem(images), norm(F.conv2d(images, stem.weight, None, 2, 1)))
    assert {name for name, _ in NormTail(8).named_parameters()} == {"weight", "bias"}


def test_filters_of_reactnet_are_as_they_are():
    torch.manual_seed(0)
    network = build_network(REACTNET, REACTNET.largest())
    unit = next(network.blocks()).kxk
    kernel = unit.kernel()
    assert torch.equal(kernel.weight, torch.where(unit.weight >= 0, 1.0, -1.0))
    torch.testing.assert_close(kernel.scale, unit.weight.abs().mean((1, 2, 3)))


def test_a_wider_1x1_of_reactnet_is_two_with_a_shortcut_each():
    """The paper's reduction: two 1x1 convolutions of the same maps, each with its norm and shortcut, side by side."""
    torch.manual_seed(0)
    network = build_network(REACTNET, REACTNET.largest()).eval()
    unit = next(network.blocks()).pointwise
    width = unit.weight.shape[1]
    assert unit.weight.shape[0] == 2 * width
    x = torch.randn(2, width, 4, 4)
    kernel, tail = unit.kernel(), unit.tail
    signs = torch.where(x + unit.shift.view(-1, 1, 1) >= 0, 1.0, -1.0)
    halves = []
    for half in (slice(width), slice(width, None)):
        sums = F.conv2d(signs, kernel.weight[half]) * kernel.scale[half].view(-1, 1, 1)
        mean, var = tail.running_mean[half], tail.running_var[half]
        halves.append(F.batch_norm(sums, mean, var, tail.weight[half], tail.bias[half]) + x)
    expected = F.prelu(torch.cat(halves, 1) + tail.shift_in.view(-1, 1, 1), tail.slope) + tail.shift_out.view(-1, 1, 1)
    torch.testing.assert_close(unit(x), expected, rtol=1e-5, atol=1e-5)


def test_members_of_a_supernet_with_a_float_stem_are_networks():
    torch.manual_seed(0)
    supernet = NasBnnSupernet(REACTNET, SupernetOptions()).train()
    images = torch.randn(4, 3, 16, 16)
    supernet(images, REACTNET.largest()).sum().backward()
    assert supernet.stem.weight.grad is not None
    supernet.eval()
    for seed in range(3):
        member = REACTNET.sample(random.Random(seed))
        network = supernet.extract(member)
        assert network.space.blocks is Blocks.REACTNET
        with torch.inference_mode():
            assert torch.equal(network(images), supernet(images, member))


def test_families_of_several_networks():
    space = NetworksSpace("two", ("bi-real-18", "react-net-a"), image_size=32)
    family = family_of(space)
    assert family.supernet is None
    assert not family.has_option("binariser")
    assert family_of(NetworksSpace("one", ("bi-real-18",))).has_option("binariser")
