"""A user's own callbacks of a run: what they are told, what they are named, and what happens when one fails."""

import json
from pathlib import Path

import pytest

SMALL = (
    "supernet.epochs=1", "supernet.batch_size=32", "data.train_limit=128", "data.validation_limit=64",
    "data.test_limit=64", "search.trials=4", "evaluation.recalibration_batches=1",
    "evaluation.recalibration_batch_size=64", "finetune.networks=0", "execution.executor=inline",
)  # fmt: skip
OWN = """
from pathlib import Path

class Tell:
    def _write(self, line):
        with Path("told.txt").open("a") as file:
            file.write(line + "\\n")

    def phase(self, title, total):
        self._write(f"phase {title} {total}")

    def epoch(self, report):
        self._write(f"epoch {report.epoch}")

    def trial(self, record):
        self._write(f"trial {record.number} {record.id}")

    def result(self, result):
        self._write(type(result).__name__)

class Fails:
    def trial(self, record):
        raise ValueError("nobody listens")

class Mute:
    pass
"""


@pytest.fixture
def search(cli, tmp_path, monkeypatch):
    """A tiny search with callbacks of a file in the current folder."""
    (tmp_path / "listeners_of_mine.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(*callbacks: str):
        named = [word for name in callbacks for word in ("--callback", name)]
        return cli("search", "nasbnn-digits", "--out", "run", *named, *(f"--set={setting}" for setting in SMALL))

    return run


def test_a_callback_is_told_what_happens_and_named_in_facts_and_report(search, cli):
    done = search("listeners_of_mine:Tell")
    assert done.returncode == 0, done.stderr
    told = Path("told.txt").read_text().splitlines()
    assert [line.split()[1] for line in told if line.startswith("trial")] == ["0", "1", "2", "3"]
    assert told.count("epoch 1") == 1
    assert "Deployed" in told
    assert sum(line.startswith("phase") for line in told) >= 3
    facts = json.loads(Path("run/run.json").read_text())["extensions"]
    assert facts["execution.callbacks.0"]["name"] == "listeners_of_mine:Tell"
    assert cli("report", "run").returncode == 0
    assert "listeners_of_mine:Tell" in Path("run/report.html").read_text()


def test_one_that_fails_ends_the_run_with_its_name_and_loses_nothing(search, cli):
    done = search("listeners_of_mine:Fails")
    assert done.returncode != 0
    assert "the callback Fails failed: ValueError('nobody listens')" in done.stderr
    assert "go on with: binarynas resume run" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads(cli("status", "run", "--json").stdout)["trials"]["inherited"]["finished"] >= 1


def test_what_is_no_callback_is_refused_before_anything_is_made(search):
    done = search("listeners_of_mine:Mute")
    assert done.returncode == 2
    assert "listeners_of_mine:Mute is no callback" in done.stderr
    assert not Path("run/run.json").exists()
