"""A network on its own: its size, its operations, kept kernels and recalibration."""

import pytest
import torch

from models.layers.norms.recalibration import recalibrate
from models.layers.tail import Tail
from models.nasbnn.network import BinaryNetwork, ConvolutionUnit, NetworkOptions, Stem
from spaces import get_space


def test_learnable_numbers_are_those_of_the_closed_form(space, members):
    for member in members(space, count=5):
        network = BinaryNetwork(space, member)
        assert sum(parameter.numel() for parameter in network.parameters()) == space.cost(member).params


def test_learnable_numbers_of_the_papers_space(members):
    space = get_space("nasbnn")
    for member in members(space, count=2):
        with torch.device("meta"):
            network = BinaryNetwork(space, member)
        assert sum(parameter.numel() for parameter in network.parameters()) == space.cost(member).params


def count_operations(network, images):
    """Multiply-accumulates by hooks: of 8 bits, binary and float."""
    counts = {"int8": 0, "binary": 0, "float": 0}

    def hook(module, _, output):
        if isinstance(module, Stem):
            counts["int8"] += module.weight.numel() * output.shape[2] * output.shape[3]
        elif isinstance(module, ConvolutionUnit):
            counts["binary"] += module.weight.numel() * output.shape[2] * output.shape[3]
        elif isinstance(module, torch.nn.Linear):
            counts["float"] += module.out_features * (module.in_features + 1)

    handles = [module.register_forward_hook(hook) for module in network.modules()]
    network(images)
    for handle in handles:
        handle.remove()
    return counts


def test_operations_are_those_of_the_closed_form(space, members, images_of):
    for member in members(space):
        cost = space.cost(member)
        counts = count_operations(BinaryNetwork(space, member), images_of(space, 2).float())
        assert (counts["int8"], counts["binary"], counts["float"]) == (cost.int8_ops, cost.bops, cost.flops)


def test_it_trains_from_scratch(images_of):
    space = get_space("nasbnn-digits")
    torch.manual_seed(0)
    network = BinaryNetwork(space, space.smallest())
    images, labels = images_of(space, 32).float(), torch.arange(32) % 10
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
    losses = []
    for _ in range(40):
        loss = torch.nn.functional.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 3


def test_a_kept_kernel_follows_its_weight(images_of):
    space = get_space("nasbnn-digits")
    network = BinaryNetwork(space, space.smallest()).eval()
    unit = next(network.blocks()).kxk
    images = images_of(space).float()
    with torch.no_grad():
        first = network(images)
        assert unit.kernel() is unit.kernel()
        unit.weight.mul_(-1)
        flipped = network(images)
        assert not torch.equal(first, flipped)
        unit.weight = torch.nn.Parameter(-unit.weight)
        assert torch.equal(network(images), first)
        unit.weight.data = -unit.weight.data
        assert torch.equal(network(images), flipped)
        network.double()
        assert unit.kernel().weight.dtype == torch.float64
    assert unit.kernel().weight.requires_grad


def test_a_small_step_of_the_optimizer_is_seen(images_of):
    space = get_space("nasbnn-digits")
    network = BinaryNetwork(space, space.smallest())
    unit = next(network.blocks()).kxk
    for fused in (True, False):
        optimizer = torch.optim.Adam(network.parameters(), lr=1.0, fused=fused)
        with torch.no_grad():
            before = unit.kernel().weight.clone()
        network(images_of(space).float()).sum().backward()
        optimizer.step()
        with torch.no_grad():
            assert not torch.equal(unit.kernel().weight, before)


def test_recalibration_averages_batches(images_of):
    space = get_space("nasbnn-digits")
    network = BinaryNetwork(space, space.largest()).double()
    batches = [images_of(space, 6, seed) for seed in range(3)]
    recalibrate(network, batches)
    assert not network.training

    stem = network.stem
    sums = [torch.nn.functional.conv2d(batch, _stem_weight(stem), stride=1, padding=1) for batch in batches]
    assert torch.allclose(stem.tail.running_mean, torch.stack([s.mean((0, 2, 3)) for s in sums]).mean(0))
    assert torch.allclose(stem.tail.running_var, torch.stack([s.var((0, 2, 3)) for s in sums]).mean(0))
    assert all(module.momentum == 0.1 for module in network.modules() if isinstance(module, Tail))


def test_one_batch_makes_evaluation_equal_training_up_to_the_variances_denominator(images_of):
    space = get_space("nasbnn-digits")
    network = BinaryNetwork(space, space.largest()).double()
    images = images_of(space, 64)
    with torch.no_grad():
        expected = network.train()(images)
    recalibrate(network, [images])
    # signs near zero may flip as n and n - 1 differ, so most logits agree, not all
    close = (network(images) - expected).abs() < 0.05 * expected.abs().max()
    assert close.double().mean() > 0.8


def _stem_weight(stem):
    step = stem.step.view(-1, 1, 1, 1)
    return (stem.weight / step).clamp(-128, 127).round() * step


def test_recalibration_needs_images():
    space = get_space("nasbnn-digits")
    with pytest.raises(ValueError, match="at least one batch"):
        recalibrate(BinaryNetwork(space, space.smallest(), NetworkOptions()), [])


def test_training_needs_more_than_one_value_a_channel():
    tail = Tail(3)
    with pytest.raises(ValueError, match="more than one value"):
        tail(torch.zeros(1, 3, 1, 1), None, None)
