"""Latencies: a table of operations, what is predicted from it, and searches that keep to it."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from analysis.runs.trials import load_trials
from models.onebit.engine import Backend
from models.onebit.timing import Timing, processor
from search.config.run import RunConfig
from search.config.search import EvaluationConfig, SearchConfig
from search.config.sections import ConfigError
from search.conformance import check_latency
from search.execution.inline import InlineExecutor
from search.latency.programs import program_of, shape_key
from search.latency.stopwatch import time_operations
from search.latency.table import LatencyError, LatencyTable, Predictor, engine_here, read_table
from search.pipeline.carry_out import carry_out
from search.pipeline.prepare import prepare
from search.proposers import make_proposer
from search.proposers.budget import Budget, require_fast_enough
from search.registry import PROPOSERS
from search.runs.folder import Run
from search.runs.locking import writing
from search.runs.records import Record, Stage, State
from search.worker.context import Context
from search.worker.measure import validate_candidate
from spaces import SpaceError, get_space

SPACE = get_space("nasbnn-digits")


def time_of(key: str) -> Timing:
    """A pretended time that follows from the key."""
    milliseconds = 1e-3 * (1 + sum(key.encode()) % 97)
    return Timing(milliseconds, milliseconds, milliseconds, 1)


def pretended(space, architectures, **changes) -> LatencyTable:
    programs = [program_of(space, architecture) for architecture in architectures]
    keys = {shape_key(operation, program.shapes) for program in programs for operation in program.operations}
    return replace(
        LatencyTable(processor(), engine_here().name, {key: time_of(key) for key in keys}, 0.5, 2.0), **changes
    )


def test_a_prediction_is_the_sum_of_the_tables_entries(tiny):
    table = pretended(tiny, [tiny.smallest(), tiny.largest()])
    for architecture in (tiny.smallest(), tiny.largest()):
        program = program_of(tiny, architecture)
        times = [table.operations[shape_key(each, program.shapes)].median for each in program.operations]
        assert len(times) == 1 + 2 * len(list(architecture.layers())) + 2  # stem; k x k and pointwise; mean and linear
        assert table.predict(program) == 0.5 + 2 * math.fsum(times)


@pytest.mark.parametrize("name", ["nasbnn-digits", "vgg-digits", "bnas-digits"])
def test_a_prediction_needs_no_weights_and_draws_no_random_numbers(name):
    space = get_space(name)
    before = torch.get_rng_state()
    program = program_of(space, space.smallest())
    assert torch.equal(before, torch.get_rng_state())
    table = pretended(space, [space.smallest()])
    assert Predictor(table, space).latency_ms(space.smallest()) == table.predict(program) > 0.5


def test_operations_of_other_shapes_have_other_keys(tiny):
    program = program_of(tiny, tiny.largest())
    keys = [shape_key(operation, program.shapes) for operation in program.operations]
    assert len(set(keys)) > 6
    assert keys[-1].startswith("linear 32x")
    assert all(word in keys[1] for word in ("binary-convolution", "k5 s", "g", "signs", "rprelu", "shortcut"))


@pytest.mark.parametrize("backend", [Backend.BEST, Backend.PORTABLE])
def test_operations_of_every_family_can_be_timed_by_both_engines(backend):
    for name in ("vgg-digits", "bnas-digits"):
        space = get_space(name)
        program = program_of(space, space.smallest())
        kinds = {each.kind: (each, program.shapes) for each in program.operations}
        for timing in time_operations(kinds, backend).values():
            assert math.isfinite(timing.median)
            assert 0 <= timing.low <= timing.median <= timing.high


def test_a_table_comes_back_from_its_file_and_grows_there(tiny, tmp_path):
    file = tmp_path / "latency.json"
    pretended(tiny, [tiny.smallest()]).write(file)
    table = read_table(file)
    first = table.predict(program_of(tiny, tiny.smallest()))
    program = program_of(tiny, tiny.largest())
    found = table.predict(program)
    again = read_table(file)
    assert again.operations.keys() >= {shape_key(each, program.shapes) for each in program.operations}
    assert again.predict(program) == found
    assert again.predict(program_of(tiny, tiny.smallest())) == first


def test_a_table_of_another_processor_does_not_grow_here(tiny):
    table = pretended(tiny, [tiny.smallest()], processor="Abacus 3000")
    table.predict(program_of(tiny, tiny.smallest()))
    with pytest.raises(LatencyError, match="Abacus 3000") as error:
        table.predict(program_of(tiny, tiny.largest()))
    assert processor() in str(error.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: "{", "not a table of latencies"),
        (lambda data: json.dumps({**data, "version": 9}), "version 1: its version is 9"),
        (lambda data: "[]", "version is None"),
        (lambda data: json.dumps({**data, "operations": {"zero": {"median": -1}}}), "is damaged"),
        (lambda data: json.dumps({**data, "operations": 3}), "is damaged"),
        (lambda data: json.dumps({**data, "constant": -1.0}), "not negative"),
        (lambda data: json.dumps({**data, "factor": "x"}), "is damaged"),
    ],
)
def test_a_file_that_is_no_table_is_one_sentence(tiny, tmp_path, change, words):
    file = tmp_path / "latency.json"
    LatencyTable("a processor", "an engine", {"zero": time_of("zero")}).write(file)
    file.write_text(change(json.loads(file.read_text())))
    with pytest.raises(LatencyError, match=words) as error:
        read_table(file)
    assert str(file) in str(error.value)


class Pretending:
    """Tells latencies that have little to do with operations."""

    def latency_ms(self, member) -> float:
        return sum(layer.width * (1 + layer.groups) for layer in member.layers()) / 1000


@pytest.mark.parametrize("name", sorted(PROPOSERS.keys() - {"exhaustive", "gp"}))  # which a large space refuses
def test_every_proposer_keeps_the_limit_of_latencies(name):
    def make(space, config, seed, coster=None):
        return make_proposer(space, config.model_copy(update={"proposer": name}), seed, coster)

    check_latency(make, SPACE, Pretending(), 0.45)


def test_a_limit_that_nothing_keeps_ends_in_one_sentence():
    budget = Budget(SearchConfig().limits, 0.01, Pretending())
    with pytest.raises(SpaceError, match=r"at most 0.01 ms.*raise search.latency_max"):
        require_fast_enough(SPACE, budget)
    with pytest.raises(SpaceError, match="needs a table"):
        make_proposer(SPACE, SearchConfig(latency_max=1), 0)


def test_evolution_bins_the_latencies_that_it_has_seen():
    proposer = make_proposer(SPACE, SearchConfig(proposer="evolution", bins=2, objectives=("accuracy", "latency")), 0)
    records = [
        Record(number, Stage.INHERITED, State.FINISHED, "", str(number), 0, "", "", (), 0, metrics)
        for number, metrics in enumerate(
            {"accuracy": accuracy, "ops": 1.0, "latency_ms": latency}
            for accuracy, latency in [(0.1, 1.0), (0.3, 1.4), (0.2, 1.6), (0.9, 2.0)]
        )
    ]
    assert [record.number for record in proposer.elite(records)] == [1, 3]
    assert proposer.elite([]) == []


def test_latency_is_a_short_name():
    assert SearchConfig(objectives=("accuracy", "latency")).objectives == ("accuracy", "latency_ms")
    assert SearchConfig(latency_max=1).needs_latency
    assert not SearchConfig().needs_latency
    with pytest.raises(ValueError, match="at most once"):
        SearchConfig(objectives=("accuracy", "latency", "latency_ms"))


def config_of(table: Path, **search) -> RunConfig:
    return RunConfig.model_validate(
        {
            "space": {"name": "nasbnn-digits"},
            "data": {"name": "digits", "train_limit": 64, "validation_limit": 140, "test_limit": 32},
            "supernet": {"epochs": 0, "batch_size": 32},
            "search": {"trials": 6, "generation": 3, "objectives": ["accuracy", "latency"], **search},
            "evaluation": {"recalibration_batches": 1, "recalibration_batch_size": 32},
            "execution": {"executor": "inline", "latency_table": str(table)},
        }
    )


class SilentView:
    """A view that shows nothing, and stops the run when so many trials have ended."""

    def __init__(self, left: int | None = None) -> None:
        self.left = left

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None

    def trial(self, record: Record) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise KeyboardInterrupt


def carry(run: Run, view: SilentView) -> None:
    with writing(run):
        carry_out(run, InlineExecutor(run), view)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Run:
    """A run with latency as an objective that was never interrupted; its table holds what it needed."""
    folder = tmp_path_factory.mktemp("latency")
    pretended(SPACE, [SPACE.smallest(), SPACE.largest()]).write(folder / "table.json")
    run = prepare(config_of(folder / "table.json"), folder / "run")
    carry(run, SilentView())
    return run


def rows(run: Run) -> list[dict]:
    wanted = ["number", "state", "id", "generation", "operator", "accuracy", "loss", "ops", "latency_ms"]
    return load_trials(run.path)[wanted].to_dict("records")


def test_a_run_ends_with_latencies_in_its_tables_and_on_its_plot(finished):
    trials = load_trials(finished.path)
    table = read_table(finished.path / "latency.json")
    for architecture, latency in zip(trials["architecture"], trials["latency_ms"], strict=True):
        assert latency == table.predict(program_of(SPACE, SPACE.parse(architecture)))
    header = (finished.path / "front.csv").read_text().splitlines()[0]
    assert "latency_ms" in header.split(",")
    assert "latency of one image (ms)" in (finished.path / "plots" / "frontier.svg").read_text()


def test_a_resumed_run_is_the_same_with_the_same_table(finished, tmp_path):
    run = prepare(config_of(finished.path / "latency.json"), tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        carry(run, SilentView(4))
    assert not (run.path / "front.csv").exists()
    resumed = Run(run.path)
    carry(resumed, SilentView())
    assert rows(resumed) == rows(finished)
    assert (resumed.path / "front.csv").read_text() == (finished.path / "front.csv").read_text()


def test_the_engine_finds_the_accuracy_of_the_float_simulation(finished):
    context = Context(finished.path)
    for number in range(4):
        network = context.inherited(SPACE.unrank((number * SPACE.count()) // 4))
        found = {}
        for engine in ("float", "onebit"):
            section = EvaluationConfig(engine=engine)
            context.config = context.config.model_copy(update={"evaluation": section})
            found[engine] = validate_candidate(context, network)
        assert found["onebit"]["accuracy"] == found["float"]["accuracy"]
        assert found["onebit"]["loss"] == pytest.approx(found["float"]["loss"], abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "search", "words"),
    [
        ({"processor": "Abacus 3000"}, {}, ["Abacus 3000", "latency-table"]),
        ({"engine": "slide rule"}, {}, ["slide rule", "latency-table"]),
        ({}, {"latency_max": 0.4}, ["at most 0.4 ms", "raise search.latency_max"]),  # the constant alone is 0.5
    ],
)
def test_a_table_that_cannot_serve_is_refused_before_the_run(finished, tmp_path, changes, search, words):
    table = replace(read_table(finished.path / "latency.json"), **changes)
    table.write(tmp_path / "table.json")
    with pytest.raises(ConfigError) as error:
        prepare(config_of(tmp_path / "table.json", **search), tmp_path / "run")
    assert all(word in str(error.value) for word in words), error.value
    assert not (tmp_path / "run").exists()
