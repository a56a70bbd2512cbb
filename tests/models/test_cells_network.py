"""Final networks of the cell space: they compute what the template says, and cost what the space says."""

import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.cell.network import CellNetwork, CellOptions
from models.layers.binarisers import BiReal
from models.layers.binary import BinaryConv2d, set_mode
from models.layers.modes import Mode
from spaces.cell import CellSpace

CIFAR = CellSpace("small", "cifar", cells=5, width=4, image_size=8, classes=5)
SPACES = {
    "cifar": CIFAR,
    "imagenet": replace(CIFAR, template="imagenet", image_size=32, cells=4),
    "grey, in groups": replace(CIFAR, channels=1, groups=2, cells=3),
    "without skips": replace(CIFAR, inter_cell_skip=False, nodes=2),
}


@pytest.fixture(params=SPACES)
def cell_space(request):
    return SPACES[request.param]


def genotypes(space, count=3):
    rng = random.Random(0)
    return [space.sample(rng) for _ in range(count)]


def moved(network):
    """In float64, with every number of the batch norms unlike its initial value."""
    network.double()
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean += 0.3 * torch.randn_like(module.running_mean)
                module.running_var += torch.rand_like(module.running_var)
                if module.affine:
                    module.weight += 0.3 * torch.randn_like(module.weight)
                    module.bias += 0.3 * torch.randn_like(module.bias)
    return network


def images(space, count=4, seed=1):
    shape = (count, space.channels, space.image_size, space.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# The oracle: BNAS's network written down from the paper, on the tensors of a state_dict; shares nothing with `models`.


def oracle(tensors, space, genotype, x):
    def norm(x, name):
        bn = {part: tensors.get(f"{name}.{part}") for part in ("running_mean", "running_var", "weight", "bias")}
        return F.batch_norm(x, **bn, eps=1e-5)

    def binary(x, name, stride, dilation=1, groups=1):
        w = tensors[f"{name}.convolution.weight"]
        w = (w - w.mean(1, keepdim=True)).clamp(-1, 1)
        w = w.abs().mean((1, 2, 3), keepdim=True) * torch.where(w >= 0, 1.0, -1.0).double()
        x = norm(x, f"{name}.norm")
        x = torch.where(x >= 0, 1.0, -1.0).double()
        return F.relu(F.conv2d(x, w, None, stride, dilation * (w.shape[-1] // 2), dilation, groups))

    def layer(x, kind, name, stride):
        if kind == "none":
            return torch.zeros_like(x)[:, :, ::stride, ::stride]
        if kind == "max":
            return F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-torch.inf), 3, stride)
        if kind == "avg":
            sums = F.avg_pool2d(F.pad(x, (1, 1, 1, 1)), 3, stride)
            return sums / F.avg_pool2d(F.pad(torch.ones_like(x), (1, 1, 1, 1)), 3, stride)
        return binary(x, name, stride, 2 if kind.startswith("dil") else 1, space.groups)

    def stem(x, number, stride):
        return norm(F.conv2d(x, tensors[f"stem.convolutions.{number}.weight"], None, stride, 1), f"stem.norms.{number}")

    if space.template == "cifar":
        before = last = stem(x, 0, 1)
    else:
        before = stem(F.relu(stem(x, 0, 2)), 1, 2)
        last = stem(F.relu(before), 2, 2)
    for number in range(space.cells):
        reduction = number in (space.cells // 3, 2 * space.cells // 3)
        cell, name = genotype.reduce if reduction else genotype.normal, f"cells.{number}"
        states = [
            binary(before, f"{name}.input1", 1 if before.shape[2] == last.shape[2] else 2),
            binary(last, f"{name}.input2", 1),
        ]
        for place, node in enumerate(cell.nodes):
            states.append(
                sum(
                    layer(
                        states[edge.source],
                        edge.layer,
                        f"{name}.layers.{place}.{which}",
                        2 if reduction and edge.source < 2 else 1,
                    )
                    for which, edge in enumerate(node)
                )
            )
        out = torch.cat(states[2:], 1)
        if number and space.inter_cell_skip:
            if reduction:
                w = tensors[f"{name}.skip.convolution.weight"]
                out = out + F.conv2d(norm(last, f"{name}.skip.norm"), w, None, 2)
            else:
                out = out + last
        before, last = last, out
    return F.linear(last.mean((2, 3)), tensors["classifier.weight"], tensors["classifier.bias"])


def test_it_computes_what_the_template_says(cell_space):
    for genotype in genotypes(cell_space):
        torch.manual_seed(0)
        network = moved(CellNetwork(cell_space, genotype)).eval()
        found = network(images(cell_space))
        wanted = oracle(network.state_dict(), cell_space, genotype, images(cell_space))
        assert found.shape == (4, cell_space.classes)
        assert torch.allclose(found, wanted, rtol=1e-9, atol=1e-9)
        assert found.std() > 1e-3


def test_learnable_numbers_are_those_of_the_closed_form(cell_space):
    for genotype in genotypes(cell_space):
        network = CellNetwork(cell_space, genotype)
        assert sum(p.numel() for p in network.parameters()) == cell_space.cost(genotype).params


def test_operations_are_those_of_the_closed_form(cell_space):
    for genotype in genotypes(cell_space):
        counts = {BinaryConv2d: 0, nn.Conv2d: 0, nn.Linear: 0}

        def count(module, inputs, output, counts=counts):
            counts[type(module)] += output[0].numel() * module.weight[0].numel()

        network = CellNetwork(cell_space, genotype)
        for module in network.modules():
            if type(module) in counts:
                module.register_forward_hook(count)
        network(images(cell_space, 2).float())
        cost = cell_space.cost(genotype)
        assert counts[BinaryConv2d] == cost.bops
        # a linear layer is counted with its bias
        assert counts[nn.Conv2d] + counts[nn.Linear] + cell_space.classes == cost.flops


def test_drop_path_leaves_out_edges_for_some_images_and_enlarges_them_for_others():
    torch.manual_seed(0)
    network = CellNetwork(CIFAR, CIFAR.largest(), CellOptions(drop_path=0.4))
    cell = network.cells[0].train()
    x = torch.rand(500, 4, 2, 2) + 1
    kept = (cell._dropped(x) / x * 6).round() / 6
    assert sorted(set(kept.flatten().tolist())) == pytest.approx([0, 1 / 0.6])
    assert torch.equal(kept, kept[:, :1, :1, :1].expand_as(kept))  # an image is dropped whole
    assert abs(kept.mean().item() - 1) < 0.15


def test_drop_path_is_off_in_evaluation_and_the_same_for_the_same_seed():
    plain, dropping = (CellNetwork(CIFAR, CIFAR.largest(), CellOptions(drop_path=share)) for share in (0.0, 0.5))
    dropping.load_state_dict(plain.state_dict())
    x = images(CIFAR, 8).float()
    with torch.no_grad():
        assert torch.equal(plain.eval()(x), dropping.eval()(x))
        outputs = []
        for seed in (1, 1, 2):
            torch.manual_seed(seed)
            outputs.append(dropping.train()(x))
        assert torch.equal(outputs[0], outputs[1])
        assert not torch.equal(outputs[0], outputs[2])
        for cell in dropping.cells:
            cell.drop_path = 0.0
        assert torch.equal(dropping(x), plain.train()(x))


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_drop_path_that_is_no_share_is_refused(share):
    with pytest.raises(ValueError, match="drop_path is a share of images"):
        CellOptions(drop_path=share)


def test_a_network_of_the_first_stage_hands_its_weights_to_the_second(cell_space):
    genotype = genotypes(cell_space)[0]
    first = CellNetwork(cell_space, genotype, CellOptions(mode=Mode.FWBA)).eval()
    second = CellNetwork(cell_space, genotype).eval()
    second.load_state_dict(first.state_dict())
    x = images(cell_space).float()
    assert not torch.allclose(first(x), second(x))
    set_mode(first, Mode.BWBA)
    assert torch.equal(first(x), second(x))


def test_options_reach_every_binary_convolution():
    options = CellOptions("bireal", mode=Mode.FWFA)
    layers = [m for m in CellNetwork(CIFAR, CIFAR.largest(), options).modules() if isinstance(m, BinaryConv2d)]
    assert len(layers) == CIFAR.cells * (2 + 2 * CIFAR.nodes)
    assert {(type(layer.binariser), layer.mode) for layer in layers} == {(BiReal, Mode.FWFA)}


def test_it_is_built_without_values_and_filled_from_tensors():
    genotype = genotypes(CIFAR)[0]
    network = CellNetwork(CIFAR, genotype).eval()
    with torch.device("meta"):
        twin = CellNetwork(CIFAR, genotype).eval()
    twin.load_state_dict(network.state_dict(), assign=True)
    x = images(CIFAR).float()
    assert torch.equal(network(x), twin(x))


def test_it_trains():
    torch.manual_seed(0)
    text = "conv3@0 max@1 ; dil3@1 none@2"
    two = replace(CIFAR, nodes=2, cells=3)
    network = CellNetwork(two, two.parse(f"normal: {text} | reduce: {text}"))
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    x, labels = images(two, 20).float(), torch.arange(20) % 5
    losses = []
    for _ in range(30):
        loss = F.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 1.5
