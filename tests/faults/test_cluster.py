"""Clusters of several nodes on one machine, whose Python has none of our packages: code travels, nodes and heads go."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.trials import load_trials

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),  # a minute and a half on a quiet machine
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc"),
    pytest.mark.skipif("SOAK_RUNS" not in os.environ, reason="make soak: several Ray clusters, minutes"),
]
FACTS = ["number", "id", "state", "accuracy", "operator", "seed"]


def facts(run: Path) -> list[dict]:
    return load_trials(run)[FACTS].sort_values("number").to_dict("records")


@pytest.fixture(scope="module")
def clean(small_search, tmp_path_factory) -> list[dict]:
    out = tmp_path_factory.mktemp("runs") / "clean"
    command = small_search(out, "search.trials=80", "execution.executor=inline")
    subprocess.run(command, check=True, capture_output=True)
    return facts(out)


def test_a_node_is_removed_and_the_head_lost_and_a_new_cluster_goes_on(
    clean, small_search, command, start_nodes, wait, ended, tmp_path
):
    run = tmp_path / "run"
    nodes = start_nodes(2)
    options = ("--address", nodes.address)
    search = small_search(run, "search.trials=80", "execution.retries=0", options=options)
    process = subprocess.Popen(search, env=nodes.environment, stderr=subprocess.PIPE, text=True)
    wait(lambda: ended(run) >= 10, process)
    nodes.kill(2)
    wait(lambda: ended(run) >= 25, process)
    nodes.kill(0)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1, errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("binarynas: Ray was lost: its head does not answer at ")
    assert f"binarynas resume {run}" in last
    assert "Traceback" not in errors
    before = ended(run)
    assert 25 <= before < 80

    other = start_nodes(1)
    resume = command("resume", run, "--address", other.address)
    done = subprocess.run(resume, env=other.environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert facts(run) == clean
    assert set(load_trials(run)["attempt"]) == {1}, "a node that goes is no fault of the candidates it had in hand"


def test_a_cluster_that_is_not_there_or_not_ours_is_one_sentence(small_search, tmp_path):
    for address, words in (
        ("127.0.0.1:1", "cannot connect to the Ray cluster at 127.0.0.1:1"),
        ("ray://127.0.0.1:10001", "is no address of a Ray cluster"),
        ("here", "is no address of a Ray cluster"),
    ):
        out = tmp_path / address.replace("/", "").replace(":", "")
        search = small_search(out, options=("--address", address))
        done = subprocess.run(search, capture_output=True, text=True, timeout=60, env={**os.environ})
        assert done.returncode != 0
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not out.exists(), "nothing was begun"


def test_a_folder_that_the_nodes_do_not_see_ends_the_run_before_any_trial_fails(
    small_search, start_nodes, ended, tmp_path
):
    """The node sees another file system: here, a run that was moved after the driver opened it."""
    nodes = start_nodes(1)
    run = tmp_path / "run"
    hidden = (
        "import pathlib, sys, search.tune_executor as t\n"
        "make = t._Feeder._trial\n"
        "t._Feeder._trial = lambda self, task: {**make(self, task), 'run': '/nowhere/run'}\n"
        "import binarynas\n"
        "binarynas.main()"
    )
    arguments = small_search(run, options=("--address", nodes.address))[3:]
    done = subprocess.run(
        [sys.executable, "-c", hidden, *arguments],
        env=nodes.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 1, done.stderr
    assert "does not see the run's folder /nowhere/run" in done.stderr
    assert "Traceback" not in done.stderr
    assert ended(run) == 0
