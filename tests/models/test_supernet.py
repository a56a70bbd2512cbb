"""The supernet against the oracle, and extraction against the supernet."""

import copy
from dataclasses import replace

import pytest
import reference
import torch

from models.layers.kernels import WeightNormalisation
from models.layers.modes import Mode, Weights
from models.nasbnn.network import BinaryNetwork
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions
from spaces import SpaceError, get_space

DOMAINS = {Mode.BWBA: ("binary", "binary"), Mode.FWBA: ("float", "binary"), Mode.FWFA: ("float", "float")}


def gradients_of(outputs, tensors):
    loss = (outputs * torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)).sum()
    return torch.autograd.grad(loss, tensors, allow_unused=True)


def assert_close(ours, expected, what=""):
    ours, expected = (torch.zeros(()) if x is None else x for x in (ours, expected))
    assert (ours - expected).abs().max() <= 1e-10 * max(1, expected.abs().max().item()), what


def assert_equal_gradients(ours, expected, names):
    for name, a, b in zip(names, ours, expected, strict=True):
        assert_close(a, b, name)


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_gradients_and_statistics_are_the_oracles(space, mode, training, make_supernet, members, images_of):
    supernet = make_supernet(space).train(training)
    images = images_of(space)
    weights, activations = DOMAINS[mode]
    for member in members(space):
        twin = copy.deepcopy(supernet)
        outputs = supernet(images, member, mode)
        ours = gradients_of(outputs, list(supernet.parameters()))

        expected = reference.forward(
            reference.published(twin), space, member, images,
            weights=weights, activations=activations, training=training,
        )  # fmt: skip
        theirs = gradients_of(expected, list(twin.parameters()))

        assert_close(outputs, expected)
        assert any(g is not None and g.abs().max() > 1e-3 for g in ours)
        assert_equal_gradients(ours, theirs, dict(supernet.named_parameters()))
        for (name, a), b in zip(supernet.named_buffers(), twin.buffers(), strict=True):
            assert_close(a, b, name)


@pytest.mark.parametrize("normalisation", WeightNormalisation)
@pytest.mark.parametrize("bi_transformation", [True, False])
def test_every_option_is_the_oracles(normalisation, bi_transformation, make_supernet, members, images_of):
    space = get_space("nasbnn-digits")
    supernet = make_supernet(space, SupernetOptions(bi_transformation, normalisation))
    twin = copy.deepcopy(supernet)
    for member in members(space):
        outputs = supernet(images_of(space), member)
        expected = reference.forward(
            reference.published(twin), space, member, images_of(space), normalisation=normalisation.value, training=True
        )
        assert_close(outputs, expected)
        ours, theirs = (gradients_of(o, list(s.parameters())) for o, s in ((outputs, supernet), (expected, twin)))
        assert_equal_gradients(ours, theirs, dict(supernet.named_parameters()))


@pytest.mark.parametrize("training", [True, False])
def test_an_extracted_network_gives_what_the_supernet_gives(space, training, make_supernet, members, images_of):
    supernet = make_supernet(space).train(training)
    images = images_of(space)
    for member in members(space):
        network = supernet.extract(member)
        assert network.training == training
        outputs = network(images)
        shared = supernet(images, member)
        assert_close(outputs, shared)

        # the network's gradients, pulled back to the shared weights through the cuts that extraction bakes in
        names = [name for name, _ in network.named_parameters()]
        own = dict(zip(names, gradients_of(outputs, list(network.parameters())), strict=True))
        baked, pulled = [], []
        for name, tensor in cuts(supernet, member).items():
            baked.append(tensor)
            pulled.append(own.pop(name))
        assert not own
        ours = torch.autograd.grad(baked, list(supernet.parameters()), pulled, allow_unused=True)
        expected = gradients_of(shared, list(supernet.parameters()))
        assert_equal_gradients(ours, expected, dict(supernet.named_parameters()))


def cuts(supernet, member):
    """What extraction bakes into the network of a member, differentiable, by the name of the network's parameter."""
    result = {"stem.weight": supernet.stem.weight[: member.stem], "stem.step": supernet.stem.step[: member.stem]}

    def tail(name, module, channels):
        result.update({f"{name}.tail.{part}": p[:channels] for part, p in module.tail.named_parameters()})

    tail("stem", supernet.stem, member.stem)
    width = member.stem
    for i, layers in enumerate(member.stages):
        for j, layer in enumerate(layers):
            name, block = f"stages.{i}.{j}", supernet.stages[i][j]
            result[f"{name}.kxk.weight"] = block.kxk.cut(width, layer.kernel_size, layer.groups, Weights.BINARY)
            result[f"{name}.kxk.shift"] = block.kxk.shift[:width]
            tail(f"{name}.kxk", block.kxk, width)
            result[f"{name}.pointwise.weight"] = block.pointwise.cut(width, layer.width)
            result[f"{name}.pointwise.shift"] = block.pointwise.shift[:width]
            tail(f"{name}.pointwise", block.pointwise, layer.width)
            width = layer.width
    result["classifier.weight"] = supernet.classifier.weight[:, :width]
    result["classifier.bias"] = supernet.classifier.bias
    return result


def test_extraction_copies(make_supernet):
    space = get_space("nasbnn-digits")
    supernet = make_supernet(space)
    before = {name: tensor.clone() for name, tensor in supernet.state_dict().items()}
    network = supernet.extract(space.largest())
    with torch.no_grad():
        for tensor in (*network.parameters(), *network.buffers()):
            tensor.fill_(3)
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


def test_training_a_narrow_member_leaves_the_other_entries_alone(make_supernet, images_of):
    space = get_space("nasbnn-digits")
    supernet = make_supernet(space)
    before = {name: tensor.clone() for name, tensor in supernet.named_buffers()}
    smallest = space.smallest()
    supernet(images_of(space), smallest)
    after = dict(supernet.named_buffers())
    name = "stem.tail.running_mean"
    assert not torch.equal(after[name][: smallest.stem], before[name][: smallest.stem])
    assert torch.equal(after[name][smallest.stem :], before[name][smallest.stem :])
    assert torch.equal(after["stages.1.2.kxk.tail.running_var"], before["stages.1.2.kxk.tail.running_var"])


def test_evaluation_moves_no_statistics(make_supernet, images_of):
    space = get_space("nasbnn-digits")
    supernet = make_supernet(space).eval()
    before = copy.deepcopy(supernet.state_dict())
    supernet(images_of(space), space.largest())
    assert all(torch.equal(tensor, before[name]) for name, tensor in supernet.state_dict().items())


def test_a_stranger_is_refused(images_of):
    space = get_space("nasbnn-digits")
    stranger = replace(space.largest(), stem=7)
    supernet = NasBnnSupernet(space)
    with pytest.raises(SpaceError, match="the stem has width 7"):
        supernet(images_of(space).float(), stranger)
    with pytest.raises(SpaceError, match="the stem has width 7"):
        supernet.extract(stranger)
    with pytest.raises(SpaceError, match="the stem has width 7"):
        BinaryNetwork(space, stranger)


@pytest.mark.parametrize("mode", Mode)
def test_autocast_changes_the_precision_of_convolutions_only(mode, make_supernet, images_of):
    space = get_space("nasbnn-digits")
    supernet = make_supernet(space).float()
    images = images_of(space, 8).float()
    expected = supernet(images, space.largest(), mode)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert supernet.stages[1][0].kxk.cut(16, 5, 2, Weights.BINARY).dtype == torch.float32
        logits = supernet(images, space.largest(), mode)
    logits.logsumexp(1).sum().backward()
    assert all(p.grad is None or (p.grad.dtype == p.dtype and p.grad.isfinite().all()) for p in supernet.parameters())
    if mode is Mode.BWBA:
        assert torch.equal(logits, expected)  # all sums are exact
    correlation = torch.corrcoef(torch.stack([logits.flatten(), expected.flatten()]))[0, 1]
    assert correlation > 0.6  # some signs flip, as float weights are rounded


def test_gradients_of_several_passes_add_up(make_supernet, members, images_of):
    space = get_space("nasbnn-digits")
    supernet = make_supernet(space).eval()  # in evaluation, passes do not change each other's statistics
    expected = {name: torch.zeros_like(parameter) for name, parameter in supernet.named_parameters()}
    drawn = members(space)
    for member in drawn:
        gradients = gradients_of(supernet(images_of(space), member), list(supernet.parameters()))
        for name, gradient in zip(expected, gradients, strict=True):
            expected[name] += 0 if gradient is None else gradient
    for member in drawn:
        outputs = supernet(images_of(space), member)
        outputs.backward(torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs))
    for name, parameter in supernet.named_parameters():
        assert_close(torch.zeros(()) if parameter.grad is None else parameter.grad, expected[name], name)
