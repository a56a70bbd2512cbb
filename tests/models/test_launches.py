"""What a step launches on a GPU, as `benchmarks/launches.py` counts it without one."""

import importlib.util
from pathlib import Path

import pytest
import torch

from models.layers.fused.choice import Fusion, fusion, has_triton

MOST = 30
"""Launches of a block in a forward pass, and in a backward pass."""


@pytest.fixture(scope="module")
def script():
    path = Path(__file__).parents[2] / "benchmarks" / "launches.py"
    spec = importlib.util.spec_from_file_location("launches", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(not has_triton(), reason="Triton is not installed")
@pytest.mark.parametrize("dtype", [None, torch.bfloat16, torch.float16], ids=str)
def test_a_block_takes_few_launches_and_nothing_waits(script, dtype):
    supernet = script.supernet_of("nasbnn-digits")
    with script.autocast_of(dtype):
        plain, fused = (list(script.counts_of(supernet, 8, choice)) for choice in (Fusion.NEVER, Fusion.ALWAYS))
    assert len(fused) == 20
    for (name, mode, *before), (_, _, *after) in zip(plain, fused, strict=True):
        for old, new in zip(before, after, strict=True):
            assert 0 < new.launches <= MOST < old.launches, (name, mode, new.names)
            assert new.waits == []
        assert sum(each.moved for each in after) < sum(each.moved for each in before) / 2, (name, mode)


@pytest.mark.skipif(not has_triton(), reason="Triton is not installed")
@pytest.mark.parametrize("choice", [Fusion.NEVER, Fusion.ALWAYS])
def test_nothing_waits_in_a_whole_step(script, choice):
    supernet = script.supernet_of("nasbnn-digits")
    with script.autocast_of(torch.bfloat16), fusion(choice):
        passes, loop, optimiser = script.step_counts(supernet, 8)
    assert passes.waits == loop.waits == optimiser.waits == []
    assert loop.launches + optimiser.launches <= 10
    assert supernet.classifier.weight.grad is not None


def test_the_count_finds_what_waits(script):
    with script.Counter() as counter:
        x = torch.zeros(3)
        x.sum().item()
        x.view(3, 1)
        x += 1
    assert counter.waits == ["aten::_local_scalar_dense"]
    assert counter.names == {"aten::zeros": 1, "aten::sum": 1, "aten::_local_scalar_dense": 1, "aten::add_": 1}
