"""`binarynas report`, `best`, `compare` and `tensorboard`, as a user runs them."""

import json
import math
import random
import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from analysis.findings.front import front, front_table
from analysis.runs.schema import write_trials
from analysis.runs.trials import load_trials
from search.cli import app, main
from spaces import get_space

runner = CliRunner()


@pytest.fixture
def make_run(tmp_path):
    """A finished run's folder with pretended trials."""

    def make(name, seed=0):
        folder, space, rng = tmp_path / name, get_space("nasbnn-digits"), random.Random(seed)
        folder.mkdir()
        rows = []
        for number in range(30):
            member = space.sample(rng)
            cost = space.cost(member)
            rows.append(
                {
                    "stage": "inherited", "number": number, "state": "finished", "space": space.name,
                    "architecture": space.format(member), "id": space.id(member), "generation": 0,
                    "accuracy": 1 - math.exp(-cost.ops / 2e4) * 0.5 - rng.random() / 10, "ops": cost.ops,
                    "params": cost.params, "bits": cost.bits, "bytes": cost.bytes, "seconds": 1.0,
                }
            )  # fmt: skip
        write_trials(rows, folder / "trials.parquet")
        (folder / "config.yaml").write_text(yaml.safe_dump({"seed": seed, "space": {"name": space.name}}))
        (folder / "run.json").write_text(json.dumps({"format": 1, "data": {"validation": 100}}))
        table = front_table(front(load_trials(folder)).assign(test_accuracy=0.5))
        (folder / "front.csv").write_text(table.to_csv(index=False))
        return folder

    return make


def test_report(make_run, tmp_path):
    out = tmp_path / "out.html"
    result = runner.invoke(app, ["report", str(make_run("a")), str(make_run("b", 1)), "--out", str(out)])
    assert result.exit_code == 0
    assert str(out) in result.output
    assert "How the runs compare" in out.read_text("utf-8")


def test_best(make_run):
    run = str(make_run("a"))
    result = runner.invoke(app, ["best", run, "--ops-max", "30k", "--json"])
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert found["ops"] <= 30e3
    assert found["architecture"] in runner.invoke(app, ["best", run, "--ops-max", "30k"]).stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--ops-max", "1"], "the nearest are"),
        (["--latency-max", "3"], "has no latencies"),
        (["--accuracy-min", "95"], "fraction from 0 to 1, such as 0.95"),
    ],
)
def test_best_fails_in_one_sentence(make_run, monkeypatch, capsys, options, words):
    monkeypatch.setattr(sys, "argv", ["binarynas", "best", str(make_run("a")), *options])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code
    err = capsys.readouterr().err
    assert words in err
    assert err.count("\n") == 1


def test_compare(make_run):
    runs = [str(make_run(f"seed-{seed}", seed)) for seed in range(3)]
    result = runner.invoke(app, ["compare", *runs])
    assert result.exit_code == 0
    assert "over seeds" in result.stdout
    found = json.loads(runner.invoke(app, ["compare", *runs, "--json"]).stdout)
    assert found["trials"] == 30
    assert found["groups"][0]["hypervolume"]["n"] == 3
    assert len(found["runs"][0]["front"]) == len(front(load_trials(runs[0])))


def test_tensorboard_files_hold_trials_and_epochs(make_run):
    pytest.importorskip("tensorboardX")
    run = make_run("a")
    epoch = {"event": "epoch", "epochs": 2, "loss": 0.5, "images_per_second": 9.0, "learning_rate": 0.1,
             "time": "2026-01-01T00:00:00+00:00"}  # fmt: skip
    lines = [
        epoch | {"phase": "supernet", "epoch": 1},
        epoch | {"phase": "finetuned", "epoch": 1, "id": "abc"},
        epoch | {"phase": "finetuned", "epoch": 1, "id": "../../elsewhere"},
    ]
    (run / "events.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for _ in range(2):  # again: replaced, not doubled
        assert runner.invoke(app, ["tensorboard", str(run)]).exit_code == 0
    files = sorted(str(file.parent.relative_to(run)) for file in run.rglob("events.out.tfevents.*"))
    sessions = [file for file in files if file.startswith("tensorboard/hparams/")]
    others = [file for file in files if file not in (*sessions, "tensorboard/hparams")]
    assert others == ["tensorboard/finetuned/abc", "tensorboard/supernet", "tensorboard/trials-inherited"]
    session = next((run / sessions[0]).iterdir()).read_bytes()
    assert b"_hparams_/session_start_info" in session
    assert b"s1l1_width" in session
    assert b"trial/accuracy" in session
    content = next((run / "tensorboard" / "supernet").iterdir()).read_bytes()
    assert b"training/loss" in content
    assert b"training/log10_learning_rate" in content
    assert not (run.parent.parent / "elsewhere").exists()


def test_tensorboard_leaves_other_folders_alone(make_run, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    result = runner.invoke(app, ["tensorboard", str(make_run("a")), "--out", str(tmp_path / "mine")])
    assert result.exit_code
    assert (tmp_path / "mine" / "file").exists()


def test_reading_a_run_loads_no_torch(make_run):
    run = make_run("a")
    code = (
        "import sys\nsys.argv = ['binarynas', 'report', sys.argv[1]]\nfrom search.cli import app\n"
        "app(standalone_mode=False)\nassert not {'torch', 'ray', 'optuna'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=True)
