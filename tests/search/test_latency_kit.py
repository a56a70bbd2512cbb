"""The kit that measures a latency table elsewhere: built and run here and in qemu; searches take its table."""

import math
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from test_latency import SPACE, SilentView, carry, config_of
from typer.testing import CliRunner

from analysis.measures.ranks import rank_correlation
from analysis.runs.trials import load_trials
from models.onebit.native import build
from search.cli import app
from search.config.sections import ConfigError
from search.latency.kit import write_kit
from search.latency.programs import program_of, shape_key
from search.latency.stopwatch import time_operations
from search.latency.table import LackingError, LatencyError, LatencyTable, Predictor, read_table
from search.pipeline.prepare import prepare

QEMU = ("qemu-aarch64", "aarch64-linux-gnu-gcc")
STRICT = ("-O3", "-std=c11", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-Wno-psabi")


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "digits"
    write_kit(folder, SPACE, networks=60)
    return folder


@pytest.fixture(scope="module")
def measured(kit) -> Path:
    """The table of the kit, as its Makefile makes it here."""
    if not shutil.which("cc") or not shutil.which("make"):
        pytest.skip("there is no cc, or no make")
    subprocess.run(["make", "-C", str(kit), "table", f"CFLAGS={' '.join(STRICT)}"], check=True, capture_output=True)
    return kit / "latency.json"


def test_the_table_of_the_kit_tells_what_ours_tells(measured):
    """Machines change their speed meanwhile: which operation takes how many times another one is what must agree."""
    table, program = read_table(measured), program_of(SPACE, SPACE.largest())
    ours = time_operations({shape_key(each, program.shapes): (each, program.shapes) for each in program.operations})
    assert table.kit == build.version()
    assert table.operations.keys() >= ours.keys()
    theirs = [table.operations[key].median for key in ours]
    assert rank_correlation([timing.median for timing in ours.values()], theirs).spearman.value > 0.8
    assert table.factor > 0
    assert all(
        timing.low <= timing.median <= timing.high and timing.calls == 21 for timing in table.operations.values()
    )


def test_a_search_here_minimises_milliseconds_of_the_machine_that_the_kit_ran_on(measured, tmp_path):
    elsewhere = replace(read_table(measured), processor="Abacus 3000", engine="native, NEON")
    elsewhere.write(tmp_path / "table.json")
    run = prepare(config_of(tmp_path / "table.json"), tmp_path / "run")
    carry(run, SilentView())
    kept = read_table(run.path / "latency.json")
    assert (kept.processor, kept.kit) == ("Abacus 3000", build.version())
    trials = load_trials(run.path)
    for architecture, latency in zip(trials["architecture"], trials["latency_ms"], strict=True):
        assert latency == kept.predict(program_of(SPACE, SPACE.parse(architecture)))


def test_what_a_kit_has_not_measured_is_never_taken_for_fast(tiny):
    program = program_of(tiny, tiny.smallest())
    keys = [shape_key(each, program.shapes) for each in program.operations]
    table = LatencyTable("Abacus 3000", "native, NEON", kit=build.version())
    with pytest.raises(LackingError, match=r"Abacus 3000.*--networks") as error:
        table.predict(program)
    assert min(keys) in str(error.value)
    assert Predictor(table, tiny).latency_ms(tiny.smallest()) == math.inf


@pytest.mark.parametrize(
    ("changes", "execution", "words"),
    [
        ({"kit": "0123"}, {}, ["version 0123", "latency-kit"]),
        ({}, {"latency": "measured"}, ["a kit measured it", "execution.latency at table"]),
        ({"operations": {}}, {}, ["lacks 9 operations, the first binary-convolution", "--classes --channels"]),
    ],
)
def test_a_kits_table_that_cannot_serve_is_refused_before_the_run(measured, tmp_path, changes, execution, words):
    replace(read_table(measured), **changes).write(tmp_path / "table.json")
    config = config_of(tmp_path / "table.json")
    config = config.model_copy(update={"execution": config.execution.model_copy(update=execution)})
    with pytest.raises(ConfigError) as error:
        prepare(config, tmp_path / "run")
    assert all(word in str(error.value) for word in words), error.value


def test_the_flow_works_for_arm64_in_qemu(kit, tmp_path):
    if not all(map(shutil.which, QEMU)):
        pytest.skip(f"there is no {' or no '.join(QEMU)}")
    program = tmp_path / "measure"
    subprocess.run([QEMU[1], *STRICT, "-static", str(kit / "measure.c"), "-o", str(program)], check=True)
    done = subprocess.run([QEMU[0], str(program), 'A "board"'], check=True, capture_output=True, text=True)
    (tmp_path / "latency.json").write_text(done.stdout)
    table = read_table(tmp_path / "latency.json")
    assert (table.processor, table.engine, table.kit) == ("A board", "native, NEON", build.version())
    assert table.predict(program_of(SPACE, SPACE.largest())) > table.predict(program_of(SPACE, SPACE.smallest())) > 0


def test_the_command_writes_a_kit_for_other_images_and_never_over_files(tmp_path):
    command = ["latency-kit", "vgg-digits", "--networks", "16", "--classes", "3", "--out"]
    done = CliRunner().invoke(app, [*command, str(tmp_path / "kit")])
    assert done.exit_code == 0, done.output
    assert "1 channels, 8 pixels, 3 classes" in done.output
    assert "-> 3" in (tmp_path / "kit" / "table.h").read_text()
    assert (tmp_path / "kit" / "engine.c").read_bytes() == build.SOURCE.read_bytes()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for folder in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        again = CliRunner().invoke(app, [*command, str(folder)])
        assert isinstance(again.exception, LatencyError)
        assert "not an empty folder" in str(again.exception)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]
