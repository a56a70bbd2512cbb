"""Races of proposers on tables, by the functions and by `binarynas compare`."""

import json

import numpy as np
import pytest

from analysis.findings.comparison import compare_runs, facts_of
from analysis.tables.runs import race_of_runs
from analysis.tables.table import Table, TableError
from analysis.tables.yardstick import yardstick
from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.conformance import TINY
from search.proposers.improvement import Improvement
from search.proposers.model import AccuracyModel
from search.proposers.race import Start, run_race
from search.seeds import derive_rng


@pytest.fixture(scope="module")
def table() -> Table:
    """A space of some hundred networks, whose accuracy follows from their genes."""
    texts = [TINY.format(TINY.unrank(place)) for place in range(TINY.count())]
    accuracy = np.asarray([0.5 + 0.1 * text.count("k5") + 0.03 * text.count("g2") for text in texts])
    columns = {"accuracy": np.stack([accuracy, accuracy**2], axis=1), "seconds": np.full((len(texts), 2), 2.0)}
    return Table("made", TINY, "inherited", (), np.arange(TINY.count()), columns, {"data": {"name": "made"}})


@pytest.fixture(scope="module")
def file(table, tmp_path_factory):
    place = tmp_path_factory.mktemp("race") / "made.parquet"
    table.save(place)
    return place


def test_a_race_repeats_itself_and_ends_with_the_whole_front_of_an_exhaustive_search(table):
    common = SearchConfig(trials=table.space.count(), first_generation=20, generation=20)
    found = run_race(table, ["random", "exhaustive@40/40"], common, seeds=4, workers=3)
    again = run_race(table, ["random"], common, seeds=4, workers=3)
    assert np.array_equal(found.entrants["random"].curves, again.entrants["random"].curves)
    assert found.entrants["exhaustive@40/40"].curves[:, -1] == pytest.approx(1)
    assert found.entrants["random"].ends.max() == pytest.approx(2.0 * -(-table.space.count() // 3), rel=0.1)


def test_a_proposer_is_named_with_its_sizes():
    common = SearchConfig(trials=50, first_generation=20, generation=10)
    sized = Start.of("surrogate@16/8", common).config
    assert (sized.proposer, sized.first_generation, sized.generation, sized.trials) == ("surrogate", 16, 8, 50)
    assert Start.of("optuna:GPSampler", common).config.generation == 10
    for wrong in ("surrogate@16", "surrogate@0/8", ""):
        with pytest.raises(ConfigError, match="surrogate@16/8"):
            Start.of(wrong, common)


def test_what_a_race_refuses(table):
    common = SearchConfig(trials=10, generation=5)
    with pytest.raises(ConfigError, match="named once"):
        run_race(table, ["random", "random"], common, 1)
    with pytest.raises(ConfigError, match="unknown proposer 'best'"):
        run_race(table, ["best"], common, 1)
    with pytest.raises(TableError, match="has no latency_ms"):
        run_race(table, ["random"], SearchConfig(objectives=("accuracy", "latency")), 1)


def test_proposers_are_compared_on_a_table_by_the_command(cli, file, tmp_path):
    options = ("--proposers", "evolution,random", "--seeds", "7", "--trials", "40", "--generation", "10")
    done = cli("compare", "--table", file, *options, "--first-generation", "20", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    for words in ("made: 7 seeds, 40 trials each; reference point: accuracy", "evolution against random", "after 10"):
        assert words in done.stdout
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"race.png", "race.svg", "race.csv"}
    done = cli("compare", "--table", file, *options, "--json", "--out", tmp_path / "again")
    facts = json.loads(done.stdout)
    assert [each["name"] for each in facts["proposers"]] == ["evolution", "random"]
    assert facts["reference"] == list(yardstick_of(file))


def yardstick_of(file):
    from analysis.tables.table import load_table

    return yardstick(load_table(file)).reference


def test_what_the_command_refuses(cli, file, tmp_path):
    for arguments, words in (
        ((), "give the folders of runs, or --table"),
        (("--table", file, tmp_path), "give the folders of runs, or --table"),
        (("--table", "nothing"), "unknown table 'nothing'"),
        (("--table", file, "--proposers", "best"), "unknown proposer 'best'"),
        (("--table", file, "--ops-max", "1"), "at most 1 op"),
        (("--table", file, "--objectives", "ops"), "must begin with accuracy"),
    ):
        done = cli("compare", *arguments)
        assert done.returncode == 2, (words, done.stdout)
        assert words in done.stderr
        assert "Traceback" not in done.stderr


def test_runs_on_one_table_are_measured_against_its_front(cli, file, table, tmp_path):
    config, runs = tmp_path / "run.yaml", []
    for proposer in ("random", "exhaustive"):
        for seed in (0, 1):
            config.write_text(
                json.dumps(
                    {
                        "method": "table",
                        "table": {"source": str(file)},
                        "search": {"proposer": proposer, "trials": 1000, "generation": 30},
                        "finetune": {"networks": 0},
                    }
                )
            )
            runs.append(tmp_path / f"{proposer}{seed}")
            done = cli("search", config, "--out", runs[-1], "--seed", str(seed))
            assert done.returncode == 0, done.stderr
    facts = facts_of(runs)
    race = race_of_runs(compare_runs(facts), facts)
    assert set(race.entrants) == {"proposer random", "proposer exhaustive"}
    assert race.entrants["proposer exhaustive"].curves[:, -1] == pytest.approx(1)
    done = cli("compare", *runs)
    assert done.returncode == 0, done.stderr
    assert "reference point" in done.stdout
    assert "proposer random against proposer exhaustive" in done.stdout
    done = cli("compare", *runs, "--json", "--out", tmp_path / "out")
    found = json.loads(done.stdout)["race"]
    assert (found["table"], found["trials"], found["reference"]) == ("made", race.trials, list(yardstick_of(file)))
    assert [each["name"] for each in found["proposers"]] == [each.name for each in race.standings()]
    assert [(each["one"], each["other"]) for each in found["pairs"]] == [("proposer random", "proposer exhaustive")]
    assert (tmp_path / "out" / "race.csv").exists()
    file.rename(file.with_suffix(".moved"))
    try:
        assert json.loads(cli("compare", *runs, "--json").stdout)["race"] is None
        assert race_of_runs(compare_runs(facts), facts) is None
    finally:
        file.with_suffix(".moved").rename(file)


# What the surrogate is made of


def test_the_model_learns_what_follows_from_genes_and_says_how_sure_it_is(table):
    rng = np.random.default_rng(0)
    rows = rng.permutation(len(table))
    members = [TINY.unrank(int(row)) for row in rows]
    values = table.values("accuracy", 0)[rows]
    model = AccuracyModel(TINY)
    model.fit(members[:60], values[:60].tolist())
    mean, deviation = model.predict(members[60:160])
    assert np.corrcoef(mean, values[60:160])[0, 1] > 0.95
    assert (deviation > 0).all()
    inside = np.abs(mean - values[60:160]) < 3 * deviation
    assert inside.mean() > 0.95
    model.fit(members[:3], [0.5, 0.5, 0.5])  # nothing to learn
    assert model.predict(members[:5])[0] == pytest.approx([0.5] * 5)


def test_the_improvement_is_that_of_the_hypervolume():
    """Without doubt about a candidate, directions give the order that exact volumes give."""
    from analysis.measures.hypervolume import hypervolume

    rng = np.random.default_rng(2)
    for objectives in (2, 3):
        quality, costs = rng.random(30), np.exp(3 * rng.random((30, objectives - 1)))
        improvement = Improvement(quality, costs, derive_rng(0, "test"))
        means, prices = rng.random(200) * 1.2, np.exp(3 * rng.random((200, objectives - 1)))
        (best,) = improvement.chosen(means, np.full(200, 1e-9), prices, 1)

        def points(quality, costs):
            return np.column_stack([quality, np.log1p(costs)])

        seen, ways = points(quality, costs), ["max", *["min"] * (objectives - 1)]
        reference = [-improvement._corner[0], *improvement._corner[1:]]
        volumes = [
            hypervolume(np.vstack([seen, one]), reference, ways) - hypervolume(seen, reference, ways)
            for one in points(means, prices)
        ]
        assert volumes[best] > 0.8 * max(volumes)
        assert volumes[best] >= np.sort(volumes)[-5]
    twice = improvement.chosen(means, np.full(200, 0.1), prices, 20)
    assert len(set(twice)) == 20
