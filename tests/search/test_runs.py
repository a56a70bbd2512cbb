"""Whole runs, from the command line: the same with any number of workers, and after any interruption."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis.plots.parallel import parallel_data
from analysis.runs.trials import load_trials
from models.checkpoints.networks import load_network
from search.data.opening import open_data
from search.runs.folder import open_run
from search.training.evaluation import evaluate

SMALL = [
    "supernet.epochs=2",
    "supernet.batch_size=32",
    "data.train_limit=128",
    "data.validation_limit=64",
    "data.test_limit=64",
    "search.trials=18",
    "search.first_generation=8",
    "search.generation=5",
    "evaluation.recalibration_batches=1",
    "evaluation.recalibration_batch_size=64",
    "finetune.networks=2",
    "finetune.epochs=2",
    "finetune.batch_size=32",
    "execution.training_threads=1",
]
FACTS = ["stage", "number", "state", "id", "generation", "operator", "accuracy", "loss", "ops", "seed"]


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "binarynas", *map(str, arguments)]


def search(out: Path, *settings: str, preset: str = "nasbnn-digits") -> list[str]:
    return command("search", preset, "--out", out, *(f"--set={setting}" for setting in (*SMALL, *settings)))


def call(arguments: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def here(cli) -> Callable[..., subprocess.CompletedProcess[str]]:
    """As `call`, in this process: `here(arguments, code)`."""

    def run(arguments: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
        done = cli(*arguments[3:])
        assert done.returncode == code, done.stderr
        return done

    return run


def facts(run: Path) -> tuple[list[dict], str]:
    trials = load_trials(run)[FACTS].sort_values(["stage", "number"])
    return trials.to_dict("records"), (run / "front.csv").read_text()


@pytest.fixture(scope="module")
def inline(here, tmp_path_factory) -> Path:
    """A run whose trials went one after another in one process."""
    out = tmp_path_factory.mktemp("runs") / "inline"
    here(search(out, "execution.executor=inline"))
    return out


def test_a_run_leaves_what_it_promises(inline):
    trials = load_trials(inline)
    assert trials["stage"].value_counts().to_dict() == {"inherited": 18, "finetuned": 2}
    assert set(trials["state"]) == {"finished"}
    assert trials["id"].nunique() == 18
    for name in ("config.yaml", "run.json", "journal.log", "events.jsonl", "front.csv"):
        assert (inline / name).stat().st_size > 0
    for name in ("frontier.png", "frontier.svg"):
        assert (inline / "plots" / name).stat().st_size > 5000


def test_tables_for_other_programs_name_trials_alike(inline):
    """Genes and dots can be joined with the trials by their ids; genes say what the text forms say."""
    trials = load_trials(inline)
    genes = pd.read_parquet(inline / "genes.parquet")
    for name in ("stage", "number", "id"):
        assert genes[name].tolist() == trials[name].tolist()
    types = pq.read_schema(inline / "genes.parquet")
    assert {str(types.field(name).type) for name in genes.columns[3:]} == {"int64"}, "of layers that some lack, too"
    for row, text in zip(genes.to_dict("records"), trials["architecture"], strict=True):
        stem, first, *_ = text.split(" | ")
        width, kernel_size, groups = (row[f"s1l1_{gene}"] for gene in ("width", "kernel_size", "groups"))
        assert stem.startswith(f"c{row['stem_width']:g}k")
        assert first.split()[0] == f"c{width:g}k{kernel_size:g}g{groups:g}"
        assert row["s1_depth"] == len(first.split())
    for table in (pd.read_csv(inline / "plots" / "frontier.csv", dtype={"id": "str"}), parallel_data(trials).table()):
        ids = table["id"].dropna()  # published points have none
        assert len(ids) > 0
        assert set(ids) <= set(trials["id"])


def test_the_files_of_the_front_are_the_networks_that_were_measured(inline):
    run = open_run(inline)
    data = open_data(run.config.data, image_size=8, seed=run.config.seed, cache=run.data_cache)
    rows = (inline / "front.csv").read_text().splitlines()
    header = rows[0].split(",")
    assert len(rows) > 1
    for row in rows[1:]:
        record = dict(zip(header, row.split(","), strict=True))
        network = load_network(run.deployed(record["id"]))
        assert run.space.format(network.architecture) == record["architecture"]
        assert evaluate(network, data.validation, 64)["accuracy"] == pytest.approx(float(record["accuracy"]))
        assert evaluate(network, data.test, 64)["accuracy"] == pytest.approx(float(record["test_accuracy"]))


@pytest.mark.slow
def test_ray_tune_gives_what_one_process_gives(inline, tmp_path):
    """Three generations and two finetunings, in two other processes, with other neighbours, in another order."""
    done = call(search(tmp_path / "run", "execution.workers=2"))
    assert facts(tmp_path / "run") == facts(inline)
    assert "WARNING" not in done.stderr
    assert "ray" not in done.stderr.lower(), "Ray's own chatter is silent"


@pytest.mark.parametrize(
    "executor", [pytest.param("inline", marks=pytest.mark.slow), pytest.param("tune", marks=pytest.mark.long)]
)
def test_interrupted_again_and_again_the_run_is_the_same(inline, tmp_path, executor):
    """Ctrl-C, SIGTERM and SIGKILL in the middle of things, then resumed to the end. SIGTERM goes to Ray's processes,
    too, as `timeout` and batch systems send it."""
    run = tmp_path / "run"
    arguments = search(run, f"execution.executor={executor}", "execution.workers=1")
    stops = [(signal.SIGINT, "step-000000001"), (signal.SIGTERM, '"outcome"'), (signal.SIGKILL, '"study_id":1')]
    for number, (kind, sign) in enumerate(stops):
        process = subprocess.Popen(
            arguments if number == 0 else command("resume", run),
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=take_ctrl_c if kind == signal.SIGINT else ignore_ctrl_c,
        )
        deadline = time.monotonic() + 120
        while process.poll() is None and not happened(run, sign) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert process.poll() is None, process.stderr.read()
        if kind == signal.SIGTERM:
            os.killpg(process.pid, kind)
        else:
            process.send_signal(kind)
        _, errors = process.communicate(timeout=60)
        if kind != signal.SIGKILL:
            assert process.returncode == 130, errors
            assert errors.strip().splitlines()[-1] == f"binarynas: stopped; go on with: binarynas resume {run}"
        assert not (run / "front.csv").exists()
    before = load_trials_done(run)
    call(command("resume", run))
    assert facts(run) == facts(inline)
    assert before <= load_trials_done(run), "a finished trial is not run again"


def take_ctrl_c() -> None:
    """As a command in the foreground does, however the tests were started."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ignore_ctrl_c() -> None:
    """As a command does that a shell has put into the background; SIGTERM has to end it all the same."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def happened(run: Path, sign: str) -> bool:
    if sign.startswith("step"):
        return (run / "supernet" / "checkpoints" / sign / "manifest.json").exists()
    journal = run / "journal.log"
    return journal.exists() and sign in journal.read_text()


def load_trials_done(run: Path) -> set[tuple]:
    from search.runs.study import read_records

    return {(r.stage, r.number, r.started) for r in read_records(run / "journal.log") if r.done}


def test_a_finished_run_resumed_stays_as_it_is(inline, here):
    def state():
        return {file: (file.stat().st_mtime_ns, file.stat().st_size) for file in inline.rglob("*") if file.is_file()}

    def but_for_who_held_it_last():
        return {file: facts for file, facts in state().items() if file.name != "holder.json"}

    before = but_for_who_held_it_last()
    done = here(command("resume", inline))
    assert but_for_who_held_it_last() == before
    assert "test accuracy" in done.stdout


@pytest.mark.parametrize("executor", ["inline", pytest.param("tune", marks=pytest.mark.long)])
def test_training_that_breaks_down_is_one_sentence_with_what_to_do(here, tmp_path, executor):
    settings = (f"execution.executor={executor}", "supernet.learning_rate=1e30", "execution.retries=0")
    done = (here if executor == "inline" else call)(search(tmp_path / "run", *settings), code=1)
    assert "Traceback" not in done.stderr
    told = done.stderr.strip().splitlines()[-1]
    assert "the loss of epoch 1 is nan; lower the learning rate (it was 1e+30)" in told
    assert f"binarynas resume {tmp_path / 'run'}" in told


def test_status_tells_how_far_a_run_is(inline, here):
    told = json.loads(here(command("status", inline, "--json")).stdout)
    assert told["state"] == "finished"
    assert told["trials"] == {"inherited": {"finished": 18}, "finetuned": {"finished": 2}}
    assert told["front"]
    assert all(entry.keys() >= {"accuracy", "ops", "architecture", "id"} for entry in told["front"])


def test_two_processes_do_not_write_one_run(inline):
    from search.runs.locking import writing

    with writing(open_run(inline)):
        refused = call(command("resume", inline), code=2)
    assert f"process {os.getpid()} on " in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nasbnn-digitz"], ["'nasbnn-digitz'", "did you mean 'nasbnn-digits'", "nasbnn-imagenet"]),
        (["nasbnn-digits", "--set=serach.trials=3"], ["'serach'", "did you mean 'search'"]),
        (["nasbnn-digits", "--set=search.trials=0", "--set=seed=x"], ["search.trials", "seed"]),
        (["nasbnn-digits", "--ops-max=10"], ["no architecture", "at most 10 OPs", "2,618"]),
        (["nasbnn-digits", "--set=space.image_size=5"], ["image_size", "multiple of 4"]),
        (["nasbnn-digits", "--set=space.name=nasbn"], ["'nasbn'", "did you mean 'nasbnn'"]),
        (["nasbnn-digits", "--data=/no/such/place"], ["/no/such/place"]),
        (["nasbnn-digits", "--set=supernet.checkpoint=/no/where"], ["/no/where"]),
        (["nasbnn-digits", "--objectives=ops,accuracy"], ["objectives", "begin with accuracy"]),
    ],
)
def test_bad_input_is_one_sentence_before_anything_starts(here, tmp_path, arguments, words):
    done = here(command("search", *arguments, "--out", tmp_path / "run"), code=2)
    assert all(word in done.stderr for word in words), done.stderr
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_folder_that_is_taken_is_not_written_to(inline, here, tmp_path):
    refused = here(search(inline), code=2)
    assert "is a run already" in refused.stderr
    assert "resume" in refused.stderr
    (tmp_path / "photo.jpg").touch()
    refused = here(search(tmp_path), code=2)
    assert "not empty" in refused.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["photo.jpg"]
    refused = here(command("resume", tmp_path), code=2)
    assert "not a run" in refused.stderr
