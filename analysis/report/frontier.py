"""The frontier as an interactive picture: every dot shows its network, accuracy and operations when pointed at."""

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings.facts import RunFacts, run_facts
from analysis.findings.front import front
from analysis.findings.frontier import FrontierData, frontier_data
from analysis.measures.intervals import share_interval
from analysis.measures.pareto import Bools
from analysis.report.chart import Chart, axis, legend
from analysis.report.html import Html, page, tag
from analysis.runs.layout import PLOTS
from analysis.runs.schema import LATENCY, MAP, TEST_ACCURACY
from analysis.runs.trials import numbers
from analysis.stages import STAGES, WORDS, competing, score_of, search_stage
from analysis.units import cost_words, percent, plural, quantity
from spaces.tools.files import write_atomically

MOST_DOTS = 3000  # of trials that are not on the front; more slow a browser down
COSTS = ("ops", "params", "bytes", "bits", LATENCY)
# a run has either the first or the second stage of a colour
_COLOURS = {"inherited": 0, "trained": 0, "finetuned": 1, "final": 1, "scratch": 2}
_TESTED, _PUBLISHED, _COMPARED, _OTHER = 3, 4, 5, 6
_SHAPES = {"finetuned": "diamond", "final": "diamond", "scratch": "square"}  # those of `analysis.plots.frontier`


def frontier_figure(run: RunFacts, link: str | None = None) -> Html:
    """All finished trials of a run and their front; `link` followed by a network's id is its address in the page."""
    x = run.objectives[1] if len(run.objectives) > 1 and run.objectives[1] in COSTS else "ops"
    data = frontier_data(run.trials, x, MAP if run.detects else "accuracy", dataset=run.dataset)
    if not len(data.points):
        return tag("p", "No trial has finished, so there is no frontier to draw yet.", class_="warning")
    done = run.trials[competing(run.trials)]
    usable: Bools = np.asarray(np.isfinite(numbers(done, x, "accuracy")).all(axis=1))
    done = _with_measured(done.loc[usable], run.front)
    tested = _with_test(run.front)
    test_points = numbers(tested, x, TEST_ACCURACY).tolist()
    heights = [point[1] for point in [*data.points.tolist(), *test_points]]
    heights += [mark.y for mark in [*data.published, *data.compared]]
    costs = [*data.points[:, 0].tolist(), *(mark.x for mark in data.placed)]
    chart = Chart(axis(x, costs), axis("accuracy", heights, "mAP (%)" if run.detects else ""))
    chart.stairs([(a, b) for a, b in data.front.tolist()], _OTHER)
    best = set(_keys(front(run.trials, x)))
    mask = np.array([key in best for key in _keys(done)])
    shown, words, identities = _shown(mask), _words(done, run, x), done["id"].astype("str").tolist()
    for index in shown:
        point = (float(data.points[index, 0]), float(data.points[index, 1]))
        kind, address = ("front", f"{link}{identities[index]}" if link else None) if mask[index] else ("", None)
        stage = data.stages[index]
        if point == data.knee:
            chart.dot(point, _OTHER, f"{words[index]}\nthe knee of the front", kind, address, "star")
        else:
            chart.dot(point, _COLOURS.get(stage, _OTHER), words[index], kind, address, _SHAPES.get(stage, "circle"))
    for (cost, accuracy), said in zip(test_points, _words(tested, run, x), strict=True):
        chart.dot((cost, accuracy), _TESTED, f"on the test split\n{said}", "test")
    for reference in data.published:
        said = f"{reference.model}\npublished: {percent(reference.y)}"
        chart.dot((reference.x, reference.y), _PUBLISHED, said, "front", shape="triangle")
    for network in data.trained:
        chart.name((network.x, network.y), f"{network.name}, trained here")
    _draw_compared(chart, data)
    score = score_of(search_stage(run.trials))
    drawn = chart.render(f"validation {score} against {x} of {len(done)} trials, and their front")
    caption = _caption(run.count("pruned"), len(done) - len(shown))
    return tag("figure", drawn, legend(_entries(data, len(tested))), tag("figcaption", caption))


def _shown(mask: Bools) -> list[int]:
    """The trials to draw: those on the front, last, and of the others at most `MOST_DOTS`, evenly picked."""
    others = np.flatnonzero(~mask)
    if len(others) > MOST_DOTS:
        others = others[np.linspace(0, len(others) - 1, MOST_DOTS).round().astype(int)]
    return [*others.tolist(), *np.flatnonzero(mask).tolist()]


def _caption(pruned: int, left: int) -> str:
    words = "Point at a dot, or tap it, for its network."
    if pruned:
        words += f" {plural(pruned, 'pruned trial')} not drawn: trained for a part of the budget only."
    return words + (f" {left:,} trials that are not on the front are not drawn." if left else "")


def _entries(data: FrontierData, tested: int) -> Iterator[tuple[str, int, str]]:
    """The legend of a frontier."""
    for stage in STAGES:
        if stage in data.stages:
            yield WORDS[stage], _COLOURS.get(stage, _OTHER), _SHAPES.get(stage, "circle")
    yield f"front ({plural(len(data.front), 'trial')})", _OTHER, "line"
    if data.knee:
        yield "knee", _OTHER, "star"
    if tested:
        yield "front on the test split", _TESTED, "circle test"
    if data.published:
        yield "published mAP" if data.y == MAP else "published test accuracy", _PUBLISHED, "triangle"
    if any(not compared.full_precision for compared in data.compared):
        yield WORDS["reference"], _COMPARED, "square test"
    if any(compared.full_precision for compared in data.compared):
        yield "full precision", _COMPARED, "line dashed"


def _draw_compared(chart: Chart, data: FrontierData) -> None:
    """References: hollow dots on a line, and full precision as a level."""
    uniform = [compared for compared in data.compared if not compared.full_precision]
    chart.line([(compared.x, compared.y) for compared in uniform], _COMPARED, "dotted")
    for compared in data.compared:
        over = f" (mean of {compared.count})" if compared.count > 1 else ""
        words = f"{compared.name}, for comparison\n{percent(compared.y)}{over}\n{cost_words(data.x, compared.x)}"
        if compared.full_precision:
            chart.level(compared.y, _COMPARED, words, f"{compared.name}, {cost_words(data.x, compared.x)}")
        else:
            chart.dot((compared.x, compared.y), _COMPARED, words, "test front", shape="square")
            chart.name((compared.x, compared.y), compared.name)


def fronts_figure(
    runs: Sequence[RunFacts], frames: Mapping[str, pd.DataFrame], looks: Mapping[str, tuple[int, str]]
) -> Html:
    """The fronts of several runs in one picture; `frames` has the trials of each by the run's name, `looks` its colour
    and the kind of its line."""
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
        for point, words in zip(points, _words(found, run, "ops"), strict=True):
            chart.dot(point, colour, f"{run.name}\n{words}", "front")
    entries = [(name, colour, f"line {kind}") for name, (colour, kind) in looks.items()]
    return tag("figure", chart.render("the fronts of the runs"), legend(entries))


def frontier_page(run: str | os.PathLike[str] | RunFacts) -> Html:
    """The frontier of a run as a page of its own, which opens without a network."""
    facts = run if isinstance(run, RunFacts) else run_facts(run)
    where = " · ".join(part for part in (facts.space.name if facts.space else "", facts.dataset) if part)
    title = f"Frontier of {facts.name}"
    return page(title, tag("main", tag("h1", title), tag("p", where, class_="soft"), frontier_figure(facts)))


def write_frontier(run: str | os.PathLike[str], out: Path | None = None) -> Path:
    """Write `frontier_page` to a file, by default `plots/frontier.html` of the run; returns its path."""
    file = Path(run) / PLOTS / "frontier.html" if out is None else out
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, frontier_page(run))
    return file


def _keys(found: pd.DataFrame) -> list[tuple[str, int]]:
    """The stage and number of every trial."""
    return list(zip(found["stage"].astype("str").tolist(), found["number"].astype("int64").tolist(), strict=True))


def _with_measured(done: pd.DataFrame, found: pd.DataFrame) -> pd.DataFrame:
    """Trials with their test accuracies, which the front's table has for some."""
    rows = _with_test(found)
    known = dict(zip(_networks(rows), numbers(rows, TEST_ACCURACY)[:, 0].tolist(), strict=True))
    return done.assign(**{TEST_ACCURACY: [known.get(name, math.nan) for name in _networks(done)]})


def _networks(found: pd.DataFrame) -> Iterable[tuple[str, str]]:
    """The id and stage of every row."""
    return zip(found["id"].astype("str").tolist(), found["stage"].astype("str").tolist(), strict=True)


def _with_test(found: pd.DataFrame) -> pd.DataFrame:
    return found[np.isfinite(numbers(found, TEST_ACCURACY)[:, 0])]


def _words(found: pd.DataFrame, run: RunFacts, x: str) -> list[str]:
    """The words of every row's dot."""
    values = numbers(found, "accuracy", x, "params", "bytes").tolist()
    tested = numbers(found, TEST_ACCURACY)[:, 0].tolist() if TEST_ACCURACY in found.columns else [math.nan] * len(found)
    texts = (found[name].astype("str").tolist() for name in ("architecture", "id", "stage"))
    said: list[str] = []
    for architecture, identity, stage, (accuracy, cost, params, size), test in zip(*texts, values, tested, strict=True):
        interval = share_interval(accuracy, run.validation_images)
        words = f"validation {percent(accuracy)}"
        words += f" ({percent(interval.low)} to {percent(interval.high)})" if interval.known else ""
        words += f"\ntest {percent(test)}" if math.isfinite(test) else ""
        costs = [cost_words(x, cost)] if x not in ("params", "bytes") else []
        costs += [quantity(params, "parameters"), quantity(size, "B")]
        said.append(f"{architecture}\n{words}\n{', '.join(costs)}\n{WORDS.get(stage, stage)}, {identity}")
    return said
