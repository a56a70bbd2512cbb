"""Clusters of several nodes on one machine, whose Python has none of our packages: code travels, nodes and heads go."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from analysis.runs.trials import load_trials

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),  # a minute on a quiet machine
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc"),
]
FACTS = ["number", "id", "state", "accuracy", "operator", "seed"]
PROGRAM = "import binarynas; binarynas.main()"
IMPATIENT = "import search.execution.cluster as cluster; cluster._PATIENCE = cluster._LAST_WAIT = 2.0; "
ELSEWHERE = """
import search.execution.tune as t
suggest, sent = t._Feeder.suggest, []
def elsewhere(self, trial_id):
    found = suggest(self, trial_id)
    if not isinstance(found, dict) or len(sent) == {most}:
        return found
    sent.append(trial_id)
    return {{t.OURS: {{**found[t.OURS], "run": "/nowhere/run"}}}}
t._Feeder.suggest = elsewhere
"""
"""The first workers that start see another file system: here, a run that was moved after the driver opened it."""


def facts(run: Path) -> list[dict]:
    return load_trials(run)[FACTS].sort_values("number").to_dict("records")


@pytest.fixture(scope="module")
def nodes(start_nodes):
    """A head and two workers; the last test takes them down."""
    return start_nodes(2)


def test_a_cluster_that_is_not_there_or_not_ours_is_one_sentence(small_search, call, tmp_path):
    for address, words in (
        ("127.0.0.1:1", "cannot connect to the Ray cluster at 127.0.0.1:1"),
        ("ray://127.0.0.1:10001", "is not the address of a Ray cluster"),
        ("here", "is not the address of a Ray cluster"),
    ):
        out = tmp_path / address.replace("/", "").replace(":", "")
        code, errors = call(*small_search(out, options=("--address", address))[3:])
        assert code == 2
        assert words in errors
        assert not out.exists(), "nothing was begun"


def test_a_ray_that_does_not_start_here_is_one_sentence(small_search, untrained, call, tmp_path, monkeypatch):
    def init(**settings: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr("ray.init", init)
    code, errors = call(*small_search(tmp_path / "run", untrained)[3:])
    assert code == 1
    assert (
        "Ray did not start on this machine in 3 tries: The current node timed out during startup; go on with: "
        in errors
    )


def elsewhere(nodes, arguments: list[str], most: int) -> subprocess.CompletedProcess:
    """A run, the first workers of which do not see its folder."""
    program = ELSEWHERE.format(most=most) + PROGRAM
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(command, env=nodes.environment, capture_output=True, text=True, timeout=300)


def test_a_worker_that_does_not_see_the_folder_is_set_aside_and_no_candidate_is_charged(
    run_inline, small_search, untrained, nodes, tmp_path
):
    clean = tmp_path / "clean"
    few = (untrained, "search.trials=10", "search.first_generation=5", "search.generation=5", "execution.retries=0")
    run_inline(clean, *few)
    for number in range(3):  # on a busy machine a worker that is ready may take the task before another one is up
        run = tmp_path / f"run{number}"
        arguments = small_search(run, *few, "execution.workers=2", options=("--address", nodes.address))[3:]
        done = elsewhere(nodes, arguments, most=1)
        assert done.returncode == 0, done.stderr
        if "set aside" in done.stderr:
            break
    assert done.stderr.count("set aside: a worker on ") == 1
    assert "does not see the run's folder /nowhere/run" in done.stderr
    assert facts(run) == facts(clean)
    assert set(load_trials(run)["attempt"]) == {1}


@pytest.mark.long
def test_resources_that_no_node_has_are_told_and_waited_for(small_search, untrained, nodes, wait, ended, tmp_path):
    run, said = tmp_path / "run", tmp_path / "said"
    command = small_search(run, untrained, "execution.threads=4", options=("--address", nodes.address))
    with said.open("w") as stream:
        process = subprocess.Popen(command, env=nodes.environment, stderr=stream)
        words = "waiting: a worker needs 4 CPUs on one node, and the nodes are: 1 with 0 CPUs; 2 with 1 CPU"
        wait(lambda: words in said.read_text(), process)
        process.terminate()
        assert process.wait(timeout=60) != 0
    assert ended(run) == 0
    assert "Traceback" not in said.read_text()


@pytest.mark.long
def test_a_folder_that_no_node_sees_ends_the_run_before_any_trial_fails(
    small_search, untrained, nodes, ended, tmp_path
):
    run = tmp_path / "run"
    arguments = small_search(run, untrained, options=("--address", nodes.address))[3:]
    done = elsewhere(nodes, arguments, most=9)
    assert done.returncode == 1, done.stderr
    assert "does not see the run's folder /nowhere/run" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert ended(run) == 0


@pytest.mark.long
def test_a_node_is_removed_and_the_head_lost_and_a_new_cluster_goes_on(
    run_inline, small_search, untrained, command, nodes, start_nodes, wait, ended, tmp_path
):
    clean, run = tmp_path / "clean", tmp_path / "run"
    run_inline(clean, untrained)
    settings = (untrained, "execution.retries=0", "execution.candidates_per_task=1")
    arguments = small_search(run, *settings, options=("--address", nodes.address))[3:]
    process = subprocess.Popen(
        [sys.executable, "-c", IMPATIENT + PROGRAM, *arguments],
        env=nodes.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait(lambda: ended(run) >= 4, process)
    nodes.kill(2)
    wait(lambda: ended(run) >= 8, process)
    nodes.kill(0)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1, errors
    last = errors.strip().splitlines()[-1]
    assert last.startswith("binarynas: Ray was lost: its head does not answer at ")
    assert f"binarynas resume {run}" in last
    assert "Traceback" not in errors
    assert 8 <= ended(run) < 40

    other = start_nodes(1)
    resume = command("resume", run, "--address", other.address)
    done = subprocess.run(resume, env=other.environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
    assert facts(run) == facts(clean)
    assert set(load_trials(run)["attempt"]) == {1}, "a node that goes is no fault of the candidates it had in hand"


@pytest.mark.long
def test_a_training_goes_on_with_the_workers_that_are_left(small_search, start_nodes, wait, tmp_path):
    """Two workers on two nodes; one node is taken away, and one worker goes on from the last checkpoint."""
    run, two = tmp_path / "run", start_nodes(2)
    settings = ("supernet.epochs=60", "execution.training_workers=1..2", "execution.workers=1", "search.trials=4")
    command = small_search(run, *settings, options=("--address", two.address))
    process = subprocess.Popen(command, env=two.environment, stderr=subprocess.PIPE, text=True)
    log = run / "events.jsonl"
    wait(lambda: log.exists() and log.read_text().count('"workers": 2') >= 4, process)
    two.kill(2)
    _, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    epochs = {each["epoch"]: each for each in map(json.loads, log.read_text().splitlines()) if each["event"] == "epoch"}
    assert sorted(epochs) == list(range(1, 61))
    workers = [epochs[number]["workers"] for number in sorted(epochs)]
    assert workers == sorted(workers, reverse=True), "first two, then one"
    assert set(workers) == {1, 2}
