"""Blocks of BNext: the oracle written anew, the law of extraction, and the 1-bit program to the bit."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.families import build_network
from models.layers.excitation import Projection, means_in_order
from models.layers.modes import Mode
from models.nasbnn.network import BinaryNetwork
from models.nasbnn.recoupling import Gate, Recoupling
from models.nasbnn.supernet import NasBnnSupernet
from models.onebit import portable
from models.onebit.engine import Backend, Engine
from models.onebit.lowering.lower import lower
from models.onebit.operations import Product
from spaces import get_space

DIGITS = get_space("bnext-digits")
EXCITED = "c8k3g1 | c16k3g1e8 | c32k3g2e32 c48k5g1 | c64k3g2e8 c96k3g4e8 c96k3g4e32"


def shaken(network):
    """As if it were trained: no number is its initial value, steps and variances are positive."""
    with torch.no_grad():
        for name, values in network.named_parameters():
            values *= 1 + torch.rand_like(values) if name.endswith("step") else 1
            values += 0 if name.endswith("step") else 0.1 * torch.randn_like(values)
        for name, values in network.named_buffers():
            if "running" in name:  # the others are those of an RPReLU that stays the identity
                values += 0.1 * (torch.rand_like(values) if name.endswith("var") else torch.randn_like(values))
    return network.eval()


def network_of(text, seed=0):
    torch.manual_seed(seed)
    return shaken(BinaryNetwork(DIGITS, DIGITS.parse(text)))


def images_of(space, count=6, seed=1):
    shape = (count, space.channels, space.image_size, space.image_size)
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def texts():
    """Members of every kind of gate and of none."""
    rng = random.Random(0)
    return [DIGITS.format(m) for m in (DIGITS.smallest(), DIGITS.largest(), *(DIGITS.sample(rng) for _ in range(6)))]


@pytest.mark.parametrize("text", [EXCITED, *texts()])
def test_a_network_is_its_program_to_the_bit(text):
    network, images = network_of(text), images_of(DIGITS)
    program = lower(network)
    wanted = portable.run_all(program, images.permute(0, 2, 3, 1).numpy())
    with torch.inference_mode():
        *_, (_, maps) = network.maps(images)
    *_, last, _, logits = wanted  # before the mean and the classifier
    np.testing.assert_array_equal(maps.permute(0, 2, 3, 1).numpy(), last)
    for backend in (Backend.BEST, Backend.PLAIN_C):
        np.testing.assert_array_equal(Engine(program, backend)(images), logits.reshape(len(images), -1))
    products = sum(isinstance(operation, Product) for operation in program.operations)
    gated = 2 * text.count("e8") + 2 * text.count("e32")
    assert products == gated + sum((len(stage) + 1) // 2 for stage in network.architecture.stages[1:])


@pytest.mark.parametrize("training", [False, True])
def test_an_extracted_network_gives_what_the_supernet_gives(training):
    torch.manual_seed(0)
    supernet = shaken(NasBnnSupernet(DIGITS).double()).train(training)
    images = images_of(DIGITS).double()
    for text in (EXCITED, *texts()):
        member = DIGITS.parse(text)
        network = supernet.extract(member)
        torch.testing.assert_close(network(images), supernet(images, member), rtol=1e-9, atol=1e-9)
        assert sum(p.numel() for p in network.parameters()) == DIGITS.cost(member).params


def oracle(tail, sums, read, bits):
    """The recoupling from its formula, in torch's own layers, in evaluation mode."""

    def norm(module, x):
        return F.batch_norm(x, module.running_mean, module.running_var, module.weight, module.bias, False, 0, 1e-5)

    def dense(layer, x):
        weight = layer.weight
        if bits == 8:
            weight = (weight / layer.step[:, None]).round().clamp(-128, 127) * layer.step[:, None]
        return x @ weight.T + layer.bias

    v = norm(tail.tail, sums) + tail.tail.shift_in.view(-1, 1, 1)
    x = F.prelu(v, tail.tail.slope) + tail.tail.shift_out.view(-1, 1, 1)
    if bits:
        mixed = read.mean((2, 3)).repeat(1, 2)[:, : x.shape[1]] + tail.gate.balance * x.mean((2, 3))
        x = x * F.hardsigmoid(dense(tail.gate.expand, F.relu(dense(tail.gate.reduce, mixed))))[:, :, None, None]
    residual = read if tail.slope is None else F.prelu(read, tail.slope)
    if tail.slope is not None:
        x = x * residual
    return norm(tail.norm, x) + residual.repeat(1, 2, 1, 1)[:, : x.shape[1]]


@pytest.mark.parametrize("excite", [0, 8, 32])
@pytest.mark.parametrize(("read", "multiplies"), [(24, False), (24, True), (16, False)])
def test_a_recoupling_is_its_formula(excite, read, multiplies):
    torch.manual_seed(0)
    tail = shaken(Recoupling(24, (excite,), multiplies=multiplies).double())
    sums, x = torch.randn(4, 24, 5, 5).double(), torch.randn(4, read, 5, 5).double()
    wanted = oracle(tail, sums, x, excite)
    torch.testing.assert_close(tail(sums, None, x), wanted)  # with gradients, by the ways of libraries
    with torch.no_grad():
        torch.testing.assert_close(tail(sums, None, x), wanted)  # as the engine adds


def test_every_number_of_a_gate_learns():
    torch.manual_seed(0)
    tail = shaken(Recoupling(16, (8,), multiplies=True)).train()
    tail(torch.randn(8, 16, 4, 4), None, torch.randn(8, 16, 4, 4)).square().sum().backward()
    for name, parameter in tail.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_steps_stay_positive():
    projection = Projection(16, 2, (8,))
    with torch.no_grad():
        projection.step.fill_(-1.0)
    projection.step_taken()
    assert (projection.step > 0).all()
    assert Projection(16, 2, (32,)).step is None


def test_means_are_added_in_the_order_of_pixels():
    x = torch.randn(3, 5, 7, 7, generator=torch.Generator().manual_seed(0)) * 1e3
    total = np.zeros((3, 5), np.float32)
    for row in range(7):
        for column in range(7):
            total += x[:, :, row, column].numpy()
    np.testing.assert_array_equal(means_in_order(x).numpy(), total / np.float32(49))
    np.testing.assert_array_equal(means_in_order(x.contiguous(memory_format=torch.channels_last)), means_in_order(x))


def test_gates_of_a_narrow_layer_use_the_first_channels():
    gate = shaken(Gate(32, (0, 8)))
    read, made = torch.randn(2, 8, 3, 3), torch.randn(2, 16, 3, 3)
    before = gate(read, made, 8)
    with torch.no_grad():
        gate.reduce.weight[2:] += 1
        gate.reduce.weight[:, 16:] += 1
        gate.expand.weight[16:] += 1
        gate.expand.weight[:, 2:] += 1
    torch.testing.assert_close(gate(read, made, 8), before)
    assert ((before >= 0) & (before <= 1)).all()


def test_a_space_without_excites_has_no_gates():
    stages = tuple(replace(stage, excites=(0,)) for stage in DIGITS.stages)
    space = replace(DIGITS, name="ungated", stages=stages)
    assert not [name for name, _ in NasBnnSupernet(space).named_parameters() if "gate" in name]


def test_modes_of_the_bi_teacher_run():
    torch.manual_seed(0)
    supernet = NasBnnSupernet(DIGITS)
    for mode in Mode:
        logits = supernet(images_of(DIGITS), DIGITS.largest(), mode)
        assert torch.isfinite(logits).all()
    logits.sum().backward()


def test_it_trains_from_scratch():
    torch.manual_seed(0)
    network = build_network(DIGITS, DIGITS.parse("c8k3g1 | c16k3g1e8 | c32k3g1e8 | c64k3g2e32"))
    images, labels = images_of(DIGITS, 64), torch.arange(64) % 10
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    losses = []
    for _ in range(40):
        loss = F.cross_entropy(network(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
