"""Trials that no run of ours made: any table, results of Tune, studies of Optuna; and plots on a user's own axes."""

from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes

from analysis import (
    front,
    gene_effects,
    gene_importance,
    hypervolume_data,
    load_trials,
    parallel_data,
    plot_attainment,
    plot_frontier,
    plot_gene_effects,
    plot_hypervolume,
    plot_importance,
    plot_parallel,
    plot_seeds,
    save_figure,
    seeds_data,
)
from analysis.runs.layout import ColumnError, RunError
from spaces.errors import BinarynasError

RNG = np.random.default_rng(0)
WAYS = ("min", "max")


@pytest.fixture
def table() -> pd.DataFrame:
    """What anybody may have measured: no column of ours."""
    rate, blocks = 10 ** RNG.uniform(-4, -1, 60), RNG.integers(1, 4, 60)
    energy = blocks * RNG.uniform(1, 2, 60)
    recall = 0.5 + 0.1 * blocks - 0.02 * (np.log10(rate) + 2.5) ** 2
    return pd.DataFrame({"rate": rate, "blocks": blocks, "energy": energy, "recall": recall, "size": blocks * 10})


class Grid:
    """Looks like a `ray.tune.ResultGrid`."""

    num_errors = 1

    def __init__(self, *results) -> None:
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index):
        return self._results[index]


def result(error=None, **metrics):
    config = {"rate": 0.1, "epochs": 5, "net": {"depth": 2}}
    return SimpleNamespace(metrics={**metrics, "config": config, "epochs": 3}, config=config, error=error)


GRID = Grid(
    result(accuracy=0.9, ops=10.0, time_total_s=4.0, hostname="here"),
    result(accuracy=0.8, ops=20.0),
    result(RuntimeError("Traceback\nValueError: no memory")),
)


def test_a_front_of_any_columns(table):
    best = front(table, maximise=["recall"], minimise=["energy"])
    assert list(best.columns[:5]) == ["rate", "blocks", "energy", "recall", "size"]
    assert (np.diff(best["energy"]) > 0).all()
    assert (np.diff(best["recall"]) > 0).all()
    for row in best.itertuples():
        assert not ((table["energy"] < row.energy) & (table["recall"] > row.recall)).any()
    assert front(table, minimise=["energy"])["energy"].tolist() == [table["energy"].min()]
    assert len(front(table, maximise=["recall"], minimise=["energy", "size", "rate"])) >= len(best)
    assert front(table.assign(accuracy=table["recall"], ops=table["energy"])).equals(
        front(table.assign(accuracy=table["recall"], ops=table["energy"]), maximise=["accuracy"], minimise=["ops"])
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"maximise": ["recal"]},
            "the table has no column 'recal'; did you mean 'recall'? Its columns are rate, blocks",
        ),
        ({}, "the table has no column 'ops'. Its columns are rate, blocks"),
        ({"x": "energy", "y": "recall"}, "whether less or more of 'energy' is better is not known: say so"),
        ({"maximise": ["name"]}, "the column 'name' does not hold numbers alone"),
        ({"maximise": "recall"}, "maximise and minimise are lists of different columns, got 'recall' and ()"),
        ({"maximise": ["recall"], "minimise": ["recall"]}, "lists of different columns"),
    ],
)
def test_what_is_missing_is_one_sentence(table, arguments, message):
    with pytest.raises(BinarynasError) as caught:
        front(table.assign(name="x"), **arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_states_of_other_tables_are_understood(table):
    table.loc[0, "recall"] = 99.0
    assert front(table.assign(state="COMPLETE"), maximise=["recall"])["recall"].tolist() == [99.0]
    states = ["FAIL", *["COMPLETE"] * 59]
    assert front(table.assign(state=states), maximise=["recall"])["recall"].max() < 99


def test_results_of_tune():
    trials = load_trials(GRID)
    assert trials["state"].tolist() == ["finished", "finished", "failed"]
    assert trials["reason"].tolist()[2] == "ValueError: no memory"
    assert (trials["rate"][0], trials["config/epochs"][0], trials["epochs"][0], trials["net/depth"][0]) == (
        0.1,
        5,
        3,
        2,
    )
    assert (trials["seconds"][0], trials["host"][0]) == (4.0, "here")
    assert front(GRID)["number"].tolist() == [0]


def test_a_study_of_optuna_says_what_is_better(tmp_path):
    optuna = pytest.importorskip("optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["maximize", "minimize"])
    study.set_metric_names(["recall", "energy"])
    for lr, words in ((0.1, "a"), (0.2, "b")):
        study.enqueue_trial({"lr": lr, "word": words, "epochs": 3})

    def objective(trial):
        lr, word = trial.suggest_float("lr", 0, 1), trial.suggest_categorical("word", ["a", "b"])
        trial.suggest_int("epochs", 1, 5)
        trial.set_user_attr("owner", "me")
        return lr, 1.0 if word == "a" else 2.0

    study.optimize(objective, n_trials=2)
    trials = load_trials(study)
    assert trials["recall"].tolist() == [0.1, 0.2]
    assert (trials["word"].tolist(), trials["config/epochs"].tolist()) == (["a", "b"], [3, 3])
    assert trials["owner"].tolist() == ["me", "me"]
    assert front(trials, "energy", "recall")["number"].tolist() == [0, 1]
    assert isinstance(plot_frontier(study, x="energy", y="recall", ax=plt.figure().add_subplot()), Axes)
    trials.to_csv(tmp_path / "t.csv", index=False)
    assert front(tmp_path / "t.csv", maximise=["recall"])["number"].tolist() == [1]
    empty = load_trials(optuna.create_study())
    assert len(front(empty.assign(value=[]), minimise=["value"])) == 0
    plt.close("all")


def test_csv_files_that_are_none(tmp_path):
    for name, content in (("missing.csv", None), ("empty.csv", ""), ("bytes.csv", b"\xff\xfe\x00")):
        if content is not None:
            (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(RunError, match="is not a table that can be read"):
            load_trials(tmp_path / name)


def test_plots_draw_on_axes_of_the_user(table, tmp_path):
    figure, axes = plt.subplots(3, 3)
    flat = axes.ravel()
    columns = {"x": "energy", "y": "recall"}
    found = gene_importance(table, None, "recall", columns=["rate", "blocks"])
    assert found.frame["feature"].tolist()[0] == "blocks"
    effects = gene_effects(table, "energy", "recall", columns=["blocks"])
    drawn = [
        plot_frontier(table, **columns, directions=WAYS, ax=flat[0]),
        plot_hypervolume({"mine": table, "half": table.head(30)}, **columns, directions=WAYS, ax=flat[1]),
        plot_attainment([table.head(30), table.tail(30)], **columns, directions=WAYS, ax=flat[2]),
        plot_seeds(seeds_data([table.head(30), table.tail(30)], **columns, directions=WAYS), ax=flat[3]),
        plot_parallel(table, **columns, directions=WAYS, ax=flat[4]),
        plot_importance(found, ax=flat[5]),
        plot_gene_effects(effects, y="recall", ax=flat[6]),
    ]
    assert drawn == list(flat[:7])
    assert flat[0].get_xlabel() == "energy"
    assert {text.get_text() for text in flat[0].get_legend().get_texts()} >= {"trials (60)"}
    assert not figure.legends
    shown = parallel_data(table, ["rate", "blocks", "recall"], **columns, directions=WAYS)
    assert (shown.columns, len(shown.values)) == (("rate", "blocks", "recall"), 60)
    assert [path.suffix for path in save_figure(flat[0], tmp_path / "mine", table)] == [".png", ".svg", ".csv"]
    plt.close(figure)


def test_the_hypervolume_of_any_columns(table):
    data = hypervolume_data(table, "energy", "recall", directions=WAYS)
    assert len(data.curves[""]) == 60
    assert (np.diff(data.curves[""]) >= 0).all()
    with pytest.raises(ColumnError, match="give a direction, 'min' or 'max', for each of energy, recall"):
        hypervolume_data(table, "energy", "recall", directions=("min",))


def test_percentages_are_not_taken_for_fractions(table):
    axes = plot_frontier(
        table.assign(accuracy=90 + table["recall"]), x="energy", directions=WAYS, ax=plt.figure().add_subplot()
    )
    assert axes.get_ylabel() == "accuracy"
    assert axes.get_ylim()[0] > 80
    plt.close("all")


def test_hyperparameters_are_columns_of_trials(make_row, make_frame, tmp_path):
    from analysis import write_trials

    texts = (
        "1-1-1-1 with learning_rate=0.01 epochs=4",
        "1-1-1-1 with learning_rate=0.1 momentum=0.9 epochs=5",
        "1-1-1-1",
    )
    rows = [make_row(number, 10.0, 0.5, architecture=text) for number, text in enumerate(texts)]
    write_trials(rows, tmp_path / "t.parquet")
    trials = load_trials(tmp_path / "t.parquet")
    assert trials["learning_rate"].tolist()[:2] == [0.01, 0.1]
    assert trials["config/epochs"].tolist()[:2] == [4, 5]
    assert trials["momentum"].isna().tolist() == [True, False, True]
    assert trials["epochs"].isna().all()
