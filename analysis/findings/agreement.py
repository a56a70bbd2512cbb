"""How sure one can be: agreement of ranks between stages, spread over seeds, what made the front."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from analysis.measures.intervals import CONFIDENCE, Interval
from analysis.runs.trials import numbers, split_runs

if TYPE_CHECKING:
    import pandas as pd

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false


from typing import TYPE_CHECKING

from analysis.findings.front import front
from analysis.measures.intervals import mean_interval, share_interval
from analysis.measures.ranks import RankCorrelation, rank_correlation
from analysis.stages import LATER, of_stage, search_stage

if TYPE_CHECKING:
    import pandas as pd


def paired_stages(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy"
) -> pd.DataFrame:
    """Architectures that finished in both stages: `id`, `architecture`, and `y` in columns named after the stages.

    Where none is named, the first stage is that of the search and the second the one behind it: inherited and
    finetuned, or trained and final. One row an architecture and, where there is a column `run`, a run; the mean where
    a stage measured it several times.
    """
    first, second = two_stages(trials, first, second)
    done = trials[(trials["state"] == "finished") & trials["stage"].isin([first, second])]
    done = done.assign(**{y: numbers(done, y)[:, 0]})
    done = done[np.isfinite(done[y])]
    keys = [name for name in ("run", "id", "architecture") if name in done.columns]
    table = done.groupby([*keys, "stage"], sort=False)[y].mean().unstack("stage")
    return table.reindex(columns=[first, second]).dropna().reset_index().rename_axis(columns=None)


def two_stages(trials: pd.DataFrame, first: str | None = None, second: str | None = None) -> tuple[str, str]:
    """The two stages named; in place of None, that of the search, and the one in which its networks are trained on (or,
    where none is trained on, trained from nothing)."""
    first = first or search_stage(trials)
    later = LATER.get(first, "finetuned")
    stages = set(trials["stage"])
    if first != "final" and later not in stages and "final" in stages:
        later = "final"
    return first, second or later


def stage_correlation(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy", seed: int = 0
) -> RankCorrelation:
    """Whether the second stage ranks architectures as the first did: whether the first is worth searching with.

    Only architectures that were chosen for the second stage are in both, usually those of the front: the agreement
    over the whole space may be another.
    """
    first, second = two_stages(trials, first, second)
    pairs = paired_stages(trials, first, second, y)
    return rank_correlation(pairs[first], pairs[second], seed)


def seed_spread(trials: pd.DataFrame, y: str = "accuracy") -> pd.DataFrame:
    """Architectures measured with more than one seed in a stage, over all runs of the frame.

    Columns `id`, `architecture`, `stage`, `count`, `mean`, `low`, `high` (95 % of the mean), `deviation` (sample
    standard deviation of one measurement). Of measurements with the same seed one counts: they are copies.
    """
    import pandas as pd

    done = trials[trials["state"] == "finished"]
    done = done.assign(**{y: numbers(done, y)[:, 0]})
    done = done[np.isfinite(done[y])].drop_duplicates(["id", "stage", "seed"])
    rows: list[dict[str, object]] = []
    for (identity, stage), group in done.groupby(["id", "stage"], sort=False):
        if len(group) > 1:
            values = group[y].to_numpy()
            mean = mean_interval(values)
            rows.append(
                {
                    "id": identity, "architecture": group["architecture"].iloc[0], "stage": stage, "count": mean.count,
                    "mean": mean.value, "low": mean.low, "high": mean.high, "deviation": float(values.std(ddof=1)),
                }
            )  # fmt: skip
    columns = ["id", "architecture", "stage", "count", "mean", "low", "high", "deviation"]
    return pd.DataFrame(rows, columns=columns)


def pooled_deviation(spread: pd.DataFrame) -> Interval:
    """Standard deviation of one measurement over seeds, pooled over the rows of `seed_spread`, with its chi² interval.

    Two networks of one measurement each that differ by less than about three times this are not told apart.
    """
    from scipy.stats import chi2

    freedom = int((spread["count"] - 1).sum()) if len(spread) else 0
    if freedom == 0:
        return Interval(math.nan, math.nan, math.nan, 0)
    squares = float(((spread["count"] - 1) * spread["deviation"] ** 2).sum())
    low, high = (math.sqrt(squares / chi2.ppf((1 + sign * CONFIDENCE) / 2, freedom)) for sign in (1, -1))
    return Interval(math.sqrt(squares / freedom), low, high, int(spread["count"].sum()))


def operator_table(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy", stage: str | None = None) -> pd.DataFrame:
    """Which operator made the front's networks.

    Columns `operator`, `trials`, `failed`, `front` (how many are on the front, each run's own), `rate` (front /
    trials), `low`, `high` (95 %, Wilson). Most on the front first. Operators that act late in a search
    have better parents, so a higher rate alone does not make an operator better.
    """
    import pandas as pd

    chosen = of_stage(trials, stage)
    chosen = chosen[chosen["state"] != "running"]
    best = pd.concat([front(part, x, y) for part in split_runs(chosen).values()])
    rows: list[dict[str, object]] = []
    for operator, group in chosen.assign(operator=chosen["operator"].fillna("unknown")).groupby("operator", sort=True):
        hits = int((best["operator"].fillna("unknown") == operator).sum())
        share = share_interval(hits, len(group))
        failed = int((group["state"] == "failed").sum())
        rows.append(
            {
                "operator": operator, "trials": len(group), "failed": failed, "front": hits, "rate": share.value,
                "low": share.low, "high": share.high,
            }
        )  # fmt: skip
    columns = ["operator", "trials", "failed", "front", "rate", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values(["front", "trials"], ascending=False, ignore_index=True)


def table_correlation(
    table: pd.DataFrame, first: str = "one_shot", second: str = "from_scratch", seed: int = 0
) -> RankCorrelation:
    """Whether networks are ranked by one column of a table as by another, one row a network.

    For example by their accuracy with a supernet's weights and by that after a training of their own from nothing,
    which says whether a one-shot search looks for the right networks. Intervals as in `rank_correlation`. Raises
    `ValueError` for a column that the table does not have.
    """
    missing = [name for name in (first, second) if name not in table.columns]
    if missing:
        raise ValueError(f"the table has no column {missing[0]!r}; it has {', '.join(map(str, table.columns))}")
    values = numbers(table, first, second)
    return rank_correlation(values[:, 0], values[:, 1], seed)
