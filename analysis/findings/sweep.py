"""Differentiable searches by their hyperparameters: what each setting reaches over its seeds, and what a change gains.

A search is a trial whose text is its hyperparameters, such as `entropy_weight=1 entropy_decay=7.7 seed=3`; its facts
have the genotype that it found, and the final trainings of that genotype have the search among their parents.
"""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np
import pandas as pd

from analysis.findings.cells import kind
from analysis.findings.genes import Gene, hyperparameters_of
from analysis.measures.intervals import mean_interval
from analysis.measures.verdicts import Effect, paired_effect
from analysis.runs.trials import numbers, split_runs
from spaces.cell.architecture import parse
from spaces.errors import unknown

SEED = "seed"
SHARES = ("zeroise", "pools", "convolutions")
_KINDS = {"none": "zeroise", "max": "pools", "avg": "pools", "conv": "convolutions", "dil": "convolutions"}
_MEASURED = ("search_accuracy", "final_accuracy")
_STATISTICS = ("seeds", "accuracy", "deviation", "low", "high")  # of each of them, over the seeds of a setting
SEARCH_COLUMNS = ("run", "id", "setting", SEED, "state", *_MEASURED, *SHARES, "genotype")


@dataclass(frozen=True)
class SettingDifference:
    """What a second setting gains over a first in `y`, by the seeds that both have; positive where it is higher."""

    first: str
    second: str
    y: str
    effect: Effect


def searches_table(trials: pd.DataFrame) -> pd.DataFrame:
    """The differentiable searches, one row each, in their order.

    Columns `run` (empty for one run), `id`, `setting` (its hyperparameters without the seed, as text), `seed`, `state`,
    `search_accuracy` (of the mixture, validation), `final_accuracy` (of the genotype trained to the end; the mean where
    that was done more than once, NaN where it was not done), `zeroise`, `pools`, `convolutions` (their shares of the
    genotype's edges), `genotype`; then one column per hyperparameter except the seed.
    """
    rows: list[Mapping[str, object]] = []
    for run, part in split_runs(trials).items():
        final = _final_accuracies(part)
        own = part[part["stage"] == "searched"]
        texts = zip(*(own[name].astype("str").tolist() for name in ("architecture", "id", "state")), strict=True)
        accuracies = numbers(own, "accuracy")[:, 0].tolist()
        facts = own["facts"].tolist() if "facts" in own.columns else [None] * len(own)
        for (text, identity, state), accuracy, found in zip(texts, accuracies, facts, strict=True):
            values, genotype = _values(text), _genotype(found)
            row = {"run": run, "id": identity, "setting": setting_text(values), SEED: values.pop(SEED, None)}
            row |= {"state": state, "search_accuracy": accuracy if state == "finished" else math.nan}
            row |= {"final_accuracy": mean_interval(final.get(identity, [])).value, "genotype": genotype}
            rows.append(row | layer_shares(genotype) | values)
    table = pd.DataFrame(rows)
    others = [name for name in table.columns if name not in SEARCH_COLUMNS]
    return table.reindex(columns=[*SEARCH_COLUMNS, *others])


def sweep_table(trials: pd.DataFrame) -> pd.DataFrame:
    """One row per setting of the searches' hyperparameters, over their seeds; the best final accuracy first.

    Columns: `setting`; `searches` (how many there are) and `failed`; for `search` (the mixture's accuracy) and `final`
    (that of the genotypes trained to the end) each `_seeds` (how many were measured), `_accuracy` (their mean),
    `_deviation` (sample standard deviation), `_low` and `_high` (95 % of the mean, Student's t; NaN for one seed); the
    mean shares `zeroise`, `pools`, `convolutions` of the genotypes' edges; then one column per hyperparameter.
    """
    searches = searches_table(trials)
    others = [name for name in searches.columns if name not in SEARCH_COLUMNS]
    rows: list[list[object]] = []
    for setting, group in searches.groupby("setting", sort=False):
        row: list[object] = [setting, len(group), int((group["state"] == "failed").sum())]
        for name in _MEASURED:
            values = numbers(group, name)[:, 0]
            values = values[np.isfinite(values)]
            mean = mean_interval(values)
            deviation = float(values.std(ddof=1)) if len(values) > 1 else math.nan
            row += [mean.count, mean.value, deviation, mean.low, mean.high]
        row += [mean_interval(numbers(group, name)[:, 0]).value for name in SHARES]
        rows.append([*row, *(group[name].iloc[0] for name in others)])
    measured = [f"{key}_{what}" for key in ("search", "final") for what in _STATISTICS]
    table = pd.DataFrame(rows, columns=["setting", "searches", "failed", *measured, *SHARES, *others])
    order = ["final_accuracy", "search_accuracy"]
    return table.sort_values(order, ascending=False, kind="stable", ignore_index=True)


def compare_settings(trials: pd.DataFrame, first: str, second: str, y: str = "final_accuracy") -> SettingDifference:
    """What the setting `second` gains over `first` in `y` (`final_accuracy` or `search_accuracy`), paired by seed.

    Settings are texts as in the column `setting` of `sweep_table`. Searches with the same seed in the same run are a
    pair, as they have the same initial weights and order of images; one without a partner is left out. Raises
    `ValueError` for a setting that no search has, with those there are.
    """
    if y not in _MEASURED:
        raise ValueError(unknown("measure", y, _MEASURED))
    searches = searches_table(trials)
    known = [str(setting) for setting in searches["setting"].unique().tolist()]
    for setting in (first, second):
        if setting not in known:
            raise ValueError(f"no search has the setting {setting!r}; there are {'; '.join(known) or 'none'}")
    return SettingDifference(first, second, y, _difference(searches, first, second, y))


def setting_differences(trials: pd.DataFrame, y: str = "final_accuracy") -> list[SettingDifference]:
    """Every two settings that differ in one hyperparameter and share a seed, the smaller value first."""
    searches = searches_table(trials)
    settings = sorted({str(setting) for setting in searches["setting"].tolist()}, key=_sortable)
    found: list[SettingDifference] = []
    for first, second in combinations(settings, 2):
        one, other = _values(first), _values(second)
        if one.keys() == other.keys() and sum(one[name] != other[name] for name in one) == 1:
            effect = _difference(searches, first, second, y)
            if effect.interval.count:
                found.append(SettingDifference(first, second, y, effect))
    return found


def setting_text(values: Mapping[str, Gene]) -> str:
    """A setting as one text; the seed is not part of it.

    >>> setting_text({"entropy_weight": 1, "seed": 3})
    'entropy_weight=1'
    """
    texts = {name: value if isinstance(value, str) else f"{value:g}" for name, value in values.items() if name != SEED}
    return " ".join(f"{name}={text}" for name, text in texts.items()) or "default settings"


def layer_shares(genotype: str | None) -> dict[str, float]:
    """The shares of Zeroise, pools and convolutions among the edges of a genotype's cells; NaN without a genotype.

    >>> layer_shares("normal: none@1 dil3@0 | reduce: max@0 none@1")
    {'zeroise': 0.5, 'pools': 0.25, 'convolutions': 0.25}
    """
    try:
        found = parse(genotype or "")
    except ValueError:
        return dict.fromkeys(SHARES, math.nan)
    kinds = [_KINDS.get(kind(edge.layer)) for edge in (*found.normal.edges(), *found.reduce.edges())]
    return {name: kinds.count(name) / len(kinds) for name in SHARES}


def _difference(searches: pd.DataFrame, first: str, second: str, y: str) -> Effect:
    by_seed: list[dict[tuple[str, str], float]] = []
    for setting in (first, second):
        own = searches[searches["setting"] == setting]
        names = zip(own["run"].astype("str").tolist(), own[SEED].astype("str").tolist(), strict=True)
        by_seed.append(dict(zip(names, numbers(own, y)[:, 0].tolist(), strict=True)))
    both = [key for key in by_seed[0] if key in by_seed[1]]
    return paired_effect([by_seed[1][key] - by_seed[0][key] for key in both])


def _final_accuracies(trials: pd.DataFrame) -> dict[str, list[float]]:
    """The accuracies of final trainings, by the ids of the searches that found their genotypes."""
    final = trials[(trials["stage"] == "final") & (trials["state"] == "finished")]
    found: dict[str, list[float]] = {}
    for parents, accuracy in zip(final["parents"].tolist(), numbers(final, "accuracy")[:, 0].tolist(), strict=True):
        for parent in cast("Sequence[str]", parents if isinstance(parents, list | tuple | np.ndarray) else ()):
            found.setdefault(str(parent), []).append(accuracy)
    return found


def _values(text: str) -> dict[str, Gene]:
    try:
        return hyperparameters_of(text)
    except ValueError:
        return {}


def _genotype(facts: object) -> str | None:
    with suppress(ValueError, TypeError, KeyError):
        return str(json.loads(str(facts))["genotype"])
    return None


def _sortable(setting: str) -> list[tuple[str, bool, float, str]]:
    return [
        (name, isinstance(value, str), 0.0 if isinstance(value, str) else value, str(value))
        for name, value in _values(setting).items()
    ]
