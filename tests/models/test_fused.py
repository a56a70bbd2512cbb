"""Fused kernels, run by Triton's interpreter, against the functions that they stand for: float64, to 1e-10.

The interpreter must be chosen before kernels are declared, so the tests below run in a process of their own, which the
last test of this file starts.
"""

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from models.layers.fused.choice import Fusion, fuses, fusion, has_triton, what_is_missing
from models.layers.kernels import Kernel, WeightNormalisation, sign
from models.layers.modes import Activations, Weights
from models.layers.norms.recalibration import recalibrate
from models.layers.norms.synchronised import synchronised
from models.layers.tail import NormTail, Tail
from models.layers.unit import BinaryUnit
from models.nasbnn.network import NetworkOptions, SeparableConvolution
from models.nasbnn.sharing import SharedKxK, SharedPointwise
from spaces import Layer

INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
interpreted = pytest.mark.skipif(not INTERPRETED, reason="runs in the process that the last test of this file starts")
pytestmark = pytest.mark.skipif(not has_triton(), reason="Triton is not installed")


def randomised(module):
    module = module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
        for name, buffer in module.named_buffers():
            buffer += torch.rand_like(buffer) if name.endswith("var") else torch.randn_like(buffer)
    return module


def images(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)


def results(choice, module, run, *inputs):
    """What `run(module, *inputs)` gives, gradients of inputs and parameters, and the statistics afterwards."""
    module, inputs = copy.deepcopy(module), [x.detach().clone().requires_grad_() for x in inputs]
    with fusion(choice):
        outputs = run(module, *inputs)
        (outputs * torch.linspace(-1, 1, outputs.numel(), dtype=outputs.dtype).view_as(outputs)).sum().backward()
    found = {"outputs": outputs.detach(), **{f"input {i}": x.grad for i, x in enumerate(inputs)}}
    found |= {name: p.grad for name, p in module.named_parameters()}
    return found | dict(module.named_buffers())


def assert_same(module, run, *inputs, tolerance=1e-10):
    """Fused and plain results are the same; the fused ones."""
    plain, fused = (results(choice, module, run, *inputs) for choice in (Fusion.NEVER, Fusion.ALWAYS))
    assert plain.keys() == fused.keys()
    for name, expected in plain.items():
        assert (fused[name] is None) == (expected is None), name
        if expected is not None:
            bound = tolerance * max(1, expected.abs().max().item())
            assert (fused[name] - expected).abs().max() <= bound, name
    return fused


@interpreted
@pytest.mark.parametrize(
    ("shortcut_channels", "training", "scaled"),
    [(None, True, False), (5, True, True), (2, True, False), (7, True, True), (3, False, True), (None, False, False)],
)
def test_a_tail_on_slices_of_its_parameters(shortcut_channels, training, scaled):
    torch.manual_seed(0)
    tail = randomised(Tail(6)).train(training)
    scale = torch.rand(5, dtype=torch.float64) + 0.5 if scaled else None
    shortcut = [images(3, shortcut_channels, 5, 6)] if shortcut_channels else []

    def run(tail, sums, shortcut=None):
        return tail(sums, scale, shortcut)

    assert_same(tail, run, images(3, 5, 5, 6) * 3 + 20, *shortcut)


@interpreted
def test_many_pixels_and_channels_take_several_programs_and_chunks(monkeypatch):
    monkeypatch.setattr("models.layers.fused.launch.CHUNKS", 2)  # several steps in each
    monkeypatch.setattr("models.layers.fused.tails.CHUNKS", 2)
    torch.manual_seed(0)
    assert_same(
        randomised(Tail(70)), lambda tail, sums, shortcut: tail(sums, None, shortcut),
        images(5, 40, 8, 9), images(5, 36, 8, 9),
    )  # fmt: skip


@interpreted
def test_batch_norm_alone_has_no_gradient_where_it_has_no_parameter():
    assert_same(randomised(NormTail(3)), lambda tail, sums: tail(sums, None, None), images(2, 3, 4, 4))


@interpreted
@pytest.mark.parametrize("scaled", [True, False])
def test_in_evaluation_every_bit_is_the_same(scaled):
    torch.manual_seed(0)
    tail = randomised(Tail(6)).float().eval()
    sums, shortcut = images(2, 6, 4, 4, dtype=torch.float32).round(), images(2, 6, 4, 4, dtype=torch.float32)
    scale = torch.rand(6) if scaled else None
    found = []
    for choice in (Fusion.NEVER, Fusion.ALWAYS):
        with fusion(choice), torch.no_grad():
            found.append(tail(sums, scale, shortcut))
    assert torch.equal(*found)


@interpreted
@pytest.mark.parametrize(
    ("groups", "stride", "activations", "bound", "training"),
    [
        (1, 1, Activations.BINARY, 1.0, True),
        (2, 2, Activations.BINARY, 1.3, True),
        (2, 1, Activations.FLOAT, 1.0, True),
        (1, 2, Activations.BINARY, 0.7, False),
    ],
)
def test_a_unit_on_slices_of_its_parameters(groups, stride, activations, bound, training):
    torch.manual_seed(0)
    unit = randomised(BinaryUnit(6, 6)).train(training)
    unit.bound = bound
    scale = torch.rand(4, dtype=torch.float64) + 0.5

    def run(unit, x, weight):
        return unit.run(x, Kernel(weight, scale), stride, groups, activations)

    assert_same(unit, run, images(2, 4, 6, 6), sign(images(4, 4 // groups, 3, 3)))


@interpreted
def test_zeros_of_both_signs_are_positive():
    unit = BinaryUnit(2, 2).double().eval()
    x = torch.tensor([0.0, -0.0]).double().view(1, 2, 1, 1)
    weight = torch.eye(2).double().view(2, 2, 1, 1)
    with fusion(Fusion.ALWAYS):
        outputs = unit.run(x, Kernel(weight, None), 1, 1, Activations.BINARY)
    assert torch.allclose(outputs, torch.ones(()).double(), atol=1e-4)


@interpreted
@pytest.mark.parametrize(
    ("channels", "kernel_size", "groups", "domain", "normalisation"),
    [
        (4, 5, 1, Weights.BINARY, WeightNormalisation.PAPER),
        (4, 3, 2, Weights.BINARY, WeightNormalisation.AUTHORS),
        (3, 5, 1, Weights.BINARY, WeightNormalisation.NONE),
        (2, 1, 2, Weights.FLOAT, WeightNormalisation.PAPER),
        (4, 5, 2, Weights.FLOAT, WeightNormalisation.NONE),
        (4, 3, 1, Weights.FLOAT, WeightNormalisation.AUTHORS),
    ],
    ids=str,
)
def test_the_kernel_of_a_shared_weight(channels, kernel_size, groups, domain, normalisation):
    torch.manual_seed(0)
    layer = randomised(SharedKxK(4, (1, 3, 5), 2 if groups == 2 else 1, bi_transformation=True))

    def run(layer, factor):
        kernel = layer.kernel(channels, kernel_size, groups, domain, normalisation)
        return (
            kernel.weight * factor if kernel.scale is None else kernel.weight * factor + kernel.scale.view(-1, 1, 1, 1)
        )

    assert_same(layer, run, torch.rand(1, 1, kernel_size, kernel_size, dtype=torch.float64))


@interpreted
@pytest.mark.parametrize("domain", Weights)
def test_the_kernel_of_a_shared_pointwise_weight(domain):
    torch.manual_seed(0)
    layer = randomised(SharedPointwise(40, 5))
    assert_same(layer, lambda layer: layer.kernel(36, 3, domain, WeightNormalisation.PAPER).weight)


@interpreted
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_a_block_of_its_own_in_both_layouts(layout):
    torch.manual_seed(0)
    block = randomised(SeparableConvolution(2, Layer(3, 3, 2), 2, NetworkOptions()))
    block = block.to(memory_format=layout)
    fused = assert_same(block, lambda block, x: block(x), images(2, 2, 6, 6))
    assert fused["kxk.weight"].stride() == block.kxk.weight.stride()  # as fused optimisers want it


@interpreted
def test_recalibration_gives_the_same_statistics():
    torch.manual_seed(0)
    network, batches = (
        randomised(SeparableConvolution(2, Layer(2, 1, 1), 1, NetworkOptions())),
        [images(3, 2, 4, 4)] * 2,
    )
    twin = copy.deepcopy(network)
    recalibrate(network, batches)
    with fusion(Fusion.ALWAYS):
        recalibrate(twin, batches)
    for (name, a), b in zip(network.named_buffers(), twin.buffers(), strict=True):
        assert torch.allclose(a, b, rtol=1e-10, atol=1e-10), name


@interpreted
def test_half_types_where_autocast_says_so():
    torch.manual_seed(0)
    block = SeparableConvolution(2, Layer(3, 3, 1), 1, NetworkOptions())

    def run(block, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return block(x)

    assert_same(block, run, images(2, 2, 6, 6, dtype=torch.float32), tolerance=0.05)


@interpreted
def test_statistics_of_several_processes_are_left_to_the_plain_functions():
    torch.manual_seed(0)
    tail = randomised(Tail(3))
    with synchronised(tail, lambda values: values * 2), fusion(Fusion.ALWAYS):
        assert not tail.fuses(images(1, 3, 1, 1))

    def run(tail, sums):
        with synchronised(tail, lambda values: values * 2):  # as of two processes with the same images
            return tail(sums, None, None)

    assert_same(tail, run, images(2, 3, 4, 4))


@interpreted
def test_too_few_values_are_one_clear_error():
    block = SeparableConvolution(2, Layer(2, 1, 1), 1, NetworkOptions())
    with fusion(Fusion.ALWAYS), pytest.raises(ValueError, match="more than one value per channel"):
        block(torch.randn(1, 2, 1, 1))


@pytest.mark.skipif(INTERPRETED, reason="starts the others")
def test_the_others_in_a_process_with_the_interpreter():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", __file__],
        env={**os.environ, "TRITON_INTERPRET": "1"}, cwd=Path(__file__).parents[2],
        capture_output=True, text=True, check=False, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-5000:]
    assert "passed" in done.stdout


def test_nothing_is_fused_on_the_cpu_or_in_types_that_kernels_do_not_know():
    x = torch.zeros(1)
    assert not fuses(x)
    with fusion(Fusion.ALWAYS):
        assert fuses(x)
        assert fuses(x.double(), x.double())
        assert not fuses(x, x.double())
        assert not fuses(x.half())
        with fusion(Fusion.NEVER):
            assert not fuses(x)
    assert not fuses(x)


def test_what_is_missing_is_said_with_the_remedy(monkeypatch):
    monkeypatch.setattr("models.layers.fused.choice.which", lambda name: None)
    assert what_is_missing() == "Triton needs a C compiler: install gcc or clang, or name one in CC"
    monkeypatch.setattr("models.layers.fused.choice.has_triton", lambda: False)
    assert what_is_missing() == "Triton is not installed (torch brings it along on Linux)"
