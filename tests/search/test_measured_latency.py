"""Latencies that are measured network by network: once each, one at a time, and shown wherever a run is looked at."""

import io
import json
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from analysis.runs.trials import load_trials
from models.onebit.timing import processor
from search import cli
from search.config.run import RunConfig
from search.execution.executors import make_executor
from search.latency.stopwatch import time_operations
from search.latency.table import LatencyError, LatencyTable, engine_here, measure_network, read_table
from search.pipeline.carry_out import carry_out
from search.pipeline.prepare import prepare
from search.pipeline.view import PlainView, make_view
from search.runs.folder import Run
from search.runs.locking import writing
from search.runs.records import Record, Stage, State
from search.runs.study import read_records
from search.worker.tasks import Measured
from spaces import get_space

SPACE = get_space("nasbnn-digits")


def config_of(executor: str = "inline", **search) -> RunConfig:
    return RunConfig.model_validate(
        {
            "space": {"name": "nasbnn-digits"},
            "data": {"name": "digits", "train_limit": 64, "validation_limit": 140, "test_limit": 32},
            "supernet": {"epochs": 0, "batch_size": 32},
            "search": {"trials": 6, "generation": 3, "objectives": ["accuracy", "latency"], **search},
            "evaluation": {"recalibration_batches": 1, "recalibration_batch_size": 32},
            "finetune": {"networks": 2, "epochs": 1, "batch_size": 32},
            "execution": {"executor": executor, "workers": 2, "candidates_per_task": 1, "latency": "measured"},
        }
    )


class Stopping(PlainView):
    """Writes lines, and stops the run when so many trials have ended."""

    def __init__(self, left: int | None = None) -> None:
        self.out = io.StringIO()
        super().__init__(Console(file=self.out, width=200))
        self.left = left

    def trial(self, record: Record) -> None:
        super().trial(record)
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def carry(run: Run, left: int | None = None) -> str:
    """What the view wrote."""
    view = Stopping(left)
    with writing(run):
        carry_out(run, make_executor(run), view)
    return view.out.getvalue()


def command(*arguments) -> str:
    """What a command prints."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(out):
        patch.setattr(sys, "argv", ["binarynas", *map(str, arguments)])
        with suppress(SystemExit):
            cli.main()
    return out.getvalue()


def empty_table(file: Path) -> Path:
    LatencyTable(processor(), engine_here().name).write(file)
    return file


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run with measured latencies that was stopped after four trials and gone on with, and what it had then."""
    run = prepare(config_of(), tmp_path_factory.mktemp("measured") / "run")
    with pytest.raises(KeyboardInterrupt):
        carry(run, left=4)
    before = {record.number: record.metrics["latency_ms"] for record in read_records(run.journal) if record.done}
    said = carry(Run(run.path))
    return run.path, before, said


def test_a_latency_is_a_fact_that_is_measured_once(finished):
    path, before, _ = finished
    trials = load_trials(path)
    networks = read_table(path / "latency.json").networks
    assert len(before) == 4
    # how many are on the front, and so finetuned, is up to the clock
    assert trials["stage"].value_counts()["inherited"] == 6
    assert trials["stage"].value_counts()["finetuned"] in (1, 2)
    for row in trials.to_dict("records"):  # finetuned networks have the latency of the candidates that they were
        assert row["latency_ms"] == networks[row["id"]].median > 0
        if row["stage"] == "inherited" and row["number"] in before:
            assert row["latency_ms"] == before[row["number"]]
    assert set(networks) == set(trials["id"])
    assert not read_table(path / "latency.json").operations  # no table of operations is measured for nothing


def test_a_run_tells_of_latencies_wherever_it_is_looked_at(finished):
    path, _, said = finished
    assert " ms to " in said or " ms\n" in said
    assert "OPs" not in said
    front = [line.split(",") for line in (path / "front.csv").read_text().splitlines()]
    latencies = [float(line[front[0].index("latency_ms")]) for line in front[1:]]
    assert latencies == sorted(latencies)
    status = json.loads(command("status", path, "--json"))
    assert [point["latency_ms"] for point in status["front"]] == sorted(p["latency_ms"] for p in status["front"])
    assert "latency_ms" in command("status", path)
    chosen = json.loads(command("best", path, "--latency-max", max(latencies), "--json"))
    assert chosen["latency_ms"] <= max(latencies)
    assert f"{chosen['latency_ms']:.4g} ms" in command("best", path, "--latency-max", max(latencies))
    assert "the nearest are" in command("best", path, "--latency-max", min(latencies) / 1000)


def test_a_front_is_told_by_its_own_cost():
    out = io.StringIO()
    with make_view(Console(file=out, width=200)) as view:
        view.phase("Latencies", 1)
        view.result(Measured(95))
        view.phase("Search", 3)
        view.trials([], ("accuracy", "latency_ms"))
        for number, (accuracy, ops, latency) in enumerate([(0.8, 3e3, 0.1), (0.9, 1e3, 0.3), (0.7, 2e3, 0.2)]):
            metrics = {"accuracy": accuracy, "ops": ops, "latency_ms": latency}
            view.trial(Record(number, Stage.INHERITED, State.FINISHED, "", "", 0, "", "", (), 0, metrics))
    lines = out.getvalue().splitlines()
    assert lines[0] == "Latencies: 1/1 in 0 s; 95 operations"
    assert lines[-1].endswith("front of 2: 80.00 % at 0.1 ms to 90.00 % at 0.3 ms")


def test_of_several_who_measure_a_network_one_does(tmp_path):
    file = empty_table(tmp_path / "latency.json")
    found: list[float] = []

    def measure() -> None:
        found.append(measure_network(file, SPACE, SPACE.smallest()))

    threads = [threading.Thread(target=measure) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert set(found) == {read_table(file).networks[SPACE.id(SPACE.smallest())].median}


def test_networks_are_not_measured_on_two_processors(tmp_path):
    file = tmp_path / "latency.json"
    replace(LatencyTable(processor(), engine_here().name), processor="Abacus 3000").write(file)
    with pytest.raises(LatencyError, match="Abacus 3000"):
        measure_network(file, SPACE, SPACE.smallest())


@pytest.mark.long
@pytest.mark.timeout(300)
def test_workers_of_tune_measure_too(tmp_path):
    run = prepare(config_of("tune", trials=4, generation=4), tmp_path / "run")
    carry(run)
    trials, table = load_trials(run.path), read_table(run.path / "latency.json")
    assert set(trials["state"]) == {"finished"}
    assert {row["id"]: row["latency_ms"] for row in trials.to_dict("records")} == {
        identity: timing.median for identity, timing in table.networks.items()
    }


def test_the_command_measures_a_table_for_later_runs(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(
        "space:\n  name: small\n  stem_widths: [8]\n  stem_stride: 1\n  image_size: 8\n"
        "  stages:\n    - {depths: [1], widths: [8, 16], kernel_sizes: [3], groups: [1], stride: 2}\n"
        "data: {name: digits}\n"
    )
    found = json.loads(command("latency-table", file, "--out", tmp_path / "table.json", "--json"))
    table = read_table(tmp_path / "table.json")
    assert (found["space"], found["processor"], found["operations"]) == ("small", processor(), len(table.operations))
    assert found["fit"]["median_error"] >= 0
    assert table.constant >= 0
    assert not table.networks
    assert "operations on" in command("latency-table", file, "--out", tmp_path / "again.json")


def test_operations_that_are_timed_together_are_each_found():
    from search.latency.programs import program_of, shape_key

    program = program_of(SPACE, SPACE.smallest())
    named = {shape_key(each, program.shapes): (each, program.shapes) for each in program.operations}
    timings = time_operations(named)
    assert timings.keys() == named.keys()
    assert all(timing.calls > 1 for timing in timings.values())
