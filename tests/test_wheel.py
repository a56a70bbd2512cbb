"""The wheel: everything that the packages need is in it, and it works where no checkout is."""

import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]
HOME = Path(__file__).resolve().parent.parent
PACKAGES = ("analysis", "binarynas", "models", "search", "spaces")
SMALL = (
    "--trials", "4", "--set", "supernet.epochs=1", "--set", "data.train_limit=256", "--set", "data.validation_limit=64",
    "--set", "data.test_limit=64", "--set", "evaluation.recalibration_batches=1", "--set", "finetune.networks=0",
    "--set", "execution.executor=inline",
)  # fmt: skip


def done(*command: str | Path, folder: Path) -> str:
    """What a command prints; it has to succeed."""
    ended = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """Built from a copy, as a build leaves files beside the sources."""
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    for name in PACKAGES:
        shutil.copytree(HOME / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(HOME / name, copy)
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", out)
    done(sys.executable, "-m", "pip", "wheel", *options, copy, folder=copy)
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The programs of a new environment with the wheel, which sees the libraries of this one but not its checkout: a
    `.pth` file that is reached by another one is not read."""
    place = tmp_path_factory.mktemp("environment")
    done(sys.executable, "-m", "venv", "--without-pip", place, folder=place)
    (packages,) = place.glob("lib/python*/site-packages")
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib"))
    options = ("--quiet", "--no-deps", "--no-index")
    done(sys.executable, "-m", "pip", "--python", place, "install", *options, wheel, folder=place)
    return place / "bin"


def test_every_file_of_the_packages_is_in_the_wheel(wheel):
    there = {name for name in zipfile.ZipFile(wheel).namelist() if name.split("/")[0] in PACKAGES}
    files = [path for name in PACKAGES for path in (HOME / name).rglob("*") if path.is_file()]
    made = ("__pycache__", ".so", ".DS_Store")
    assert there == {str(path.relative_to(HOME)) for path in files if not set(made) & {*path.parts, path.suffix}}
    assert "binarynas" in wheel.name


def test_an_environment_with_the_wheel_alone_searches_and_exports(installed, tmp_path):
    command = installed / "binarynas"
    where = done(installed / "python", "-c", "import binarynas, search; print(search.__file__)", folder=tmp_path)
    assert Path(where.strip()).is_relative_to(installed.parent), "not the checkout"
    assert "nasbnn-digits" in done(command, "presets", folder=tmp_path)
    done(command, "search", "nasbnn-digits", "--out", "run", *SMALL, folder=tmp_path)
    done(command, "report", "run", folder=tmp_path)
    assert "<svg" in (tmp_path / "run" / "report.html").read_text()
    done(command, "export", "run", "--format", "c", "--out", "c", folder=tmp_path)
    assert {"Makefile", "main.c"} <= {path.name for path in (tmp_path / "c").iterdir()}
