"""A worker process killed in the middle of a search, or of a training: what it had in hand goes on elsewhere, from its
checkpoint where it has one, and nothing else changes."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from analysis.runs.trials import load_trials

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker in /proc"),
]
FACTS = ["stage", "number", "id", "state", "accuracy", "loss", "operator"]
TRAINED = [
    "data.train_limit=96",
    "data.validation_limit=48",
    "data.test_limit=48",
    "parent.epochs=0",
    "training.epochs=40",
    "training.batch_size=32",
    "training.early_stopping=false",
    "search.trials=2",
    "search.generation=2",
    "final.networks=0",
    "final.uniform=[]",
    "final.full_precision=false",
]


TOGETHER = [
    "data.train_limit=128",
    "data.validation_limit=64",
    "data.test_limit=64",
    "supernet.epochs=30",
    "supernet.batch_size=32",
    "search.trials=6",
    "search.first_generation=6",
    "evaluation.recalibration_batches=1",
    "evaluation.recalibration_batch_size=64",
    "finetune.networks=1",
    "finetune.epochs=2",
    "execution.training_workers=2",
    "execution.checkpoint_minutes=0.001",
]


@pytest.fixture
def kill_a_worker(below) -> Callable[[subprocess.Popen], int]:
    """Kills one of the processes below a run's that have trials in hand: Ray sets their title to the trainable's."""

    def kill(process: subprocess.Popen) -> int:
        titles = below(process.pid)
        victim = min(pid for pid, title in titles.items() if title.startswith("ray::") and "RunTrial" in title)
        os.kill(victim, signal.SIGKILL)
        return victim

    return kill


def facts(run: Path) -> list[dict]:
    return load_trials(run)[FACTS].sort_values(["stage", "number"]).to_dict("records")


def weights(run: Path) -> dict[str, str]:
    """The hashes of the front's networks."""
    files = {path.parent.name: json.loads(path.read_text())["files"] for path in run.glob("front/*/manifest.json")}
    return {identity: facts["sha256"] for identity, found in files.items() for facts in found.values()}


def test_a_killed_worker_costs_only_what_it_had_in_hand(
    small_search, run_inline, untrained, kill_a_worker, wait, ended, tmp_path
):
    clean, run = tmp_path / "clean", tmp_path / "run"
    run_inline(clean, untrained)
    process = subprocess.Popen(small_search(run, untrained, "execution.workers=2"), stderr=subprocess.PIPE, text=True)
    wait(lambda: ended(run) >= 5, process)
    kill_a_worker(process)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert facts(run) == facts(clean)
    assert set(load_trials(run)["attempt"]) == {1}, "a worker that someone else kills is no fault of its candidates"


def test_a_training_whose_worker_is_killed_goes_on_from_its_checkpoint(command, cli, kill_a_worker, wait, tmp_path):
    clean, run = tmp_path / "clean", tmp_path / "run"
    given = [f"--set={setting}" for setting in TRAINED]
    done = cli("search", "width-digits", "--out", clean, *given, "--set=execution.executor=inline")
    assert done.returncode == 0, done.stderr
    process = subprocess.Popen(
        command("search", "width-digits", "--out", run, *given, "--set=execution.workers=1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    wait(lambda: any(run.glob("trained/*/checkpoints/step-000000005/manifest.json")), process)
    victim = kill_a_worker(process)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    assert "worker was lost" not in errors
    events = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    epochs: dict[str, list[int]] = {}
    for event in events:
        epochs.setdefault(event["id"], []).append(event["epoch"])
    assert len(epochs) == 2
    for done_ones in epochs.values():
        assert all(first < second for first, second in pairwise(done_ones)), "no epoch is paid for twice"
        assert len(done_ones) >= 39, "but the one whose report was lost may be missing"
    trials = load_trials(run)
    assert str(victim) not in set(trials["worker"]), "it was killed amid the first training"
    assert facts(run) == facts(clean)
    assert weights(run) == weights(clean)
    assert weights(run)


def epochs_of(run: Path) -> dict[tuple[str, int], tuple[float, int]]:
    """Loss and workers of every epoch of the log; where one was done twice, the last counts."""
    lines = [json.loads(line) for line in (run / "events.jsonl").read_text().splitlines()]
    return {
        (each["phase"], each["epoch"]): (each["loss"], each["workers"]) for each in lines if each["event"] == "epoch"
    }


def test_a_group_of_workers_one_of_which_is_killed_ends_where_it_would_have_ended(command, below, wait, tmp_path):
    """The supernet and the finetuned network, each trained by two processes."""
    clean, run = tmp_path / "clean", tmp_path / "run"
    given = [f"--set={setting}" for setting in TOGETHER]
    done = subprocess.run(
        command("search", "nasbnn-digits", "--out", clean, *given), capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stderr
    process = subprocess.Popen(
        command("search", "nasbnn-digits", "--out", run, *given), stderr=subprocess.PIPE, text=True
    )
    log = run / "events.jsonl"
    wait(lambda: log.exists() and log.read_text().count('"event": "epoch"') >= 4, process)
    titles = below(process.pid)
    os.kill(max(pid for pid, title in titles.items() if "RayTrainWorker" in title), signal.SIGKILL)
    _, errors = process.communicate(timeout=280)
    assert process.returncode == 0, errors
    assert epochs_of(run) == epochs_of(clean)
    assert {workers for _, workers in epochs_of(run).values()} == {2}
    assert {phase for phase, _ in epochs_of(run)} == {"supernet", "finetuned"}
    assert facts(run) == facts(clean)
    assert weights(run) == weights(clean)
    assert not list(run.glob(".train-*")), "nothing of Ray Train's stays behind"
