"""A search that ends when its front no longer grows: the rule, and a run that follows it, killed or not."""

import pytest
from rich.console import Console

from analysis import run_facts
from analysis.runs.journal import early_ends
from search.config.loading import load_config
from search.config.search import PlateauConfig
from search.execution.inline import InlineExecutor
from search.pipeline.carry_out import carry_out
from search.pipeline.prepare import prepare
from search.pipeline.stopping.plateau import hypervolume_gains, plateau
from search.pipeline.view import PlainView
from search.runs.locking import writing
from search.runs.records import Record, Stage, State
from search.runs.study import read_records

OBJECTIVES = ("accuracy", "ops")


def record(number, generation, *values):
    return Record(
        number, Stage.INHERITED, State.FINISHED, "a", "b", generation, "random", "random", (), 0, values=values
    )


def generations(*fronts):
    """Records of generations: a point in the box's worst corner, and then the points of each."""
    points = [(0, point) for point in ((0.0, 10.0), *fronts[0])]
    points += [(number, point) for number, front in enumerate(fronts[1:], 1) for point in front]
    return [record(index, generation, *point) for index, (generation, point) in enumerate(points)]


def test_gains_are_shares_of_the_hypervolume_of_all():
    records = generations([(0.5, 5.0)], [(0.25, 9.0)], [(1.0, 9.0)])
    assert hypervolume_gains(records, OBJECTIVES) == pytest.approx([0.0, 0.5 / 3.0])
    assert hypervolume_gains([], OBJECTIVES) == []


def test_a_front_that_stands_still_is_a_plateau_and_one_that_grows_is_not():
    still = generations([(0.5, 5.0)], [(0.1, 9.0)], [(0.2, 9.0)], [(0.3, 9.0)])
    assert "0.000% of the hypervolume was gained per generation in the last 3" in plateau(
        still, OBJECTIVES, PlateauConfig(generations=3)
    )
    assert plateau(still, OBJECTIVES, PlateauConfig(generations=4)) is None, "three gains do not fill four"
    grown = generations([(0.5, 5.0)], [(0.6, 5.0)], [(0.7, 5.0)], [(0.8, 5.0)])
    assert plateau(grown, OBJECTIVES, PlateauConfig(generations=3)) is None


def test_one_large_gain_among_the_last_keeps_a_search_going_longer_than_its_mean_would():
    records = generations([(0.5, 5.0)], [(0.501, 5.0)], [(0.1, 9.0)], [(0.1, 9.0)], [(0.1, 9.0)])
    gains = hypervolume_gains(records, OBJECTIVES)
    rule = PlateauConfig(generations=4, gain=2 * sum(gains) / 4)
    assert plateau(records, OBJECTIVES, rule) is None


def test_three_objectives_count_too():
    records = [record(number, number, 0.5, 5.0, 1.0) for number in range(3)]
    assert plateau(records, (*OBJECTIVES, "params"), PlateauConfig(generations=2)) is not None


SETTINGS = [
    "supernet.epochs=1", "search.trials=24", "search.generation=4", "search.stop=plateau", "finetune.networks=0",
    "search.first_generation=4", "search.plateau.generations=3", "search.plateau.gain=0.9", "execution.executor=inline",
    "evaluation.recalibration_batches=1", "evaluation.recalibration_batch_size=32", "data.train_limit=128",
    "data.validation_limit=64", "data.test_limit=64",
]  # fmt: skip


def run_to_its_end(run, console):
    with writing(run):
        carry_out(run, InlineExecutor(run), PlainView(console))


def test_a_run_ends_early_says_so_everywhere_and_resumed_ends_where_it_did(tmp_path):
    run = prepare(load_config("nasbnn-digits", SETTINGS), tmp_path / "run")
    console = Console(record=True, width=300, file=(tmp_path / "out").open("w"))
    run_to_its_end(run, console)
    records = [record for record in read_records(run.journal) if record.stage is Stage.INHERITED]
    assert len(records) < 24
    assert len(records) % 4 == 0
    (reason,) = early_ends(run.journal)
    assert reason.startswith("the front no longer grows")
    assert f"Search ended after {len(records)} of 24 trials: {reason}" in console.export_text()
    assert run_facts(run.path).early_ends == [reason]

    lines = run.journal.read_bytes().splitlines(keepends=True)
    cut = next(index for index, line in enumerate(lines) if b'"ended":' in line)
    (run.path / "front.csv").unlink()
    run.journal.write_bytes(b"".join(lines[: cut - 10]))
    run_to_its_end(run, console)
    again = [record for record in read_records(run.journal) if record.stage is Stage.INHERITED]
    assert [record.id for record in again] == [record.id for record in records]
    assert early_ends(run.journal) == [reason]
