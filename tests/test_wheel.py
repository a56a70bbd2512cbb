"""The wheel alone, in an environment of its own: it has every tracked file and searches, reports and exports."""

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path
from zipfile import ZipFile

import pytest

HOME = Path(__file__).resolve().parent.parent
PACKAGES = ("analysis", "binarynas", "models", "search", "spaces")
SETTINGS = (
    "supernet.epochs=1", "supernet.batch_size=32", "data.train_limit=128", "data.validation_limit=64",
    "data.test_limit=64", "search.trials=4", "evaluation.recalibration_batches=1",
    "evaluation.recalibration_batch_size=64", "finetune.networks=1", "finetune.epochs=1", "finetune.batch_size=32",
    "execution.training_threads=1", "execution.executor=inline",
)  # fmt: skip

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


def call(*words: str | Path, cwd: Path) -> str:
    """What a command prints; the checkout is on no path of it."""
    hidden = ("PYTHONPATH", "PYTHONHOME")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tracked(*folders: str) -> list[str]:
    """The files below these that git knows and that are there."""
    if not shutil.which("git") or not (HOME / ".git").exists():
        pytest.skip("this is no checkout")
    names = call("git", "ls-files", "-z", "--", *folders, cwd=HOME).split("\0")
    return [name for name in names if name and (HOME / name).is_file()]


OFFLINE = ("--no-deps", "--no-index", "--no-build-isolation")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A copy named as a clone is: a build folder of before adds nothing to it, nor does one stay in the checkout."""
    pytest.importorskip("setuptools", minversion="77")
    place = tmp_path_factory.mktemp("source") / "binarynas"
    for name in tracked(*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOME / name, place / name)
    return place


@pytest.fixture(scope="module")
def wheel(source, tmp_path_factory) -> Path:
    """The wheel."""
    place = tmp_path_factory.mktemp("wheel")
    call(sys.executable, "-m", "pip", "wheel", *OFFLINE, "--wheel-dir", place, source, cwd=place)
    (made,) = place.glob("binarynas-*.whl")
    return made


def environment(home: Path, *installed: str | Path) -> Path:
    """The Python of a new environment with something installed in it, and what that needs from the one of the tests."""
    call(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    python = home / "venv" / "bin" / "python"
    own = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    # a path in a .pth comes after the environment's own; the .pth files that lie there, the checkout's, are not read
    paths = dict.fromkeys(sysconfig.get_path(kind) for kind in ("purelib", "platlib"))
    (own / "what_it_needs.pth").write_text("".join(f"{path}\n" for path in paths))
    # the checkout that is installed there is not what is tested, and stays
    options = (*OFFLINE, "--ignore-installed")
    call(sys.executable, "-m", "pip", "--python", python, "install", *options, *installed, cwd=home)
    return python


@pytest.fixture(scope="module")
def binaries(wheel, tmp_path_factory) -> Path:
    """The programs of an environment with the wheel in it."""
    return environment(tmp_path_factory.mktemp("environment"), wheel).parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An empty folder to work in."""
    return tmp_path_factory.mktemp("elsewhere")


@pytest.fixture(scope="module")
def binarynas(binaries, folder) -> Callable[..., str]:
    """The installed command, run in that folder: what it prints."""
    return lambda *words: call(binaries / "binarynas", *words, cwd=folder)


@pytest.fixture(scope="module")
def run(binarynas, folder) -> Path:
    """A tiny search."""
    binarynas("search", "nasbnn-digits", "--out", "run", *(f"--set={setting}" for setting in SETTINGS))
    return folder / "run"


def test_every_tracked_file_is_in_the_wheel(wheel):
    with ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == set(tracked(*PACKAGES))


@pytest.mark.parametrize("package", PACKAGES)
def test_the_packages_are_the_wheels(binaries, folder, package):
    where = call(binaries / "python", "-c", f"import {package}; print({package}.__file__)", cwd=folder).strip()
    assert Path(where).resolve().is_relative_to(binaries.parent.resolve())


def test_it_lists_the_presets(binarynas):
    listed = binarynas("presets")
    assert all(path.stem in listed for path in (HOME / "search" / "config" / "presets").glob("*.yaml"))


def test_it_searches(run):
    lines = (run / "front.csv").read_text().splitlines()
    assert lines[0].count(",") > 1
    assert len(lines) > 1


def test_it_reports(binarynas, run):
    binarynas("report", "run")
    page = (run / "report.html").read_text()
    for name in ("report.css", "report.js"):
        first = (HOME / "analysis" / "report" / name).read_text().strip().splitlines()[0]
        assert first in page


def test_it_exports_c_that_compiles(binarynas, run, folder):
    binarynas("export", "run", "--format", "c", "--out", "network")
    names = {path.name for path in (folder / "network").iterdir()}
    assert {"network.c", "network.h", "main.c", "bench.c", "Makefile", "CMakeLists.txt"} <= names
    if shutil.which("cc") and shutil.which("make"):
        call("make", cwd=folder / "network")
        assert (folder / "network" / "classify").is_file()


def test_a_clone_beside_a_script_hides_no_editable_install(source, tmp_path):
    """The folder of the clone is called `binarynas`, as the package in it is, and a script often lies beside it."""
    python = environment(tmp_path, "--editable", source)
    code = "import binarynas; print(binarynas.__file__, binarynas.get_space('nasbnn-digits').name)"
    found, name = call(python, "-c", code, cwd=source.parent).split()
    assert Path(found) == source / "binarynas" / "__init__.py"
    assert name == "nasbnn-digits"
