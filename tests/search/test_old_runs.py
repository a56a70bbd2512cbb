"""Runs that were written in an earlier format stay readable: one is kept for every version, without its large files.

Those here are written once and never again. Who changes a format keeps these tests and adds a run beside.
"""

import json
import shutil
from pathlib import Path

import pytest

from analysis.runs.trials import load_trials
from models.checkpoints.networks import load_network
from search.data.opening import open_data
from search.runs.folder import open_run
from search.training.evaluation import evaluate

RUNS = sorted((Path(__file__).parent / "artefacts").glob("run-*"))


@pytest.fixture(params=RUNS, ids=lambda path: path.name)
def old(request, tmp_path) -> Path:
    """A copy: locks and what else is new may be written to it."""
    return Path(shutil.copytree(request.param, tmp_path / "run"))


def test_there_is_one_for_every_version():
    assert [path.name for path in RUNS] == ["run-1"]


def test_the_front_is_what_it_was(old, cli):
    told = json.loads(cli("status", old, "--json").stdout)
    assert told["state"] == "finished"
    assert told["trials"] == {"inherited": {"finished": 6}, "finetuned": {"finished": 1}}
    facts = [(each["id"], each["accuracy"], each["ops"], each["stage"]) for each in told["front"]]
    assert facts == [
        ("9acb825c094e", 0.09375, 2618.0, "inherited"),
        ("2ceb2f5d3611", 0.140625, 17390.0, "inherited"),
        ("425f7269bdf1", 0.1875, 107018.0, "finetuned"),
    ]


def test_the_journal_says_what_the_table_says(old):
    columns = ["stage", "number", "id", "accuracy", "loss", "ops", "seed"]
    table = load_trials(old)[columns]
    (old / "trials.parquet").unlink()
    assert load_trials(old)[columns].to_dict("records") == table.to_dict("records")


def test_images_and_weights_give_the_accuracy_that_was_measured(old):
    run = open_run(old)
    data = open_data(run.config.data, image_size=8, seed=run.config.seed, cache=run.data_cache)
    network = load_network(run.deployed("9acb825c094e"))
    assert run.space.format(network.architecture) == "c8k3g1 | c16k3g1 | c32k3g2 | c64k3g4"
    # another processor may round a value on a threshold the other way: an image or two of 64
    assert evaluate(network, data.validation, 64)["accuracy"] == pytest.approx(0.09375, abs=2 / 64)
    assert evaluate(network, data.test, 64)["accuracy"] == pytest.approx(0.15625, abs=2 / 64)


def test_resumed_it_stays_as_it_is(old, cli):
    before = {path: path.read_bytes() for path in old.rglob("*") if path.is_file()}
    done = cli("resume", old)
    assert done.returncode == 0, done.stderr
    assert {path: path.read_bytes() for path in before} == before


def test_a_report_is_written_and_a_network_exported(old, cli, tmp_path):
    assert cli("report", old).returncode == 0
    done = cli("export", old, "--architecture", "9acb825c094e", "--out", tmp_path / "model.bnn")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.bnn").stat().st_size > 5000
