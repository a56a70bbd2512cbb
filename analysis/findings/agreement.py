"""How far results can be trusted: rank agreement between stages, spread over seeds, and the operators of the front."""

# scipy ships no types, so its names are unknown to the checker; the signatures below are ours and checked
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false

import math

import numpy as np
import pandas as pd

from analysis.findings.front import front
from analysis.measures.intervals import CONFIDENCE, Interval, mean_interval, share_interval
from analysis.measures.ranks import RankCorrelation, rank_correlation
from analysis.runs.trials import numbers, split_runs
from analysis.stages import LATER, of_stage, search_stage
from spaces.errors import unknown


def paired_stages(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy"
) -> pd.DataFrame:
    """Architectures that finished in both stages: `id`, `architecture`, and `y` in columns named after the stages.

    By default the first stage is that of the search and the second the one after it: inherited and finetuned, or
    trained and final. One row per architecture and, where there is a column `run`, per run; the mean where a stage
    measured it several times.
    """
    first, second = two_stages(trials, first, second)
    done = _finite(trials[trials["stage"].isin([first, second])], y)
    keys = [name for name in ("run", "id", "architecture") if name in done.columns]
    table = done.groupby([*keys, "stage"], sort=False)[y].mean().unstack("stage")
    return table.reindex(columns=[first, second]).dropna().reset_index().rename_axis(columns=None)


def two_stages(trials: pd.DataFrame, first: str | None = None, second: str | None = None) -> tuple[str, str]:
    """The two stages that are named; by default that of the search, and the one in which its networks are trained
    further (or, where there is none, trained from scratch)."""
    first = first or search_stage(trials)
    later = LATER.get(first, "finetuned")
    stages = set(trials["stage"])
    if first != "final" and later not in stages and "final" in stages:
        later = "final"
    return first, second or later


def _finite(trials: pd.DataFrame, y: str) -> pd.DataFrame:
    """The finished trials with a finite value of `y`, which is a float in every row."""
    done = trials[trials["state"] == "finished"]
    done = done.assign(**{y: numbers(done, y)[:, 0]})
    return done[np.isfinite(done[y])]


def stage_correlation(
    trials: pd.DataFrame, first: str | None = None, second: str | None = None, y: str = "accuracy", seed: int = 0
) -> RankCorrelation:
    """Whether the second stage ranks architectures as the first did: whether the first is worth searching with.

    Both stages have only the architectures that were chosen for the second one, usually those of the front: the
    agreement over the whole space may differ.
    """
    first, second = two_stages(trials, first, second)
    pairs = paired_stages(trials, first, second, y)
    return rank_correlation(pairs[first], pairs[second], seed)


def seed_spread(trials: pd.DataFrame, y: str = "accuracy") -> pd.DataFrame:
    """Architectures measured with more than one seed in a stage, over all runs of the frame.

    Columns `id`, `architecture`, `stage`, `count`, `mean`, `low`, `high` (95 % of the mean), `deviation` (sample
    standard deviation of one measurement). Measurements with the same seed are copies, of which one counts.
    """
    done = _finite(trials, y).drop_duplicates(["id", "stage", "seed"])
    rows: list[tuple[object, ...]] = []
    for (identity, stage), group in done.groupby(["id", "stage"], sort=False):
        if len(group) > 1:
            values, architecture = group[y].to_numpy(), group["architecture"].iloc[0]
            mean, deviation = mean_interval(values), float(values.std(ddof=1))
            rows.append((identity, architecture, stage, mean.count, mean.value, mean.low, mean.high, deviation))
    columns = ["id", "architecture", "stage", "count", "mean", "low", "high", "deviation"]
    return pd.DataFrame(rows, columns=columns)


def pooled_deviation(spread: pd.DataFrame) -> Interval:
    """Standard deviation of one measurement over seeds, pooled over the rows of `seed_spread`, with its chi² interval.

    Two networks with one measurement each cannot be told apart if they differ by less than about three times this.
    """
    from scipy.stats import chi2  # takes longer to load than the rest of the room

    freedom = int((spread["count"] - 1).sum()) if len(spread) else 0
    if freedom == 0:
        return Interval(math.nan)
    squares = float(((spread["count"] - 1) * spread["deviation"] ** 2).sum())
    low, high = (math.sqrt(squares / chi2.ppf((1 + sign * CONFIDENCE) / 2, freedom)) for sign in (1, -1))
    return Interval(math.sqrt(squares / freedom), low, high, int(spread["count"].sum()))


def operator_table(trials: pd.DataFrame, x: str = "ops", y: str = "accuracy", stage: str | None = None) -> pd.DataFrame:
    """Which operators made the front's networks.

    Columns `operator`, `trials`, `failed`, `front` (how many are on the front of their run), `rate` (front / trials),
    `low`, `high` (95 %, Wilson); the operator with most on the front first. Operators that act late in a search have
    better parents, so a higher rate alone does not make an operator better.
    """
    chosen = of_stage(trials, stage)
    chosen = chosen[chosen["state"] != "running"]
    best = pd.concat([front(part, x, y) for part in split_runs(chosen).values()])
    rows: list[tuple[object, ...]] = []
    for operator, group in chosen.assign(operator=chosen["operator"].fillna("unknown")).groupby("operator", sort=True):
        hits = int((best["operator"].fillna("unknown") == operator).sum())
        share = share_interval(hits / len(group), len(group))
        failed = int((group["state"] == "failed").sum())
        rows.append((operator, len(group), failed, hits, share.value, share.low, share.high))
    columns = ["operator", "trials", "failed", "front", "rate", "low", "high"]
    return pd.DataFrame(rows, columns=columns).sort_values(["front", "trials"], ascending=False, ignore_index=True)


def table_correlation(
    table: pd.DataFrame, first: str = "one_shot", second: str = "from_scratch", seed: int = 0
) -> RankCorrelation:
    """Whether two columns of a table rank networks alike, one row per network.

    For example their accuracy with a supernet's weights and their accuracy when trained from scratch, which says
    whether a one-shot search finds the right networks. Intervals as in `rank_correlation`. Raises `ValueError` for a
    column that the table does not have.
    """
    for name in (first, second):
        if name not in table.columns:
            raise ValueError(unknown("column", name, map(str, table.columns)))
    values = numbers(table, first, second)
    return rank_correlation(values[:, 0], values[:, 1], seed)
