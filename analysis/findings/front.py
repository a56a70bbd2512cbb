"""The frontier of a run: the finished trials that no other one beats, and the table that tells of them."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from analysis.measures.pareto import pareto_front
from analysis.runs.layout import FRONT_FILE, RunError
from analysis.runs.schema import LATENCY, TEST_ACCURACY, objective_direction
from analysis.runs.trials import load_trials, numbers
from analysis.stages import competing
from analysis.units import cost_words, percent, quantity

if TYPE_CHECKING:
    import pandas as pd

TABLE_COLUMNS = ("architecture", "id", "accuracy", TEST_ACCURACY, "ops", "params", "bytes", LATENCY, "stage", "number")
_OPTIONAL = (TEST_ACCURACY, LATENCY, "number")


def front(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy") -> pd.DataFrame:
    """The finished trials on the Pareto front of two objectives, sorted by `x`, then `y`, then number.

    The schema says which way is better in a column. Trials of equal values are all kept, whatever their stage; a trial
    with a value that is not finite is left out, as is every one that does not count (see `analysis.stages.competing`):
    what has not finished or was pruned, what is there for comparison, differentiable searches. Raises `ValueError`
    where `x` or `y` is no objective.
    """
    directions = (objective_direction(x), objective_direction(y))
    values = numbers(trials, x, y)
    values[~competing(trials).to_numpy()] = float("nan")  # never on a front
    kept = trials[pareto_front(values, directions)]
    return kept.sort_values([x, y, "number"], kind="stable").reset_index(drop=True)


def front_table(front: pd.DataFrame) -> pd.DataFrame:
    """The columns of a front that are worth keeping in a file, in order, ready for `to_csv`.

    `test_accuracy` (fraction, the final measurement on the test split) is among them where the front has it, the
    latency where a trial has one.
    """
    kept = [name for name in TABLE_COLUMNS if name in front.columns and (name != LATENCY or front[name].notna().any())]
    return front[kept].reset_index(drop=True)


def front_rows(front: pd.DataFrame) -> list[dict[str, str]]:
    """A front as texts for a terminal: one dictionary a row, from headings to cells with their units."""
    rows: list[dict[str, str]] = []
    columns = {name: numbers(front, name)[:, 0].tolist() for name in ("accuracy", "ops", "params", "bytes")}
    tested = numbers(front, TEST_ACCURACY)[:, 0].tolist() if TEST_ACCURACY in front.columns else None
    latencies: list[float] = numbers(front, LATENCY)[:, 0].tolist() if LATENCY in front.columns else []
    timed = any(math.isfinite(latency) for latency in latencies)
    for index, (architecture, identity, stage) in enumerate(
        zip(front["architecture"], front["id"], front["stage"], strict=True)
    ):
        row = {"accuracy": percent(columns["accuracy"][index])}
        if tested is not None:
            row["test accuracy"] = percent(tested[index])
        row |= {
            "OPs": quantity(columns["ops"][index], ""),
            "parameters": quantity(columns["params"][index], ""),
            "size": quantity(columns["bytes"][index], "B"),
            **({"latency": cost_words(LATENCY, latencies[index])} if timed else {}),
            "stage": str(stage),
            "id": str(identity),
            "architecture": str(architecture),
        }
        rows.append(row)
    return rows


def load_front(run: str | os.PathLike[str]) -> pd.DataFrame:
    """The frontier of a run directory as `front_table` gives it, always with a column `test_accuracy`.

    The run's `front.csv` where it has one, with the test accuracy that was measured for it; otherwise the front of its
    trials so far, with NaN there. Raises `RunError` where neither can be read.
    """
    import pandas as pd

    file = Path(run) / FRONT_FILE
    if not file.is_file():
        return front_table(front(load_trials(run)).assign(**{TEST_ACCURACY: float("nan")}))
    try:
        # an id of digits alone, or one such as 12e4, is still a text
        table = pd.read_csv(file, dtype={"id": "str", "architecture": "str", "stage": "str"})
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise RunError(f"{file} is not a table ({error}): remove it, and the front is taken from the trials") from error
    missing = [name for name in TABLE_COLUMNS if name not in table.columns and name not in _OPTIONAL]
    if missing:
        raise RunError(
            f"{file} lacks the columns {', '.join(missing)}: remove it, and the front is taken from the trials"
        )
    if TEST_ACCURACY not in table.columns:
        table = table.assign(**{TEST_ACCURACY: float("nan")})
    return front_table(table)
