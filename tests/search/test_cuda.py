"""What differs on a GPU: its results against the CPU's, fused kernels against plain ones, resume, memory, waiting.

`BINARYNAS_DEVICE=cpu python -m pytest tests/search/test_cuda.py` checks the tests themselves where there is no GPU.
"""

import copy
import os

import pytest
import torch
import torch.nn.functional as F

from models.layers.convolution import Terms, convolve
from models.layers.fused.choice import Fusion, fusion, has_triton
from models.layers.kernels import Kernel, sign
from models.layers.modes import Activations, Mode
from models.layers.unit import BinaryUnit
from models.nasbnn.supernet import NasBnnSupernet
from search.config.search import EvaluationConfig
from search.config.trainings import FinetuneConfig, SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.data.order import in_order
from search.training.evaluation import evaluate, recalibrate_on
from search.training.loop import train
from search.training.steps import Batch, plain_step, sandwich_step
from spaces import get_space

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS adds in one order, where torch asks it to
pytestmark = pytest.mark.cuda
SPACE = get_space("nasbnn-digits")


@pytest.fixture
def split() -> TensorSplit:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(96) % 8
    images = torch.randint(0, 90, (96, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[torch.arange(96), 0, labels] += 150
    return TensorSplit(images, labels, Normalisation((0.3,), (0.3,)), Augmentation(crop_padding=1))


@pytest.fixture
def in_one_order(device):
    """torch's own kernels add in one order; without this a GPU's training is not the same twice."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def supernet_in(dtype) -> NasBnnSupernet:
    torch.manual_seed(0)
    supernet = NasBnnSupernet(SPACE).to(dtype).train()
    with torch.no_grad():
        for name, parameter in supernet.named_parameters():
            if parameter.ndim == 1 and name != "stem.step":
                parameter += 0.1 * torch.randn_like(parameter)
    return supernet


def results(supernet, device, images, labels):
    """Logits, gradients and statistics after passes of a teacher and of two students, on the CPU."""
    supernet, images, labels = copy.deepcopy(supernet).to(device), images.to(device), labels.to(device)
    found = {}
    for member, mode in ((SPACE.largest(), Mode.FWBA), (SPACE.smallest(), Mode.BWBA), (SPACE.largest(), Mode.BWBA)):
        logits = supernet(images, member, mode)
        F.cross_entropy(logits, labels).backward()
        found[f"{mode} {member}"] = logits.detach().cpu()
    found |= {name: p.grad.cpu() for name, p in supernet.named_parameters() if p.grad is not None}
    return found | {name: buffer.cpu() for name, buffer in supernet.named_buffers()}


def assert_close(found, wanted, bound):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        assert (found[name] - value).abs().max() <= bound * max(1, value.abs().max().item()), name


def test_passes_in_float64_are_those_of_the_cpu(device):
    images = torch.randn(16, 1, 8, 8, dtype=torch.float64)
    labels = torch.arange(16) % 10
    supernet = supernet_in(torch.float64)
    wanted = results(supernet, "cpu", images, labels)
    assert_close(results(supernet, device, images, labels), wanted, 1e-8)


@pytest.mark.skipif(not has_triton(), reason="Triton is not installed")
def test_fused_passes_are_the_plain_ones_in_float64(device):
    images, labels = torch.randn(16, 1, 8, 8, dtype=torch.float64), torch.arange(16) % 10
    supernet = supernet_in(torch.float64)
    with fusion(Fusion.NEVER):
        wanted = results(supernet, device, images, labels)
    assert_close(results(supernet, device, images, labels), wanted, 1e-10)


def test_a_step_in_the_training_precision_has_about_the_loss_of_the_cpu(device, split):
    images, labels = next(split.batches(64, order=in_order(), device=torch.device("cpu")))
    losses = []
    for where in (torch.device("cpu"), device):
        supernet = supernet_in(torch.float32).to(where)
        step = sandwich_step(supernet, SupernetConfig(), precision=torch.bfloat16)
        losses.append(step(Batch(images.to(where), labels.to(where), 3)).item())
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("channels", [24, 128, 500])
def test_sums_of_signs_are_exact_in_every_type(device, dtype, channels):
    x, weight = sign(torch.randn(4, channels, 6, 6)), sign(torch.randn(8, channels, 3, 3))
    x[0], weight[0] = 1, 1  # the largest sum there can be
    x = x.contiguous(memory_format=torch.channels_last)
    found = convolve(x.to(device, dtype), weight.to(device, dtype), 1, 1, Terms.SIGNS)
    assert torch.equal(found.double().cpu(), F.conv2d(x.double(), weight.double(), padding=1))


@pytest.mark.parametrize("channels", [24, 128])
def test_a_binary_unit_is_the_same_under_autocast(device, channels):
    unit = BinaryUnit(channels, channels).to(device).eval()
    x = torch.randn(4, channels, 6, 6, device=device).contiguous(memory_format=torch.channels_last)
    kernel = Kernel(sign(torch.randn(channels, channels, 3, 3)).to(device), torch.rand(channels).to(device))
    with torch.no_grad():
        plain = unit.run(x, kernel, 1, 1, Activations.BINARY)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            half = unit.run(x, kernel, 1, 1, Activations.BINARY)
    assert torch.equal(plain, half)


def trained(device, split, folder, precision, *stops):
    """The weights of a supernet that is trained for three epochs, interrupted after some."""
    config = SupernetConfig(epochs=3, batch_size=32, learning_rate=2e-3)
    for until in (*stops, None):
        supernet = supernet_in(torch.float32).to(device)
        step = sandwich_step(supernet, config, precision=precision)
        list(train(supernet, step, split, config, seed=3, checkpoints=folder, until=until))
    return {name: tensor.cpu() for name, tensor in supernet.state_dict().items()}


@pytest.mark.usefixtures("in_one_order")
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_a_resumed_training_is_bit_for_bit_the_uninterrupted_one(device, split, tmp_path, precision):
    whole = trained(device, split, tmp_path / "whole", precision)
    parts = trained(device, split, tmp_path / "parts", precision, 1, 2)
    assert all(torch.equal(parts[name], tensor) for name, tensor in whole.items())


@pytest.mark.usefixtures("in_one_order")
def test_finetuning_twice_gives_the_same_bits(device, split):
    found = []
    for _ in range(2):
        network = supernet_in(torch.float32).extract(SPACE.largest()).to(device)
        config = FinetuneConfig(epochs=2, batch_size=32)
        list(train(network, plain_step(network, config), split, config, seed=1))
        found.append({name: tensor.cpu() for name, tensor in network.state_dict().items()})
    assert all(torch.equal(found[1][name], tensor) for name, tensor in found[0].items())


@torch.no_grad()
def test_candidates_get_the_classes_that_the_cpu_gives(device, split):
    config = EvaluationConfig(recalibration_batches=2, recalibration_batch_size=32)
    images, _ = next(split.batches(96, order=in_order(), device=torch.device("cpu")))
    for member in (SPACE.smallest(), SPACE.largest()):
        here = supernet_in(torch.float32).extract(member)
        recalibrate_on(here, split, config, seed=0)
        there = copy.deepcopy(here).to(device)
        logits, found = here(images), there(images.to(device)).cpu()
        assert torch.equal(found.argmax(1), logits.argmax(1))
        assert torch.allclose(found, logits, atol=1e-4)
        assert evaluate(there, split, 32)["accuracy"] == evaluate(here, split, 32)["accuracy"]
        recalibrate_on(there, split, config, seed=0)
        for (name, wanted), buffer in zip(here.named_buffers(), there.buffers(), strict=True):
            assert torch.allclose(buffer.cpu(), wanted, rtol=1e-3, atol=1e-3), name


def needs_a_gpu(device):
    if device.type != "cuda":
        pytest.skip("only a GPU tells")


@pytest.mark.skipif(not has_triton(), reason="Triton is not installed")
def test_fused_kernels_keep_less_in_memory(device):
    needs_a_gpu(device)
    images = torch.randn(256, 1, 8, 8, device=device)
    peaks = []
    for choice in (Fusion.NEVER, Fusion.AUTO):
        supernet = supernet_in(torch.float32).to(device)
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        with fusion(choice):
            supernet(images, SPACE.largest(), Mode.BWBA).sum().backward()
        peaks.append(torch.cuda.max_memory_allocated())
    assert peaks[1] < 0.8 * peaks[0]


def test_nothing_in_a_step_waits_for_the_gpu(device, split):
    needs_a_gpu(device)
    supernet = supernet_in(torch.float32).to(device)
    step = sandwich_step(supernet, SupernetConfig(), precision=torch.bfloat16)
    optimizer = torch.optim.Adam(supernet.parameters(), fused=True)
    images, labels = next(split.batches(64, order=in_order(), device=device))

    def whole_step():
        optimizer.zero_grad(set_to_none=True)
        loss = step(Batch(images, labels, 0))
        optimizer.step()
        supernet.stem.step_taken()
        return loss.double() * len(labels)

    whole_step()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        whole_step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
