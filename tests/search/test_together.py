"""Laws of trainings that several processes do together: N of them give what one gives, interrupted or not."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search.config.loading import load_config
from search.data.order import shuffled
from search.pipeline.prepare import prepare
from search.training.loop import TrainingError
from search.training.ranks import ALONE, Alone, RankLostError, TorchRanks
from search.worker.attempt import Attempt
from search.worker.tasks import TrainSupernet
from search.worker.worker import Worker

PROGRAM = Path(__file__).with_name("together.py")
COUNT = 2
_spec = importlib.util.spec_from_file_location("together", PROGRAM)
together = importlib.util.module_from_spec(_spec)
sys.modules["together"] = together
_spec.loader.exec_module(together)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where two processes have left what they found."""
    folder = tmp_path_factory.mktemp("together")
    processes = [
        subprocess.Popen([sys.executable, PROGRAM, folder, str(rank), str(COUNT)], stderr=subprocess.PIPE, text=True)
        for rank in range(COUNT)
    ]
    for process in processes:
        _, errors = process.communicate(timeout=280)
        assert process.returncode == 0, errors
    return folder


@pytest.fixture
def found(folder):
    """The tensors and epochs of a scenario, of each process."""
    return lambda name: [torch.load(folder / f"{name}-{rank}.pt") for rank in range(COUNT)]


def differences(found: dict, wanted: dict) -> dict[str, float]:
    assert found.keys() == wanted.keys()
    return {name: float((found[name].double() - wanted[name].double()).abs().max()) for name in wanted}


@pytest.mark.parametrize("name", ["sandwich", "widths", "taught", "cells", "one_step", "silent"])
def test_with_synchronised_statistics_several_are_one(found, name):
    alone = getattr(together, name)(ALONE)
    for tensors, epochs in found(name):
        for tensor_name, difference in differences(tensors, alone.tensors).items():
            exact = alone.tensors[tensor_name].dtype == torch.float64  # architecture weights are float32
            assert difference < (1e-10 if exact else 1e-7), tensor_name
        for epoch, wanted in zip(epochs, alone.epochs, strict=True):
            assert epoch["loss"] == pytest.approx(wanted.loss, abs=1e-10)
            assert epoch["workers"] == COUNT


@pytest.mark.parametrize(
    ("name", "scenario", "exact"), [("own_statistics", "one_step", 1e-10), ("detector", "detector", 1e-6)]
)
def test_with_own_statistics_gradients_are_the_mean_of_those_of_the_shares(found, name, scenario, exact):
    """One step of plain descent: weights differ by the gradient alone."""
    first, second = (tensors for tensors, _ in found(name))
    shares = [getattr(together, scenario)(Alone(rank, COUNT)).tensors for rank in range(COUNT)]
    learned = [name for name in first if "running" not in name and "num_batches" not in name]
    for name in learned:
        mean = (shares[0][name] + shares[1][name]) / 2
        torch.testing.assert_close(first[name], mean, rtol=0, atol=exact)
        assert torch.equal(first[name], second[name]), "every process takes the same step"
    running = [name for name in first if "running_mean" in name]
    assert any(not torch.equal(first[name], second[name]) for name in running), "each has statistics of its own"


@pytest.mark.parametrize(("name", "scenario"), [("interrupted", "float32"), ("silent_interrupted", "silent_float32")])
def test_a_training_of_several_that_was_interrupted_is_not_to_be_seen(found, name, scenario):
    for (again, epochs), (whole, wanted) in zip(found(name), found(scenario), strict=True):
        weights = [name for name in whole if "running" not in name]
        assert all(torch.equal(again[name], whole[name]) for name in weights)
        assert epochs[-1]["loss"] == wanted[-1]["loss"]


def test_a_training_that_was_interrupted_within_an_epoch_is_not_to_be_seen(tmp_path):
    whole = together.sandwich(ALONE, dtype=torch.float32)
    again = together.interrupted(ALONE, tmp_path)
    assert all(torch.equal(again.tensors[name], whole.tensors[name]) for name in whole.tensors)
    assert again.epochs[-1].loss == whole.epochs[-1].loss


def test_reports_within_an_epoch_change_nothing_but_tell_its_share():
    whole = together.sandwich(ALONE, dtype=torch.float32)
    told = together.sandwich(ALONE, dtype=torch.float32, report_seconds=0)
    assert all(torch.equal(told.tensors[name], whole.tensors[name]) for name in whole.tensors)
    assert [(epoch.epoch, round(epoch.share, 2)) for epoch in told.epochs] == [
        (1, 0.33), (1, 0.67), (1, 1.0), (2, 0.33), (2, 0.67), (2, 1.0)
    ]  # fmt: skip
    assert [epoch.loss for epoch in told.epochs if epoch.share == 1] == [epoch.loss for epoch in whole.epochs]


def test_another_number_of_processes_goes_on_with_the_same_images(folder, tmp_path):
    """Two stopped after two of three steps; one goes on with the third, and the next epoch."""
    whole, rest = [], []
    together.sandwich(ALONE, dtype=torch.float32, seen=whole)
    result = together.sandwich(ALONE, dtype=torch.float32, seen=rest, checkpoints=folder / "half")
    assert rest == whole[2:]
    assert [epoch.workers for epoch in result.epochs] == [1, 1]


def test_a_damaged_checkpoint_within_an_epoch_is_left_out(tmp_path):
    together.stopped(ALONE, tmp_path, 4)
    (tensors,) = (tmp_path / "within").glob("*.safetensors")
    tensors.write_bytes(tensors.read_bytes()[:-7])
    seen = []
    with pytest.warns(UserWarning, match="the checkpoint within an epoch is left out"):
        together.sandwich(ALONE, dtype=torch.float32, seen=seen, checkpoints=tmp_path)
    assert seen[0][:2] == (1, 0), "the second epoch begins again"


@pytest.mark.parametrize("shares", [1, 2, 3, 5])
def test_shares_are_a_batch(shares):
    def batches(order) -> list:
        return list(together.images(40).batches(20, order=order, device=torch.device("cpu")))

    for rank in range(shares):
        parts = batches(shuffled(7).shared(rank, shares))
        for part, whole in zip(parts, batches(shuffled(7)), strict=True):
            assert all(torch.equal(own, every[rank::shares]) for own, every in zip(part, whole, strict=True))


@pytest.mark.parametrize(
    ("ranks", "words"),
    [
        (Alone(count=13), "a batch of 24 images is too small for 13 training workers"),
        (Alone(count=5, synchronised=True), "a batch of 24 images cannot be shared equally by 5 training workers"),
    ],
)
def test_batches_that_cannot_be_shared_are_one_sentence(ranks, words):
    with pytest.raises(TrainingError, match=words):
        together.one_step(ranks)


def test_a_process_whose_partner_is_lost_does_not_charge_the_task(tmp_path, monkeypatch):
    def reset(values):
        raise RuntimeError("Connection reset by peer")

    monkeypatch.setattr("torch.distributed.all_reduce", reset)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: 0)
    monkeypatch.setattr("torch.distributed.get_world_size", lambda: 2)
    run = prepare(load_config("nasbnn-digits", ["data.train_limit=64", "supernet.epochs=1"]), tmp_path / "run").path
    with pytest.raises(RankLostError, match="Connection reset by peer"):
        list(Worker(run, ranks=TorchRanks()).run(TrainSupernet(1)))
    with pytest.raises(RankLostError), Attempt(0):
        raise RankLostError
