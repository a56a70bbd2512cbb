"""The network that searches: mixtures are weighted sums, one-hot ones are plain layers, candidates disturb nobody."""

import random
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.cell.layers import BinaryLayer, Pool, Zeroise
from models.cell.mixture import Mixture, mixed_edges, mixture_of
from models.cell.supernet import MixedEdge, MixedNetwork, MixedSupernet
from models.layers.binarisers import Xnor
from models.layers.binary import BinaryConv2d
from models.layers.norms.recalibration import recalibrate
from spaces import SpaceError
from spaces.cell import LAYER_TYPES, CellSpace

CIFAR = CellSpace("small", "cifar", cells=5, width=4, image_size=8, classes=5)
SPACES = {
    "cifar": CIFAR,
    "imagenet": replace(CIFAR, template="imagenet", image_size=32, cells=4, nodes=3),
    "few types, in groups": replace(CIFAR, layer_types=("max", "conv3", "dil5"), groups=2, cells=3),
}


@pytest.fixture(params=SPACES)
def cell_space(request):
    return SPACES[request.param]


@pytest.fixture
def make():
    """A supernet in float64 with batch norm statistics of its own."""

    def build(space, seed=0):
        torch.manual_seed(seed)
        supernet = MixedSupernet(space).double()
        for module in supernet.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean += 0.3 * torch.randn_like(module.running_mean)
                module.running_var += torch.rand_like(module.running_var)
        return supernet.eval()

    return build


def images(space, count=4, seed=1):
    shape = (count, space.channels, space.image_size, space.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_mixture(space, seed=0):
    generator = torch.Generator().manual_seed(seed)
    shape = 2, len(mixed_edges(space.nodes)), len(space.layer_types)
    return Mixture(*torch.randn(shape, generator=generator, dtype=torch.float64).softmax(2))


def genotypes(space, count=3):
    rng = random.Random(0)
    return [space.sample(rng) for _ in range(count)]


def norm(tensors, name, x):
    bn = {part: tensors.get(f"{name}.{part}") for part in ("running_mean", "running_var", "weight", "bias")}
    return F.batch_norm(x, **bn, eps=1e-5)


def plain(tensors, name, layer_type, groups, stride, x):
    """A layer of a searching network, with nothing of `models`."""
    if layer_type == "none":
        return torch.zeros_like(x[:, :, ::stride, ::stride])
    if layer_type in ("max", "avg"):
        pooled = F.max_pool2d(x, 3, stride, 1)
        if layer_type == "avg":
            pooled = F.avg_pool2d(x, 3, stride, 1, count_include_pad=False)
        return norm(tensors, f"{name}.layers.{layer_type}.norm", pooled)
    w = tensors[f"{name}.layers.{layer_type}.weight"]
    w = (w - w.mean(1, keepdim=True)).clamp(-1, 1)
    scale, signs = w.abs().mean((1, 2, 3)), torch.where(w >= 0, 1.0, -1.0).double()
    x = torch.where(norm(tensors, f"{name}.norm", x) >= 0, 1.0, -1.0).double()
    dilation = 2 if layer_type.startswith("dil") else 1
    sums = F.conv2d(x, signs, None, stride, dilation * (w.shape[-1] // 2), dilation, groups)
    return F.relu(sums * scale[:, None, None])


def oracle(tensors, space, mixture, x):
    before = last = norm(tensors, "stem.norms.0", F.conv2d(x, tensors["stem.convolutions.0.weight"], None, 1, 1))
    for number in range(space.cells):
        reduction = number in (space.cells // 3, 2 * space.cells // 3)
        rows, name = mixture[reduction], f"cells.{number}"
        states = []
        for place, source in (("input1", before), ("input2", last)):
            w = tensors[f"{name}.{place}.convolution.weight"]
            stride = source.shape[2] // last.shape[2]
            found = F.conv2d(F.relu(source), w, None, stride, w.shape[-1] // 2)
            states.append(norm(tensors, f"{name}.{place}.norm", found))
        for edge, (source, state) in enumerate(mixed_edges(space.nodes)):
            stride = 2 if reduction and source < 2 else 1
            terms = [
                rows[edge, which] * plain(tensors, f"{name}.edges.{edge}", layer, space.groups, stride, states[source])
                for which, layer in enumerate(space.layer_types)
            ]
            if len(states) == state:
                states.append(torch.zeros_like(terms[0]))
            states[state] = states[state] + sum(terms)
        out = torch.cat(states[2:], 1)
        if number and reduction:
            w = tensors[f"{name}.skip.convolution.weight"]
            out = out + F.conv2d(norm(tensors, f"{name}.skip.norm", last), w, None, 2)
        elif number:
            out = out + last
        before, last = last, out
    return F.linear(last.mean((2, 3)), tensors["classifier.weight"], tensors["classifier.bias"])


@pytest.mark.parametrize("name", ["cifar", "few types, in groups"])
def test_it_mixes_every_layer_of_every_edge(make, name):
    space = SPACES[name]
    supernet, mixture = make(space), random_mixture(space)
    wanted = oracle(supernet.state_dict(), space, mixture, images(space))
    with torch.no_grad():
        assert torch.allclose(supernet(images(space), mixture), wanted, rtol=1e-8, atol=1e-8)
        for genotype in genotypes(space):
            mixture = mixture_of(space, genotype)
            wanted = oracle(supernet.state_dict(), space, mixture, images(space))
            assert torch.allclose(supernet(images(space), mixture), wanted, rtol=1e-8, atol=1e-8)


def test_there_is_an_edge_from_every_earlier_state():
    assert len(mixed_edges(4)) == 14
    assert [pair for pair in mixed_edges(3) if pair[1] == 4] == [(0, 4), (1, 4), (2, 4), (3, 4)]


@pytest.mark.parametrize("wants_gradient", [False, True])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("layer_type", LAYER_TYPES)
def test_a_one_hot_edge_is_exactly_its_plain_layer(layer_type, stride, training, wants_gradient):
    torch.manual_seed(0)
    cell = MixedSupernet(replace(CIFAR, width=6)).double().cells[1 if stride == 2 else 0]
    edge = cell.edges[0].train(training)
    x = torch.randn(3, 6 * stride, 8, 8, dtype=torch.float64, requires_grad=True)
    number = LAYER_TYPES.index(layer_type)
    row = torch.eye(7, dtype=torch.float64)[number].requires_grad_(wants_gradient)
    single = edge.single(layer_type)
    wanted = single(x)
    found = edge(x, row, range(7) if wants_gradient else [number])
    if layer_type == "none" and not wants_gradient:
        assert found is None
        found = torch.zeros_like(wanted)
    assert torch.equal(found, wanted)
    probe = torch.randn_like(wanted)
    gradients = [
        torch.autograd.grad((output * probe).sum(), x, allow_unused=True, materialize_grads=True)[0]
        if output.requires_grad
        else torch.zeros_like(x)
        for output in (found, wanted)
    ]
    assert torch.equal(*gradients)
    assert (layer_type == "none") == (not gradients[0].any())


def test_zeroise_is_zero_of_the_right_size_and_gives_no_gradient():
    x = torch.full((2, 3, 8, 8), torch.nan, requires_grad=True)  # zeros whatever the input
    for stride in (1, 2):
        zeros = Zeroise(stride)(x)
        assert torch.equal(zeros, torch.zeros(2, 3, 8 // stride, 8 // stride))
        (gradient,) = torch.autograd.grad((zeros + 0 * torch.ones(1, requires_grad=True)).sum(), x, allow_unused=True)
        assert gradient is None


def test_a_weight_learns_how_well_its_layer_points_along_the_gradient(make):
    edge = make(CIFAR).cells[0].edges[3].train()
    x = torch.randn(3, 4, 8, 8, dtype=torch.float64)
    row = torch.rand(7, dtype=torch.float64, requires_grad=True)
    probe = torch.randn_like(x)
    (edge(x, row, range(7)) * probe).sum().backward()
    wanted = torch.stack([(edge.single(layer)(x) * probe).sum() for layer in LAYER_TYPES])
    assert torch.allclose(row.grad, wanted.detach())
    assert row.grad[LAYER_TYPES.index("none")] == 0


def test_a_genotypes_mixture_is_one_for_its_layers_and_zero_elsewhere():
    text = "dil3@0 none@1 ; conv3@1 none@2 ; none@2 none@3 ; none@3 none@4"
    genotype = CIFAR.parse(f"normal: {text} | reduce: max@0 none@1 ; max@0 none@2 ; none@2 none@3 ; none@3 none@4")
    mixture = mixture_of(CIFAR, genotype)
    for rows, cell in zip(mixture, (genotype.normal, genotype.reduce), strict=True):
        kept = {(*mixed_edges(4)[edge], LAYER_TYPES[layer]) for edge, layer in rows.nonzero().tolist()}
        assert kept == {(edge.source, state, edge.layer) for state, node in enumerate(cell.nodes, 2) for edge in node}
        assert rows.sum() == 8
        assert set(rows.flatten().tolist()) == {0.0, 1.0}
    with pytest.raises(SpaceError, match="layer types are"):
        mixture_of(replace(CIFAR, layer_types=("conv3",)), genotype)


def test_an_inherited_network_is_the_masked_supernet(make, cell_space):
    supernet = make(cell_space)
    x = images(cell_space)
    for training in (False, True):
        supernet.train(training)
        for genotype in genotypes(cell_space):
            network = supernet.extract(genotype)
            assert network.training == training
            assert (network.space, network.architecture) == (cell_space, genotype)
            with torch.no_grad():
                assert torch.equal(network(x), supernet(x, mixture_of(cell_space, genotype)))


def test_a_masked_supernet_computes_only_what_is_kept(make, monkeypatch):
    supernet = make(CIFAR)
    genotype = genotypes(CIFAR)[0]
    called = []

    def noted(layer_type, function):
        return lambda x: called.append(layer_type) or function(x)

    for name, module in supernet.named_modules():
        if isinstance(module, BinaryConv2d | Pool):
            method = "convolve" if isinstance(module, BinaryConv2d) else "forward"
            monkeypatch.setattr(module, method, noted(name.rpartition(".")[2], getattr(module, method)))
    supernet(images(CIFAR), mixture_of(CIFAR, genotype))
    kept = [
        edge.layer
        for number in range(CIFAR.cells)
        for edge in (genotype.reduce if number in (1, 3) else genotype.normal).edges()
    ]
    assert sorted(called) == sorted(layer for layer in kept if layer != "none")


def test_recalibrating_a_candidate_changes_neither_the_supernet_nor_another(make, cell_space):
    supernet = make(cell_space)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    first, second = (supernet.extract(genotype) for genotype in genotypes(cell_space, 2))
    x = images(cell_space, 8)
    logits = [network(x) for network in (first, second)]
    recalibrate(first, [images(cell_space, 8, seed) for seed in range(3)])
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())
    assert not torch.allclose(first(x), logits[0])
    assert torch.equal(second(x), logits[1])
    # and it does not matter what the supernet remembers
    for module in supernet.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
    other = supernet.extract(first.architecture)
    recalibrate(other, [images(cell_space, 8, seed) for seed in range(3)])
    assert torch.equal(first(x), other(x))


def test_parameters_are_shared(make):
    supernet = make(CIFAR)
    network = supernet.extract(genotypes(CIFAR)[0])
    own = {parameter.data_ptr() for parameter in supernet.parameters()}
    assert {parameter.data_ptr() for parameter in network.parameters()} <= own
    buffers = {buffer.data_ptr() for buffer in supernet.buffers()}
    assert buffers.isdisjoint(buffer.data_ptr() for buffer in network.buffers())
    x = images(CIFAR)
    with torch.no_grad():
        before = network(x)
        for layer in network.modules():
            if isinstance(layer, BinaryLayer):
                break
        layer.convolution.weight.copy_(torch.randn_like(layer.convolution.weight))
        assert not torch.equal(network(x), before)
        assert torch.equal(network(x), supernet(x, mixture_of(CIFAR, network.architecture)))


def test_a_genotype_of_zeroise_alone_has_logits(make):
    genotype = CIFAR.parse(
        "normal: none@0 none@1" + " ; none@0 none@1" * 3 + " | reduce: none@0 none@1" + " ; none@0 none@1" * 3
    )
    supernet = make(CIFAR)
    x = images(CIFAR)
    assert torch.equal(supernet.extract(genotype)(x), supernet(x, mixture_of(CIFAR, genotype)))


def test_a_mixed_network_is_its_supernet_under_one_mixture(make):
    supernet, mixture = make(CIFAR), random_mixture(CIFAR)
    x = images(CIFAR)
    assert torch.equal(MixedNetwork(supernet, mixture)(x), supernet(x, mixture))


def test_what_reads_a_node_of_a_reduction_cell_keeps_its_size():
    supernet = MixedSupernet(CIFAR)
    for cell, reduction in zip(supernet.cells, supernet.reductions, strict=True):
        for (source, _), edge in zip(cell.wiring, cell.edges, strict=True):
            assert isinstance(edge, MixedEdge)
            strides = {layer.stride for layer in edge.layers.values()}
            assert strides == {2 if reduction and source < 2 else 1}
            convolutions = [layer for layer in edge.layers.values() if isinstance(layer, BinaryConv2d)]
            assert {type(layer.binariser) for layer in convolutions} == {Xnor}
