"""A worker process killed in the middle of a search: its candidates are tried again, and nothing else changes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analysis.trials import load_trials

SETTINGS = [
    "supernet.epochs=1",
    "data.train_limit=128",
    "data.validation_limit=64",
    "data.test_limit=64",
    "search.trials=120",
    "search.first_generation=20",
    "search.generation=20",
    "evaluation.recalibration_batches=1",
    "evaluation.recalibration_batch_size=64",
    "finetune.networks=0",
    "execution.training_threads=1",
    "execution.workers=2",
]


def start(out: Path) -> subprocess.Popen:
    settings = [f"--set={setting}" for setting in SETTINGS]
    arguments = [sys.executable, "-m", "binarynas", "search", "nasbnn-digits", "--out", str(out), *settings]
    return subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)


def workers_of(process: subprocess.Popen) -> set[int]:
    """The processes below a run's that have trials in hand: Ray sets their title to the trainable's."""
    parents, titles = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            titles[int(folder.name)] = (folder / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile

    def below(pid: int) -> bool:
        return pid == process.pid or (pid in parents and below(parents[pid]))

    return {pid for pid, title in titles.items() if title.startswith(b"ray::") and b"Trainable" in title and below(pid)}


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds the worker in /proc")
def test_a_killed_worker_costs_only_what_it_had_in_hand(tmp_path):
    results = []
    killed = False
    for name, kill in (("clean", False), ("hurt", True)):
        out = tmp_path / name
        process = start(out)
        deadline = time.monotonic() + 400
        while kill and process.poll() is None and time.monotonic() < deadline:
            journal = out / "journal.log"
            victims = workers_of(process)
            if victims and journal.exists() and journal.read_text().count('"outcome"') >= 5:
                os.kill(min(victims), signal.SIGKILL)
                killed = True
                break
            time.sleep(0.02)
        _, errors = process.communicate(timeout=600)
        assert process.returncode == 0, errors
        trials = load_trials(out).sort_values("number")
        assert set(trials["state"]) == {"finished"}
        results.append(trials[["number", "id", "accuracy", "operator"]].to_dict("records"))
        if kill:
            assert killed
            assert set(trials["attempt"]) == {1}, "a worker that someone else kills is no fault of its candidates"
    assert results[0] == results[1]
