"""Tables of networks: from an exhaustive run to a file, what it answers, and searches on it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from analysis import tables
from analysis.findings.front import load_front
from analysis.tables.table import Table, TableError, load_table, shipped_tables
from search.config.search import SearchConfig
from search.conformance import TINY
from search.outputs.measured import table_of
from search.proposers.simulation import BEGINNING, Clock, simulate
from search.runs.folder import open_run
from search.runs.records import State
from search.runs.study import read_records
from spaces import SpaceError

RUN = {
    "space": {
        "name": "tiny-table",
        "image_size": 8,
        "stem_widths": [8],
        "stem_stride": 1,
        "stages": [{"depths": [1, 2], "widths": [16, 24], "kernel_sizes": [3], "groups": [1, 2], "stride": 2}],
    },
    "data": {"name": "digits", "train_limit": 96, "validation_limit": 48, "test_limit": 48},
    "supernet": {"epochs": 1, "batch_size": 32},
    "search": {"proposer": "exhaustive", "trials": 1000, "generation": 8},
    "evaluation": {"recalibration_batches": 1, "recalibration_batch_size": 64, "test": True},
    "execution": {"executor": "inline", "training_threads": 1},
}


@pytest.fixture(scope="module")
def runs(cli, tmp_path_factory):
    """Two exhaustive searches, of two seeds."""
    folder = tmp_path_factory.mktemp("tables")
    (folder / "run.yaml").write_text(json.dumps(RUN))
    for seed in (0, 1):
        done = cli("search", folder / "run.yaml", "--out", folder / f"run{seed}", "--seed", str(seed))
        assert done.returncode == 0, done.stderr
    return [folder / "run0", folder / "run1"]


@pytest.fixture(scope="module")
def table(runs) -> Table:
    return table_of([open_run(run) for run in runs], "tiny")


def made(accuracy, seconds=1.0) -> Table:
    """A table of a space of some hundred networks, whose accuracies a function of the place tells."""
    places = np.arange(TINY.count())
    columns = {"accuracy": accuracy(places)[:, None], "seconds": np.full((len(places), 1), seconds)}
    return Table("made", TINY, "inherited", (), places, columns, {})


def test_an_exhaustive_run_measures_every_network_once(runs, table):
    run = open_run(runs[0])
    records = read_records(run.journal)
    assert len({record.id for record in records}) == len(records) == run.space.count() == len(table)
    for record in records:
        found = table.metrics(record.architecture, 0)
        assert found.keys() >= {"accuracy", "test_accuracy", "loss", "seconds", "ops", "params", "bytes"}
        assert all(found[name] == value for name, value in record.metrics.items() if name in found)
    assert not np.array_equal(table.values("accuracy", 0), table.values("accuracy", 1))


def test_the_test_images_stay_out_of_what_analyses_read(runs):
    assert "test_accuracy" not in pd.read_parquet(runs[0] / "trials.parquet")


def test_the_front_of_a_table_is_that_of_the_run(runs, table):
    best = load_front(runs[0])
    accuracies = {text: table.metrics(text)["accuracy"] for text in table.front()}
    assert sorted(accuracies.values()) == sorted(best["accuracy"])
    assert set(table.front()) == set(best["architecture"])


def test_a_table_comes_back_from_its_file(cli, runs, table, tmp_path):
    file = tmp_path / "tiny.parquet"
    done = cli("table", *runs, "--out", file)
    assert done.returncode == 0, done.stderr
    again = load_table(file)
    assert again.name == "tiny"
    assert again.space == table.space
    assert all(np.array_equal(again.measured[name], values) for name, values in table.measured.items())
    card = file.with_suffix(".md").read_text()
    for words in ("Every network of ", "seeds 0, 1", "hours of one worker", "proposer: exhaustive", "48 validation"):
        assert words in card
    frame = again.frame(replicate=0)
    assert len(frame) == len(again)
    assert frame["ops"].tolist() == [again.space.cost(again.space.parse(text)).ops for text in frame["architecture"]]


def test_a_stock_optuna_user_asks_in_two_lines(table):
    import optuna

    study = optuna.create_study(directions=["maximize", "minimize"])
    study.optimize(table.objective, n_trials=5)
    for trial in study.trials:
        member = table.space.decode(trial.params)
        assert trial.values == [table.metrics(member)["accuracy"], table.metrics(member)["ops"]]
    assert table.trainable(study.trials[0].params)["accuracy"] == study.trials[0].values[0]


def test_exhaustive_search_finds_exactly_the_front_of_the_table():
    table = made(lambda places: np.sin(places) ** 2)
    records = simulate(table, SearchConfig(proposer="exhaustive", trials=10_000, generation=50), 3)
    assert len(records) == len(table)
    found = {record.architecture for record in records}
    assert found == {TINY.format(TINY.unrank(place)) for place in range(TINY.count())}
    half = simulate(table, SearchConfig(proposer="exhaustive", trials=len(table) // 2, generation=50), 3)
    assert [record.id for record in half] == [record.id for record in records[: len(half)]]


def test_simulated_time_is_that_of_workers_that_wait_for_each_generation():
    table = made(lambda places: places / places.max(), seconds=10.0)
    records = simulate(table, SearchConfig(proposer="random", trials=7, generation=4), 0, workers=3)
    begun = [(record.started - BEGINNING).total_seconds() for record in records]
    assert begun == [0, 0, 0, 10, 20, 20, 20]
    clock = Clock(2)
    assert [clock.do(seconds) for seconds in (5, 1, 1)] == [(0, 5), (0, 1), (1, 2)]


def test_the_surrogate_learns_what_random_search_cannot_know():
    """Accuracy that follows from the genes: with half of the trials it has more of the front."""

    def accuracy(places):
        texts = [TINY.format(TINY.unrank(place)) for place in places.tolist()]
        return np.asarray([0.1 * text.count("k5") + 0.05 * text.count("g2") for text in texts])

    table = made(accuracy)
    front = set(table.front())
    assert 4 < len(front) < 20

    def share(name, trials, seed):
        config = SearchConfig(proposer=name, trials=trials, first_generation=20, generation=10)
        return len(front & {record.architecture for record in simulate(table, config, seed)}) / len(front)

    learned = [share("surrogate", 60, seed) for seed in range(3)]
    drawn = [share("random", 120, seed) for seed in range(3)]
    assert min(learned) > max(drawn)


def test_the_surrogate_proposes_for_three_objectives_within_limits():
    table = made(lambda places: places / places.max())
    ops = table.values("ops")
    names, most = ("accuracy", "ops", "bytes"), float(np.median(ops))
    config = SearchConfig(proposer="surrogate", trials=40, generation=20, objectives=names, ops_max=most)
    records = simulate(table, config, 0)
    assert len(records) == 40
    assert all(record.metrics["ops"] <= most for record in records)
    assert [record.id for record in simulate(table, config, 0)] == [record.id for record in records]


def test_what_a_table_refuses(cli, runs, table, tmp_path):
    for source, words in (
        ("digits", "unknown table 'digits'"),
        (tmp_path / "none.parquet", "No such file"),
        (runs[0] / "trials.parquet", "but no table of networks"),
    ):
        with pytest.raises(TableError, match=words):
            load_table(source)
    broken = tmp_path / "broken.parquet"
    table.save(broken)
    broken.write_bytes(broken.read_bytes()[:-20])
    with pytest.raises(TableError, match="damaged"):
        load_table(broken)
    newer = tmp_path / "newer.parquet"
    table.save(newer)
    content = pq.read_table(newer)
    facts = json.loads(content.schema.metadata[b"binarynas.table"])
    pq.write_table(content.replace_schema_metadata({b"binarynas.table": json.dumps({**facts, "format": 9})}), newer)
    with pytest.raises(TableError, match="format 9"):
        load_table(newer)
    with pytest.raises(TableError, match="replicates 0 to 1, not 2"):
        table.metrics(table.front()[0], 2)
    with pytest.raises(TableError, match="measured after none epochs, not after 3"):
        table.metrics(table.front()[0], epochs=3)
    with pytest.raises(SpaceError):
        table.metrics("c8k3g1")
    part = Table("part", table.space, "inherited", (), table.places[:1], {"accuracy": np.ones((1, 1))}, {})
    with pytest.raises(TableError, match="table 'part' has 1 of"):
        part.metrics(table.space.unrank(int(table.places[1])))
    with pytest.raises(TableError, match="each run of a table has a seed of its own"):
        table_of([open_run(runs[0])] * 2, "twice")
    done = cli("table", runs[0], "--out", tmp_path / "out.csv")
    assert done.returncode == 2
    assert "--out is the table's file, NAME.parquet" in done.stderr


def test_a_table_grows_by_runs_of_other_seeds(runs, table, cli, tmp_path):
    first, both = tmp_path / "first.parquet", tmp_path / "both.parquet"
    assert cli("table", runs[0], "--out", first).returncode == 0
    done = cli("table", first, runs[1], "--out", both)
    assert done.returncode == 0, done.stderr
    grown = load_table(both)
    assert grown.fingerprint == table.fingerprint
    assert grown.about["seeds"] == table.about["seeds"] == [0, 1]
    assert "seeds 0, 1." in both.with_suffix(".md").read_text()
    again = cli("table", both, runs[1], "--out", tmp_path / "twice.parquet")
    assert again.returncode == 2
    assert "each run of a table has a seed of its own; theirs are 0, 1, 1" in again.stderr
    nothing = cli("table", tmp_path / "none", "--out", tmp_path / "none.parquet")
    assert nothing.returncode == 2
    assert "is neither the folder of a run nor a table" in nothing.stderr


@pytest.fixture(scope="module")
def file(table, tmp_path_factory):
    """The table as a file."""
    place = tmp_path_factory.mktemp("file") / "tiny.parquet"
    table.save(place)
    return place


def lookup(cli, file, out, *settings):
    options = ("method=table", f"table.source={file}", "search.generation=6", "finetune.networks=0", *settings)
    config = out.with_suffix(".yaml")
    config.write_text("{}")
    return cli("search", config, "--out", out, *(word for each in options for word in ("--set", each)))


def test_a_search_on_a_table_is_a_run_like_any_other(cli, file, table, tmp_path):
    out = tmp_path / "run"
    done = lookup(cli, file, out, "search.proposer=exhaustive", "search.trials=100", "table.workers=2")
    assert done.returncode == 0, done.stderr
    assert "nothing is trained" in done.stderr
    best = load_front(out)
    assert best["architecture"].tolist() == table.front()
    tested = [table.metrics(text)["test_accuracy"] for text in best["architecture"]]
    assert best["test_accuracy"].tolist() == pytest.approx(tested)
    records = read_records(out / "journal.log")
    assert sum(record.seconds for record in records) == pytest.approx(table.values("seconds", 0).sum())
    assert cli("status", out).returncode == 0
    assert cli("best", out).returncode == 0
    assert cli("report", out).returncode == 0
    before = (out / "journal.log").read_bytes()
    (out / "front.csv").unlink()
    assert cli("resume", out).returncode == 0
    assert (out / "journal.log").read_bytes() == before


def test_a_search_on_a_table_that_was_stopped_goes_on_in_its_own_time(cli, file, tmp_path):
    for name, trials in (("whole", 12), ("parts", 6)):
        lookup(cli, file, tmp_path / name, "search.proposer=evolution", f"search.trials={trials}")
    config = tmp_path / "parts" / "config.yaml"
    config.write_text(config.read_text().replace("trials: 6", "trials: 12"))
    assert cli("resume", tmp_path / "parts", "--fork", tmp_path / "more").returncode == 0
    facts = [
        [(r.id, r.started, r.seconds, r.metrics) for r in read_records(tmp_path / name / "journal.log")]
        for name in ("whole", "more")
    ]
    assert facts[0] == facts[1]


@pytest.mark.parametrize(("first", "pruned"), [(1, {(3.0, 1.0)}), (2, {(5.0, 2.0)})])
def test_early_stopping_on_a_table_counts_the_seconds_of_its_epochs(first, pruned, cli, tmp_path):
    places = np.arange(TINY.count())
    accuracy = (places / places.max())[:, None]
    ones = np.ones_like(accuracy)
    parts = {"accuracy@1": accuracy / 4, "seconds@1": 3 * ones, "accuracy@2": accuracy / 2, "seconds@2": 2 * ones}
    columns = {"accuracy": accuracy, "seconds": 8 * ones, **parts}
    file = tmp_path / "trained.parquet"
    made = Table("trained", TINY, "trained", (1, 2, 4), places, columns, {"data": {"name": "made"}})
    made.save(file)
    assert made.spent(TINY.smallest()) == {1: 3, 2: 5, 4: 8}
    out = tmp_path / "run"
    early = ("table.early_stopping=true", "training.reduction=2", f"training.first_rung={first}")
    settings = ("search.proposer=random", "search.trials=12", "search.first_generation=12", *early)
    done = lookup(cli, file, out, *settings)
    assert done.returncode == 0, done.stderr
    records = read_records(out / "journal.log")
    found = {state: {(r.seconds, r.metrics["epochs"]) for r in records if r.state is state} for state in State}
    assert found[State.FINISHED] == {(8.0, 4.0)}
    assert found[State.PRUNED] == pruned
    late = lookup(cli, file, tmp_path / "late", *settings, "training.first_rung=4")
    assert late.returncode == 2
    assert "after 1, 2, 4 epochs, of which training.first_rung 4" in late.stderr


def test_what_a_search_on_a_table_refuses(cli, file, tmp_path):
    for number, (settings, words) in enumerate(
        (
            (("space.name=nasbnn",), "leave the section space out"),
            (("table.replicate=2",), "the table has 2, counted from 0"),
            (("table.early_stopping=true",), "no epochs at which to compare"),
            (("search.objectives=[accuracy, latency]",), "no latency_ms"),
            (("search.ops_max=1",), "has at most 1 OPs"),
            (("final.networks=2",), "leave final.networks out"),
            (("table.source=nothing",), "unknown table 'nothing'"),
            (("execution.address=1.2.3.4:5",), "leave execution.address out"),
        )
    ):
        done = lookup(cli, file, tmp_path / f"run{number}", *settings)
        assert done.returncode != 0, words
        assert words in done.stderr
        assert "Traceback" not in done.stderr


WHOLE_TABLES = {"cells-digits": (2401, 2, ()), "one-shot-digits": (15680, 2, ()), "vgg-digits": (1296, 3, (1, 2, 3, 4))}
TRAINED_TABLES = {"cells-digits-trained": "cells-digits", "one-shot-digits-trained": "one-shot-digits"}


def test_tables_come_with_the_package_and_are_small():
    assert shipped_tables() == sorted([*WHOLE_TABLES, *TRAINED_TABLES])
    folder = Path(tables.__file__).parent / "data"
    assert sum(file.stat().st_size for file in folder.iterdir()) < 3_000_000
    assert {file.stem for file in folder.glob("*.md")} == set(shipped_tables())


@pytest.mark.parametrize("name", WHOLE_TABLES)
def test_a_whole_table_of_the_package_has_every_network_by_every_seed(name):
    table, (members, replicates, rungs) = load_table(name), WHOLE_TABLES[name]
    assert (len(table), table.replicates, table.rungs) == (members, replicates, rungs)
    assert len(table) == table.space.count()
    for accuracy in (each for each in table.measured if "accuracy" in each):
        assert not np.isnan(table.measured[accuracy]).any()
        assert 0.1 < table.values(accuracy, 0).mean() < 1
    front = [table.metrics(text) for text in table.front()]
    assert [each["accuracy"] for each in front] == sorted(each["accuracy"] for each in front)
    assert [each["ops"] for each in front] == sorted(each["ops"] for each in front)


@pytest.mark.parametrize("name", TRAINED_TABLES)
def test_a_trained_table_of_the_package_has_networks_of_a_whole_one(name):
    trained, whole = load_table(name), load_table(TRAINED_TABLES[name])
    assert len(trained) == 300
    assert trained.space.declaration() == whole.space.declaration()
    assert not np.isnan(trained.measured["test_accuracy"]).any()
