"""What `make wheels` makes: each engine is what its wheel's tag says, loads where it can run, and gives the same bits.

Linux on x86-64 runs here; arm64 under qemu and Windows under wine, where these are installed, by the driver in C that
`test_onebit_arm64` runs. macOS is checked by what its libraries say alone.
"""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from email.parser import Parser
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from test_wheel import HOME, OFFLINE, PACKAGES, call, tracked

sys.path.append(str(HOME / "tests" / "models"))
sys.path.append(str(HOME / "wheels"))
import binaries
import engines
from test_onebit_arm64 import DRIVER, program_cases, sums_cases

from models.onebit.native import build
from models.onebit.native.engine import load
from models.onebit.native.plan import Level
from models.onebit.runtime.classifier import Classifier

MODEL = HOME / "tests" / "models" / "artefacts" / "model-v2.bnn"
NAMES = ("binarynas", "binarynas_runtime")
WINE = next((p for p in ("wine64", "wine", "/usr/lib/wine/wine64") if shutil.which(p)), None)
BY_TAG = {target.tag: target for target in engines.TARGETS}
X86, ARM, _, _, WINDOWS = BY_TAG


def test_libraries_of_every_system_are_told_apart():
    """Here the one that was compiled here; those of other systems are read below."""
    found = binaries.facts(Path(load().calls._name).read_bytes())
    assert (found.system, found.machine) in {target.facts[:2] for target in engines.TARGETS}
    assert found.exported >= engines.EXPORTED
    assert len(engines.EXPORTED) == 10
    for data in (b"", b"#!/bin/sh", b"\x7fELF\x01\x01"):
        with pytest.raises(ValueError, match="no library of 64-bit Linux, macOS or Windows"):
            binaries.facts(data)


def test_a_library_that_breaks_its_tags_word_is_refused(monkeypatch):
    good = binaries.Facts("macOS", "arm64", engines.EXPORTED, frozenset({"/usr/lib/libSystem.B.dylib"}), (11, 0), True)
    target = BY_TAG["macosx_11_0_arm64"]
    for change, words in (
        ({}, None),
        ({"machine": "x86-64"}, "it is for macOS on x86-64"),
        ({"exported": engines.EXPORTED - {"bnn_run"}}, "it lacks bnn_run"),
        ({"libraries": frozenset({"libgcc.so"})}, "it needs libgcc.so"),
        ({"least": (13, 0)}, "it needs version 13.0 of"),
        ({"signed": False}, "it is not signed"),
    ):
        monkeypatch.setattr(binaries, "facts", lambda _, change=change: good._replace(**change))
        if words is None:
            engines.require(target, b"")
            continue
        with pytest.raises(ValueError, match=words):
            engines.require(target, b"")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> dict[tuple[str, str], Path]:
    """All of them, by the name of the distribution and the tag; made in a copy of the checkout."""
    pytest.importorskip("setuptools", minversion="77")
    pytest.importorskip("ziglang")
    place, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in tracked(*PACKAGES, "wheels", "pyproject.toml", "README.md", "LICENSE"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(HOME / name, place / name)
    offline = [option for option in OFFLINE if option != "--no-deps"]
    call(sys.executable, place / "wheels" / "make.py", "--out", out, "--pip", *offline, cwd=place)
    found = {(path.name.split("-")[0], path.stem.split("none-")[1]): path for path in out.iterdir()}
    return dict(sorted(found.items()))


@pytest.fixture(scope="module")
def libraries(wheels, tmp_path_factory) -> dict[str, Path]:
    """The engine of each tag."""
    folder, found = tmp_path_factory.mktemp("engines"), {}
    for (name, tag), wheel in wheels.items():
        with ZipFile(wheel) as archive:
            for path in archive.namelist():
                if "/engine-" in path and name == "binarynas_runtime":
                    found[tag] = Path(archive.extract(path, folder / tag))
    return found


def long(test):
    """Takes half a minute, at the first time minutes."""
    return pytest.mark.long(pytest.mark.timeout(900)(test))


@long
def test_there_is_one_for_each_system_and_one_for_any(wheels):
    assert set(wheels) == {(name, tag) for name in NAMES for tag in (*BY_TAG, "any")}
    for wheel in wheels.values():
        size = wheel.stat().st_size
        assert size < (200_000 if "runtime" in wheel.name else 2_500_000)  # tables of networks are most of it


@long
def test_records_and_tags_are_right(wheels):
    for (_, tag), wheel in wheels.items():
        with ZipFile(wheel) as archive:
            names = archive.namelist()
            (record,) = (name for name in names if name.endswith("/RECORD"))
            (about,) = (name for name in names if name.endswith("/WHEEL"))
            lines = [line.rsplit(",", 2) for line in archive.read(record).decode().splitlines()]
            assert [name for name, _, _ in lines] == names
            for name, digest, size in lines:
                data = archive.read(name)
                found = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                assert name == record or (digest, int(size)) == (f"sha256={found}", len(data))
            told = Parser().parsestr(archive.read(about).decode())
        assert told.get_all("Tag") == [f"py3-none-{each}" for each in tag.split(".")]
        assert told["Root-Is-Purelib"] == str(tag == "any").lower()


@long
@pytest.mark.parametrize("tag", BY_TAG)
def test_each_engine_says_what_its_tag_says(libraries, tag):
    engines.require(BY_TAG[tag], libraries[tag].read_bytes())
    assert libraries[tag].name == build.prebuilt(BY_TAG[tag].platform).name


def bare(home: Path, *installed: Path) -> Path:
    """The Python of an environment that has numpy and these wheels, and nothing else."""
    call(sys.executable, "-m", "venv", "--without-pip", home / "venv", cwd=home)
    python = home / "venv" / "bin" / "python"
    own = Path(call(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=home).strip())
    numpy = Path(find_spec("numpy").origin).parent
    for name in ("numpy", "numpy.libs"):
        if (numpy.parent / name).exists():
            (own / name).symlink_to(numpy.parent / name)
    for wheel in installed:
        call(sys.executable, "-m", "pip", "--python", python, "install", *OFFLINE[:2], wheel, cwd=home)
    return python


def without_a_compiler(python: Path, *words: str | Path) -> str:
    """What a program prints where no compiler is found and nothing was compiled before."""
    home = python.parents[2]
    environment = {"PATH": "", "HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")} | {
        name: value for name, value in os.environ.items() if name == "BINARYNAS_KERNELS"
    }
    done = subprocess.run([python, *words], cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not (home / "cache").exists()
    return done.stdout


@long
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="this is not x86-64")
def test_the_runtime_runs_here_with_numpy_alone(wheels, tmp_path, monkeypatch):
    python = bare(tmp_path, wheels["binarynas_runtime", X86])
    pixels = np.random.default_rng(1).integers(0, 256, (3, 8, 8, 1), np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    network = Classifier(MODEL)
    wanted = network.logits(pixels)
    code = """import sys, binarynas_runtime as r, numpy
network = r.Classifier(sys.argv[1])
print(network.engine.name)
numpy.save("logits.npy", network.logits(numpy.load("pixels.npy")))"""
    for level in (level for level in Level if load().calls.bnn_supports(level)):
        monkeypatch.setenv("BINARYNAS_KERNELS", level.name)
        name = without_a_compiler(python, "-c", code, MODEL).strip()
        assert name.replace("-", "").upper() == f"native, {'plain c' if not level else level.name}".upper()
        assert np.load(tmp_path / "logits.npy").tobytes() == wanted.tobytes()
    monkeypatch.delenv("BINARYNAS_KERNELS")
    assert network.engine.name in without_a_compiler(python, "-m", "binarynas_runtime", "info", MODEL)


@long
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="this is not x86-64")
def test_both_stand_beside_each_other(wheels, tmp_path):
    python = bare(tmp_path, *(wheels[name, X86] for name in NAMES))
    code = """import sys, binarynas_runtime as r; from binarynas.models import Engine, read_model
from models.onebit.native import engine
one, other = r.Classifier(sys.argv[1]).engine, Engine(read_model(sys.argv[1]).program)
print(one.name == other.name, type(one) is Engine, engine.load().calls._name)"""
    same, one_class, path = without_a_compiler(python, "-c", code, MODEL).split()
    assert (same, one_class) == ("True", "False")
    assert Path(path).name == build.prebuilt().name
    assert Path(path).is_relative_to(tmp_path)


def cases(level: Level, folder: Path) -> Path:
    file = folder / f"{level.name}.cases"
    file.write_bytes(b"".join([*program_cases(level), *sums_cases(level)]))
    return file


def driver(command: list[str], library: str, path: Path) -> Path:
    """The driver, which takes the functions from a library."""
    include, define = f"-I{build.SOURCE.parent}", f'-DLIBRARY="{library}"'
    flags = ("-O2", "-std=c11", "-ffp-contract=off", "-Wno-psabi", include, define)
    subprocess.run([*command, *flags, str(DRIVER), "-o", str(path)], check=True, capture_output=True)
    return path


@long
@pytest.mark.skipif(
    not shutil.which("qemu-aarch64") or not shutil.which("aarch64-linux-gnu-gcc"), reason="there is no arm64, nor qemu"
)
@pytest.mark.parametrize("level", [Level.PLAIN, Level.NEON], ids=lambda level: level.name)
def test_arm64_gives_the_same_bits(libraries, level, tmp_path):
    program = driver(["aarch64-linux-gnu-gcc"], str(libraries[ARM]), tmp_path / "driver")
    done = call("qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", program, cases(level, tmp_path), cwd=tmp_path)
    assert done.endswith("96 cases, 0 differ\n")


@long
@pytest.mark.skipif(WINE is None, reason="there is no wine")
def test_windows_gives_the_same_bits(libraries, tmp_path, monkeypatch):
    for name, value in (
        ("WINEPREFIX", tmp_path / "wine"),
        ("WINEDEBUG", "-all"),
        ("WINEDLLOVERRIDES", "mscoree,mshtml="),
    ):
        monkeypatch.setenv(name, str(value))
    shutil.copy(libraries[WINDOWS], tmp_path / "engine.dll")
    command = [sys.executable, "-m", "ziglang", "cc", "-target", BY_TAG[WINDOWS].triple]
    program = driver(command, "engine.dll", tmp_path / "driver.exe")
    for level in (level for level in Level if load().calls.bnn_supports(level)):
        done = call(WINE, program, cases(level, tmp_path).name, cwd=tmp_path)
        assert done.replace("\r", "").endswith("96 cases, 0 differ\n")
