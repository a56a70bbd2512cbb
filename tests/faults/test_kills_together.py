"""A run over two nodes with two training workers on each, killed at random twenty times: workers, nodes and the driver.
It ends where the undisturbed one ended, with the same bits, since as many workers train it as before."""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from analysis.runs.trials import load_trials

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),  # half an hour where ten times as much goes on as there are cores
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc"),
]
KILLS = 20
FACTS = ["stage", "number", "id", "state", "accuracy", "loss", "operator"]
SETTINGS = (
    "data.train_limit=64",
    "supernet.epochs=18",
    "supernet.batch_size=32",
    "search.trials=16",
    "search.first_generation=8",
    "search.generation=8",
    "finetune.networks=1",
    "finetune.epochs=6",
    "finetune.batch_size=32",
    "execution.candidates_per_task=1",
    "execution.training_workers=4",
    "execution.workers=2",
    "execution.checkpoint_minutes=0.001",
)


def facts(run: Path) -> list[dict]:
    return load_trials(run)[FACTS].sort_values(["stage", "number"]).to_dict("records")


def weights(run: Path) -> dict[str, str]:
    """The hashes of the front's networks."""
    files = {path.parent.name: json.loads(path.read_text())["files"] for path in run.glob("front/*/manifest.json")}
    return {identity: facts["sha256"] for identity, found in files.items() for facts in found.values()}


def epochs(run: Path) -> dict[tuple[str, int], tuple[float, int]]:
    """Loss and workers of every epoch of the log; where one was done twice, the last counts."""
    log = run / "events.jsonl"
    lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    return {
        (each["phase"], each["epoch"]): (each["loss"], each["workers"]) for each in lines if each["event"] == "epoch"
    }


class Doomed:
    """A run on a cluster whose parts are killed."""

    def __init__(self, run: Path, nodes, begin: list[str], go_on: list[str], below, ended) -> None:
        self.run, self._nodes, self._go_on, self._below, self._ended = run, nodes, go_on, below, ended
        self._said = run.with_name("said")
        self.process = self._started(begin)

    def _started(self, command: list[str]) -> subprocess.Popen:
        with self._said.open("a") as stream:
            return subprocess.Popen(command, env=self._nodes.environment, stderr=stream)

    def progress(self) -> int:
        """Epochs and trials that are done."""
        return len(epochs(self.run)) + self._ended(self.run)

    def kill(self, what: str, rng: random.Random) -> None:
        if what == "driver":
            self.process.kill()
            self.process.wait()
            self.process = self._started(self._go_on)
        elif what == "node":
            self._nodes.replace(rng.choice((1, 2)))
        else:
            self._kill_worker(rng)

    def _kill_worker(self, rng: random.Random) -> None:
        """Kill one of the processes that train or evaluate; none may be there while they are started again."""
        while self.process.poll() is None:
            titles = {pid: title for node in self._nodes.processes for pid, title in self._below(node.pid).items()}
            busy = [pid for pid, title in titles.items() if "RayTrainWorker" in title or "RunTrial" in title]
            if busy:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rng.choice(sorted(busy)), signal.SIGKILL)
                return
            time.sleep(0.1)

    def said(self) -> str:
        return self._said.read_text()


def test_a_run_of_several_nodes_that_is_killed_twenty_times(
    small_search, command, below, start_nodes, wait, ended, tmp_path
):
    nodes, rng = start_nodes(2, cpus=2), random.Random(14)
    at = ("--address", nodes.address)
    clean, run = tmp_path / "clean", tmp_path / "run"
    begun = time.monotonic()
    done = subprocess.run(
        small_search(clean, *SETTINGS, options=at), env=nodes.environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    print(f"undisturbed: {time.monotonic() - begun:.0f} s", flush=True)
    whole = len(epochs(clean)) + ended(clean)
    turns = ["driver"] * 4 + ["node"] * 6 + ["worker"] * 10
    rng.shuffle(turns)
    begun, doomed = time.monotonic(), Doomed(
        run, nodes, small_search(run, *SETTINGS, options=at), command("resume", run, *at), below, ended
    )  # fmt: skip
    for when, what in zip(sorted(rng.sample(range(1, whole - 3), KILLS)), turns, strict=True):
        wait(lambda when=when: doomed.progress() >= when, doomed.process)
        time.sleep(rng.uniform(0, 2))
        print(f"{time.monotonic() - begun:.0f} s, {doomed.progress()} of {whole}: {what}", flush=True)
        assert doomed.process.poll() is None, doomed.said()
        doomed.kill(what, rng)
    assert doomed.process.wait(timeout=600) == 0, doomed.said()
    print(f"{time.monotonic() - begun:.0f} s with {KILLS} kills")
    assert "Traceback" not in doomed.said()
    # a driver that is killed between an epoch's checkpoint and its report does not log it
    assert epochs(run).items() <= epochs(clean).items()
    assert len(epochs(run)) >= len(epochs(clean)) - turns.count("driver")
    assert {workers for _, workers in epochs(run).values()} == {4}
    assert facts(run) == facts(clean)
    assert set(load_trials(run)["attempt"]) == {1}, "nobody pays for what others break"
    assert weights(run) == weights(clean)
    assert weights(run)
