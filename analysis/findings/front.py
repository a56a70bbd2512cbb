"""The front of a run: the finished trials that no other one dominates, and its table."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.measures.pareto import Direction, Floats, pareto_front
from analysis.runs.layout import FRONT_FILE, ColumnError, RunError
from analysis.runs.schema import BALANCED, LATENCY, TEST_ACCURACY, TEST_BALANCED
from analysis.runs.trials import Source, directions_of, load_trials, numbers
from analysis.stages import competing, score_of
from analysis.units import cost_words, percent, quantity
from spaces.errors import listed

TABLE_COLUMNS = (
    "architecture", "id", "accuracy", TEST_ACCURACY, BALANCED, TEST_BALANCED, "ops", "params", "bytes", LATENCY,
    "stage", "number",
)  # fmt: skip
_OPTIONAL = (TEST_ACCURACY, BALANCED, TEST_BALANCED, LATENCY, "number")
_SPARSE = (LATENCY, BALANCED, TEST_BALANCED)  # kept where a trial has one
_GUESSED = 1.05  # times chance
_UNEQUAL = 0.01  # from this difference on, the mean over the classes is shown beside accuracy


def front(
    trials: Source,
    x: str = "ops",
    y: str = "accuracy",
    *,
    maximise: Sequence[str] = (),
    minimise: Sequence[str] = (),
) -> pd.DataFrame:
    """The finished trials on the Pareto front of two objectives, sorted by `x`, then `y`, then number.

        front(trials)                                               # accuracy at operations
        front(table, maximise=["recall"], minimise=["energy"])      # any columns of any table, one or more

    With `maximise` or `minimise` the objectives are the columns named there instead, and rows are sorted by them,
    `minimise` first. Else the schema, or the study that the trials are from, says whether less or more is better.
    `trials` is all that `load_trials` takes.

    Trials of equal values are all kept, whatever their stage. Trials with a value that is not finite are left out, and
    those that do not compete (see `analysis.stages.competing`): unfinished and pruned ones, references, differentiable
    searches. Raises `ValueError` where a column is not there, holds no numbers, or has no known direction.
    """
    trials = load_trials(trials)
    named = (*minimise, *maximise)
    columns = named or (x, y)
    if isinstance(maximise, str) or isinstance(minimise, str) or len(set(named)) < len(named):
        raise ColumnError(f"maximise and minimise are lists of different columns, got {maximise!r} and {minimise!r}")
    given: list[Direction] = ["min" if name in minimise else "max" for name in named]
    directions = directions_of(trials, columns, given or None)
    values = numbers(trials, *columns)
    values[~competing(trials).to_numpy()] = float("nan")  # never on a front
    kept = trials[pareto_front(values, directions)]
    return kept.sort_values([*columns, "number"], kind="stable").reset_index(drop=True)


def front_points(trials: Source, x: str, y: str, directions: Sequence[Direction]) -> Floats:
    """The values of both objectives on the front, of shape (points, 2), sorted by `x`, then `y`."""
    ways: dict[Direction, list[str]] = {"min": [], "max": []}
    for name, direction in zip((x, y), directions, strict=True):
        ways[direction].append(name)
    best = numbers(front(trials, minimise=ways["min"], maximise=ways["max"]), x, y)
    return best[np.lexsort((best[:, 1], best[:, 0]))]


def front_table(front: pd.DataFrame) -> pd.DataFrame:
    """The columns of a front that are kept in a file, in order, ready for `to_csv`.

    `test_accuracy` (fraction, the final measurement on the test split) is among them where the front has it, the
    latency where a trial has one.
    """
    kept = [
        name for name in TABLE_COLUMNS if name in front.columns and (name not in _SPARSE or front[name].notna().any())
    ]
    return front[kept].reset_index(drop=True)


def guessing(front: pd.DataFrame, classes: int | None) -> str:
    """What to say where no network of a front is better than always naming one class; empty where one is, or where the
    mean accuracy over the classes was not measured."""
    name = TEST_BALANCED if TEST_BALANCED in front.columns else BALANCED
    if not classes or name not in front.columns or not len(front):
        return ""
    best = float(np.nanmax(np.append(numbers(front, name), -1.0)))
    if not 0 <= best <= _GUESSED / classes:
        return ""
    return (
        f"no network of the front is better than guessing: the mean over the {classes} classes is {percent(best)} at "
        "best. Give the search more time (supernet.epochs, or --time), or look at whether the images show their classes"
    )


def front_rows(front: pd.DataFrame) -> list[dict[str, str]]:
    """A front as texts for a terminal: one dictionary per row, from headings to cells with their units."""
    score = score_of(str(front["stage"].iloc[0])) if len(front) else "accuracy"
    columns = {score: _texts(front, "accuracy", percent)}
    if TEST_ACCURACY in front.columns:
        columns[f"test {score}"] = _texts(front, TEST_ACCURACY, percent)
    pairs = (("accuracy", BALANCED, "balanced"), (TEST_ACCURACY, TEST_BALANCED, "test balanced"))
    for plain, balanced, heading in pairs:
        if plain in front.columns and balanced in front.columns:
            accuracy, mean = numbers(front, plain, balanced).T
            if (np.abs(accuracy - mean) > _UNEQUAL).any():
                columns[heading] = _texts(front, balanced, percent)
    columns["OPs"] = _texts(front, "ops", lambda value: quantity(value, ""))
    columns["parameters"] = _texts(front, "params", lambda value: quantity(value, ""))
    columns["size"] = _texts(front, "bytes", lambda value: cost_words("bytes", value))
    if LATENCY in front.columns and np.isfinite(numbers(front, LATENCY)).any():
        columns["latency"] = _texts(front, LATENCY, lambda value: cost_words(LATENCY, value))
    columns |= {name: front[name].astype("str").tolist() for name in ("stage", "id", "architecture")}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _texts(front: pd.DataFrame, column: str, write: Callable[[float], str]) -> list[str]:
    return [write(value) for value in numbers(front, column)[:, 0].tolist()]


def load_front(run: str | os.PathLike[str]) -> pd.DataFrame:
    """The front of a run's folder as `front_table` gives it, always with a column `test_accuracy`.

    The run's `front.csv` where it has one, with the test accuracy that was measured for it; otherwise the front of its
    trials so far, with NaN there. Raises `RunError` where neither can be read.
    """
    file = Path(run) / FRONT_FILE
    if not file.is_file():
        return untested_front(load_trials(run))
    return read_table(file)


def read_table(file: Path) -> pd.DataFrame:
    """A table of networks that a run wrote, such as its front. Raises `RunError` where it is none."""
    try:
        # an id of digits alone, or one such as 12e4, is still a text
        table = pd.read_csv(file, dtype={"id": "str", "architecture": "str", "stage": "str"})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RunError(f"{file} is not a table ({error}): remove it, and the front is taken from the trials") from error
    missing = [name for name in TABLE_COLUMNS if name not in table.columns and name not in _OPTIONAL]
    if missing:
        raise RunError(f"{file} lacks the columns {listed(missing)}: remove it, and the front is taken from the trials")
    if TEST_ACCURACY not in table.columns:
        table = table.assign(**{TEST_ACCURACY: float("nan")})
    return front_table(table)


def untested_front(trials: pd.DataFrame) -> pd.DataFrame:
    """The front of trials as `front_table` gives it, with NaN as `test_accuracy`."""
    return front_table(front(trials).assign(**{TEST_ACCURACY: float("nan")}))
