"""A folder with modules of a user's own, whose names are those of our packages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path) -> Path:
    """A project as many in this field are."""
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("class MyNet: ...\n")
    (tmp_path / "search.py").write_text("raise RuntimeError('this is not ours')\n")
    (tmp_path / "spaces").mkdir()  # a folder of data, no package
    return tmp_path


def python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(HOME)}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_import_binarynas_gives_the_packages_whatever_lies_in_the_folder(project):
    code = (
        "import binarynas, binarynas.search.runs.folder as one\n"
        "from binarynas.analysis import load_trials\n"
        "import search.runs.folder as other\n"
        "assert one is other and load_trials is binarynas.load_trials\n"
        "print(binarynas.get_space('nasbnn-digits').name, binarynas.RunConfig.__name__)\n"
    )
    done = python(project, "-c", code)
    assert (done.returncode, done.stdout) == (0, "nasbnn-digits RunConfig\n"), done.stderr
    assert done.stderr.count("Warning") == 1
    assert "search.py" in done.stderr
    assert "rename them" in done.stderr


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import models, binarynas; binarynas.spaces", "was imported under that name before: rename that"),
        ("import models; from analysis import load_trials", ""),
        ("from models import load_network", "cannot import name 'load_network' from 'models'"),
    ],
)
def test_what_hides_ours_is_named_in_one_sentence(project, code, cause):
    done = python(project, "-c", code)
    if cause:
        assert cause in done.stderr.splitlines()[-1]
        assert str(project / "models") in done.stderr
    else:
        assert (done.returncode, done.stderr) == (0, "")


SEARCH = (
    "search", "nasbnn-digits", "--trials", "4", "--set", "supernet.epochs=1", "--set", "data.train_limit=256",
    "--set", "data.validation_limit=64", "--set", "data.test_limit=64", "--set", "evaluation.recalibration_batches=1",
    "--set", "finetune.networks=0", "--set", "execution.workers=1",
)  # fmt: skip


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "executor", [pytest.param("inline", marks=pytest.mark.slow), pytest.param("tune", marks=pytest.mark.long)]
)
def test_a_search_and_its_resumption_take_ours(project, executor):
    out = ("--out", "run", "--set", f"execution.executor={executor}")
    done = python(project, "-m", "binarynas", *SEARCH, *out)
    assert done.returncode == 0, done.stderr
    assert python(project, "-m", "binarynas", "resume", "run").returncode == 0
