"""Networks of the width and cell spaces as programs: the logits and classes of the networks themselves."""

import random
from dataclasses import replace

import pytest
import torch
from torch import nn

from models.cell.network import CellNetwork, CellOptions
from models.cell.supernet import MixedSupernet
from models.families import build_network
from models.layers import convolution
from models.layers.binarisers import BINARISERS
from models.layers.binary import set_mode
from models.layers.modes import Mode
from models.nasbnn.network import ConvolutionUnit, FloatStem, Stem
from models.onebit import portable
from models.onebit.engine import Backend, Engine
from models.onebit.lowering.lower import lower
from models.onebit.operations import BinaryConvolution, Encoding, Zero
from models.width.network import WidthNetwork, WidthOptions
from spaces import NasBnnSpace, Stage
from spaces.cell import CellSpace
from spaces.nasbnn.declaration import Blocks
from spaces.width import WidthSpace

NASBNN = NasBnnSpace(
    "small",
    stem_widths=(6,),
    stem_stride=2,
    stages=(
        Stage(depths=(2,), widths=(8, 16), kernel_sizes=(3, 5), groups=(1, 2), stride=2),
        Stage(depths=(2,), widths=(20, 24), kernel_sizes=(3,), groups=(2, 4), stride=1),
    ),
    image_size=16,
    classes=5,
    non_decreasing=False,
)
WIDTHS = {
    "vgg-small": WidthSpace("small", "vgg-small", image_size=8),
    "resnet-18": WidthSpace("imagenet", "resnet-18", image_size=64, classes=20),
    "resnet-20": WidthSpace("resnet", "resnet-20", image_size=8),
    "vgg-digits": WidthSpace("digits", "vgg-digits", image_size=8, classes=5, channels=1),
    "bi-real-18": WidthSpace("real", "bi-real-18", image_size=64, classes=20, binariser="bireal"),
    "real-to-binary-18": WidthSpace("gated", "real-to-binary-18", image_size=64, classes=20, binariser="bireal"),
}
CIFAR = CellSpace("small", "cifar", cells=5, width=4, image_size=8, classes=5)
CELLS = {
    "cifar": CIFAR,
    "imagenet": replace(CIFAR, template="imagenet", image_size=32, cells=4),
    "grey, in groups": replace(CIFAR, channels=1, groups=2, cells=3),
    "without skips": replace(CIFAR, inter_cell_skip=False, nodes=2),
}


@torch.no_grad()
def moved(network, seed=0):
    """In evaluation mode, every number of the batch norms unlike its initial value; some factors are negative, or 0."""
    torch.manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean += 0.3 * torch.randn_like(module.running_mean)
            module.running_var += torch.rand_like(module.running_var)
            if module.affine:
                module.weight.copy_(torch.randn_like(module.weight))
                module.weight[0] = 0
                module.bias.copy_(0.3 * torch.randn_like(module.bias))
    return network.eval()


@pytest.mark.parametrize("blocks", Blocks)
@pytest.mark.parametrize("seed", range(4))
def test_a_network_of_nasbnn_has_the_tensors_of_its_program_to_the_bit(seed, blocks, monkeypatch):
    """Every one up to the mean: so whatever is near a threshold falls on the same side of it, in every unit."""
    monkeypatch.setattr(convolution, "_CACHED", 1000)  # which makes parts of three images
    torch.manual_seed(seed)
    space = replace(NASBNN, blocks=blocks)
    network = build_network(space, space.sample(random.Random(seed))).eval()
    with torch.no_grad():
        for values in network.parameters():
            values += 0.2 * torch.randn_like(values)
        for name, values in network.named_buffers():
            if "running" in name:
                values += torch.rand_like(values) if name.endswith("var") else 0.2 * torch.randn_like(values)
        if blocks is Blocks.NASBNN:
            network.stem.step[0] *= -1
    found = []
    for module in network.modules():
        if isinstance(module, Stem | FloatStem | ConvolutionUnit):
            module.register_forward_hook(lambda module, given, output: found.append(output))
    images = torch.randn(32, 3, 16, 16)
    with torch.inference_mode():
        wanted = network(images)
    tensors = portable.run_all(lower(network), images.permute(0, 2, 3, 1).numpy())
    assert len(found) == 1 + 2 * 4
    assert blocks is Blocks.BNEXT or len(tensors) == 1 + len(found) + 2  # one operation for each
    later = map(torch.from_numpy, tensors[1:-2])
    for output in found:  # in this order
        assert any(torch.equal(output.permute(0, 2, 3, 1), tensor) for tensor in later)
    assert not list(later)
    torch.testing.assert_close(torch.from_numpy(tensors[-1]).flatten(1), wanted, rtol=1e-5, atol=1e-5)
    assert torch.equal(Engine(lower(network))(images).argmax(1), wanted.argmax(1))


def assert_same(network, space, count=8):
    images = torch.randn(count, space.channels, space.image_size, space.image_size)
    with torch.inference_mode():
        wanted = network(images)
    program = lower(network)
    assert any(isinstance(operation, BinaryConvolution) for operation in program.operations)
    logits = Engine(program)(images)
    assert torch.equal(logits, Engine(program, Backend.PORTABLE)(images))
    assert torch.equal(logits.argmax(1), wanted.argmax(1))
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)
    return program


@pytest.mark.parametrize("binariser", BINARISERS)
@pytest.mark.parametrize("name", WIDTHS)
def test_width_networks(name, binariser):
    space = replace(WIDTHS[name], binariser=binariser, ratios=(0.25, 0.5, 1))
    torch.manual_seed(1)
    network = WidthNetwork(space, space.sample(random.Random(0)), WidthOptions(binariser))
    program = assert_same(moved(network), space)
    encodings = {o.encoding for o in program.operations if isinstance(o, BinaryConvolution)}
    assert encodings == {Encoding.ZERO_ONE if binariser == "dorefa" else Encoding.SIGNS}


@pytest.mark.parametrize("binariser", BINARISERS)
@pytest.mark.parametrize("name", CELLS)
def test_cell_networks(name, binariser):
    space = CELLS[name]
    for seed in range(2):
        torch.manual_seed(seed)
        genotype = space.sample(random.Random(seed))
        assert_same(moved(CellNetwork(space, genotype, CellOptions(binariser))), space)


def test_inherited_cell_networks():
    torch.manual_seed(0)
    supernet = moved(MixedSupernet(CIFAR))
    for seed in range(3):
        assert_same(supernet.extract(CIFAR.sample(random.Random(seed))).eval(), CIFAR)


def test_zeroise_edges_vanish_with_what_only_they_read():
    torch.manual_seed(0)
    text = "normal: none@0 conv3@1 ; none@0 conv3@1 | reduce: none@0 none@1 ; none@0 none@1"
    space = replace(CIFAR, nodes=2)
    genotype = space.parse(text)
    program = assert_same(moved(CellNetwork(space, genotype)), space)
    zeros = sum(isinstance(operation, Zero) for operation in program.operations)
    reductions = sum(cell.reduction for cell in space.plan(genotype).cells)
    assert zeros == 2 * reductions
    convolutions = sum(isinstance(operation, BinaryConvolution) for operation in program.operations)
    normal = space.cells - reductions
    assert convolutions == 3 * normal  # its second input and two edges; no first input, no input of a reduction


@pytest.mark.parametrize("mode", [Mode.FWBA, Mode.FWFA])
def test_networks_that_are_not_binary_are_refused(mode):
    network = CellNetwork(CIFAR, CIFAR.sample(random.Random(0)))
    set_mode(network, mode)
    with pytest.raises(TypeError, match=f"a network in mode {mode.name} is not binary"):
        lower(network)
