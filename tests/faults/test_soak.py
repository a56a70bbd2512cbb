"""Whole runs, killed at random until they are done: by `make soak` alone, since each takes minutes. The short form, on
pretended searches, is in test_kills.py."""

import contextlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from analysis.runs.trials import load_trials

RUNS = int(os.environ.get("SOAK_RUNS", "0"))
FACTS = ["stage", "number", "id", "state", "accuracy", "operator", "seed"]
SETTINGS = ("search.trials=60", "supernet.epochs=6", "finetune.networks=2", "finetune.epochs=3", "execution.workers=2")

pytestmark = pytest.mark.skipif(RUNS == 0, reason="make soak")


def facts(run: Path) -> tuple[list[dict], str]:
    trials = load_trials(run)[FACTS].sort_values(["stage", "number"])
    return trials.to_dict("records"), (run / "front.csv").read_text()


@pytest.fixture(scope="module")
def clean(small_search, tmp_path_factory) -> tuple[list[dict], str]:
    out = tmp_path_factory.mktemp("runs") / "clean"
    subprocess.run(small_search(out, *SETTINGS, "execution.executor=inline"), check=True, capture_output=True)
    return facts(out)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(max(RUNS, 1)))
def test_a_run_killed_at_random_until_it_is_done(clean, small_search, command, below, tmp_path, seed):
    """Its driver, or any process below it: workers, the raylet, the head's store."""
    rng = random.Random(seed)
    executor = ("tune", "inline")[seed % 2]
    run = tmp_path / "run"
    arguments = small_search(run, *SETTINGS, f"execution.executor={executor}", "execution.retries=3")
    for _attempt in range(100):
        process = subprocess.Popen(
            arguments,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        end = time.monotonic() + rng.expovariate(1 / 25) + 5
        while process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        if process.poll() is None:
            victims = [process.pid, process.pid, *below(process.pid)]
            victim = rng.choice(victims)
            kind = rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, kind if victim == process.pid else signal.SIGKILL)
        _, errors = process.communicate(timeout=300)
        assert "Traceback" not in errors, errors
        if process.returncode == 0:
            break
        if (run / "run.json").exists():
            arguments = command("resume", run)
    else:
        pytest.fail("it never got through")
    assert facts(run) == clean
