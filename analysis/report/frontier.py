"""The frontier as a picture that answers the pointer: every dot tells its network, accuracy and operations."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from analysis.findings.facts import RunFacts, run_facts
from analysis.findings.front import front
from analysis.measures.intervals import wilson
from analysis.measures.pareto import Bools, Floats
from analysis.plots.frontier.data import FrontierData, frontier_data
from analysis.report.chart import Chart, axis, legend
from analysis.report.html import Html, page, tag
from analysis.runs.schema import LATENCY, TEST_ACCURACY
from analysis.runs.trials import numbers
from analysis.stages import STAGES, WORDS, competing
from analysis.units import cost_words, percent, plural, quantity

if TYPE_CHECKING:
    import pandas as pd

MOST_DOTS = 3000  # of trials that are not on the front; a browser draws no more with ease
COSTS = ("ops", "params", "bytes", "bits", LATENCY)
# a run has either the first or the second of a colour; 3 is the test split, 4 what others published
_COLOURS = {"inherited": 0, "trained": 0, "finetuned": 1, "final": 1, "scratch": 2}
_OTHER = 6
_COMPARED = 5


def frontier_figure(run: RunFacts, link: str | None = None) -> Html:
    """All finished trials of a run and their front; `link` and a network's id behind it is its address in the page."""
    x = run.objectives[1] if len(run.objectives) > 1 and run.objectives[1] in COSTS else "ops"
    data = frontier_data(run.trials, x, dataset=run.dataset)
    done = run.trials[competing(run.trials)]
    values = numbers(done, x, "accuracy")
    usable: Bools = np.asarray(np.isfinite(values).all(axis=1))
    done, values = done.loc[usable], values[usable]
    if not len(done):
        return tag("p", "No trial has finished, so there is no frontier to draw yet.", class_="warning")
    tested = _tested(run.front, x)
    heights = [*values[:, 1].tolist(), *tested[:, 1].tolist(), *(mark.y for mark in [*data.published, *data.compared])]
    placed = [*data.published, *(compared for compared in data.compared if not compared.full_precision)]
    chart = Chart(axis(x, [*values[:, 0].tolist(), *(mark.x for mark in placed)]), axis("accuracy", heights))
    on_front = set(_keys(front(run.trials, x)))
    keys = _keys(done)
    mask = np.array([key in on_front for key in keys])
    behind = np.flatnonzero(~mask)
    if len(behind) > MOST_DOTS:
        behind = behind[np.linspace(0, len(behind) - 1, MOST_DOTS).round().astype(int)]
    chart.stairs([(a, b) for a, b in data.front.tolist()], 6)
    done = _with_measured(done, run.front)
    stages, told = done["stage"].astype("str").tolist(), _told(done, run, x)
    identities = done["id"].astype("str").tolist()
    for index in [*behind.tolist(), *np.flatnonzero(mask).tolist()]:
        point = (float(values[index, 0]), float(values[index, 1]))
        kind = "front" if mask[index] else ""
        colour = _COLOURS.get(stages[index], _OTHER)
        chart.dot(point, colour, told[index], kind, f"{link}{identities[index]}" if link and mask[index] else None)
    for (cost, accuracy), words in zip(tested.tolist(), _told(_with_test(run.front), run, x), strict=True):
        chart.dot((cost, accuracy), 3, f"on the test split\n{words}", "test")
    for reference in data.published:
        chart.dot((reference.x, reference.y), 4, f"{reference.model}\npublished: {percent(reference.y)}", "front")
    _draw_compared(chart, data)
    drawn = chart.render(f"validation accuracy against {x} of {len(done)} trials, and their front")
    entries = [(WORDS[stage], _COLOURS.get(stage, _OTHER), "") for stage in STAGES if stage in stages]
    entries.append((f"front ({int(mask.sum())} trials)", 6, "line"))
    if len(tested):
        entries.append(("front on the test split", 3, "test"))
    if data.published:
        entries.append(("published (test accuracy)", 4, ""))
    if any(not compared.full_precision for compared in data.compared):
        entries.append((WORDS["reference"], _COMPARED, "test"))
    if any(compared.full_precision for compared in data.compared):
        entries.append(("full precision", _COMPARED, "line dashed"))
    left = int((~mask).sum()) - len(behind)
    caption = "Point at a dot, or tap it, for its network."
    pruned = run.count("pruned")
    if pruned:
        caption += f" {plural(pruned, 'pruned trial')} not drawn: their accuracy is that of a part of the budget."
    caption += f" {left:,} trials behind the front are not drawn." if left else ""
    return tag("figure", drawn, legend(entries), tag("figcaption", caption))


def _draw_compared(chart: Chart, data: FrontierData) -> None:
    """What was measured for comparison: hollow dots on a line, and full precision as a level."""
    uniform = [compared for compared in data.compared if not compared.full_precision]
    chart.line([(compared.x, compared.y) for compared in uniform], _COMPARED, "dotted")
    for compared in data.compared:
        over = f" (mean of {compared.count})" if compared.count > 1 else ""
        told = f"{compared.name}, for comparison\n{percent(compared.y)}{over}\n{cost_words(data.x, compared.x)}"
        if compared.full_precision:
            chart.level(compared.y, _COMPARED, told, f"{compared.name}, {cost_words(data.x, compared.x)}")
        else:
            chart.dot((compared.x, compared.y), _COMPARED, told, "test front")
            chart.name((compared.x, compared.y), compared.name)


def fronts_figure(
    runs: Sequence[RunFacts], frames: Mapping[str, pd.DataFrame], looks: Mapping[str, tuple[int, str]]
) -> Html:
    """The fronts of several runs in one picture; `frames` holds the trials of each, by the run's name, `looks` its
    colour and the kind of its line."""
    fronts = {run.name: front(frames[run.name]) for run in runs}
    values = np.concatenate([numbers(found, "ops", "accuracy") for found in fronts.values()])
    if not len(values):
        return tag("p", "No trial has finished in any of the runs.", class_="warning")
    chart = Chart(axis("ops", values[:, 0].tolist()), axis("accuracy", values[:, 1].tolist()))
    for run in runs:
        colour, kind = looks[run.name]
        found = fronts[run.name]
        points: list[tuple[float, float]] = [(a, b) for a, b in numbers(found, "ops", "accuracy").tolist()]
        chart.stairs(points, colour, kind)
        for point, words in zip(points, _told(found, run, "ops"), strict=True):
            chart.dot(point, colour, f"{run.name}\n{words}", "front")
    entries = [(name, colour, f"line {kind}") for name, (colour, kind) in looks.items()]
    return tag("figure", chart.render("the fronts of the runs"), legend(entries))


def frontier_page(run: str | os.PathLike[str] | RunFacts) -> Html:
    """The frontier of a run as a page of its own, which opens without a network."""
    facts = run if isinstance(run, RunFacts) else run_facts(run)
    where = " · ".join(part for part in (facts.space.name if facts.space else "", str(facts.dataset)) if part)
    return page(f"Frontier of {facts.name}", tag("h1", f"Frontier of {facts.name}"), tag("p", where, class_="soft"),
                frontier_figure(facts))  # fmt: skip


def write_frontier(run: str | os.PathLike[str], out: Path | None = None) -> Path:
    """Write `frontier_page` to a file, `plots/frontier.html` of the run where none is named; returns its path."""
    file = Path(run) / "plots" / "frontier.html" if out is None else out
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, frontier_page(run))
    return file


def write_whole(file: Path, content: str) -> None:
    """Write a text so that the file appears whole or not at all."""
    staging = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        staging.write_text(content, "utf-8")
        staging.replace(file)
    finally:
        staging.unlink(missing_ok=True)


def _keys(found: pd.DataFrame) -> list[tuple[str, int]]:
    """What names a trial."""
    return list(zip(found["stage"].astype("str").tolist(), found["number"].astype("int64").tolist(), strict=True))


def _with_measured(done: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Trials with the test accuracies that the front's table has of them."""
    rows = _with_test(found)
    names = zip(rows["id"].astype("str").tolist(), rows["stage"].astype("str").tolist(), strict=True)
    known = dict(zip(names, numbers(rows, TEST_ACCURACY)[:, 0].tolist() if len(rows) else [], strict=True))
    own = zip(done["id"].astype("str").tolist(), done["stage"].astype("str").tolist(), strict=True)
    return done.assign(**{TEST_ACCURACY: [known.get(name, math.nan) for name in own]})


def _with_test(found: pd.DataFrame) -> pd.DataFrame:
    if TEST_ACCURACY not in found.columns:
        return found.iloc[:0]
    return found[np.isfinite(numbers(found, TEST_ACCURACY)[:, 0])]


def _tested(found: pd.DataFrame, x: str) -> Floats:
    return numbers(_with_test(found), x, TEST_ACCURACY) if TEST_ACCURACY in found.columns else np.empty((0, 2))


def _told(found: pd.DataFrame, run: RunFacts, x: str) -> list[str]:
    """What the dot of every row says."""
    values = numbers(found, "accuracy", x, "params", "bytes").tolist()
    tested = numbers(found, TEST_ACCURACY)[:, 0].tolist() if TEST_ACCURACY in found.columns else [math.nan] * len(found)
    rows = zip(
        found["architecture"].astype("str"), found["id"].astype("str"), found["stage"].astype("str"), strict=True
    )
    told: list[str] = []
    for (architecture, identity, stage), (accuracy, cost, params, size), test in zip(rows, values, tested, strict=True):
        interval = wilson(accuracy, run.validation_images)
        words = f"validation {percent(accuracy)}"
        words += f" ({percent(interval[0])} to {percent(interval[1])})" if interval else ""
        words += f"\ntest {percent(test)}" if math.isfinite(test) else ""
        costs = [cost_words(x, cost)] if x not in ("params", "bytes") else []
        costs += [quantity(params, "parameters"), quantity(size, "B")]
        told.append(f"{architecture}\n{words}\n{', '.join(costs)}\n{WORDS.get(stage, stage)}, {identity}")
    return told
