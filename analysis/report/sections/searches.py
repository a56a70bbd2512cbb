"""The sections of a report on differentiable searches and on cells: settings, how searches went, what they found."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.findings.cells import kind, words
from analysis.findings.facts import RunFacts
from analysis.findings.genes import split_text
from analysis.findings.sweep import SHARES, searches_table, setting_differences, sweep_table
from analysis.measures.verdicts import holm
from analysis.report.cells import cells_figure, layer_colour
from analysis.report.chart import Axis, Chart, legend
from analysis.report.html import Html, join, table, tag
from analysis.report.sections.certainty import EFFECT_HEAD, EFFECT_WORDS, effect_cells
from analysis.runs.history import (
    SOURCES,
    layer_probabilities,
    load_history,
    search_accuracy,
    search_entropy,
    search_histories,
)
from analysis.runs.layout import RunError
from analysis.runs.trials import numbers
from analysis.units import percent, plural
from spaces.cell.architecture import parse

MOST_SEARCHES = 3  # whose history is drawn
MOST_CELLS = 4
_SIZE = {"width": 470, "height": 270}
_MEASURED = {"final_accuracy": "the genotype", "search_accuracy": "the search"}


def has_searches(run: RunFacts) -> bool:
    """Whether the run has differentiable searches, or the history of one."""
    return bool((run.trials["stage"] == "searched").any() or search_histories(run.path))


def has_cells(run: RunFacts) -> bool:
    """Whether networks of the front are made of cells."""
    return any(map(_is_genotype, run.front["architecture"].astype("str")))


def _is_genotype(text: str) -> bool:
    try:
        return bool(parse(split_text(text)[0]))
    except ValueError:
        return False


def searches_section(run: RunFacts) -> Html:
    """The settings of the searches, what a change of one gains, and how the most accurate of them went."""
    return join([_sweep(run.trials), _differences(run.trials), _histories(run)])


def cells_section(run: RunFacts) -> Html:
    """Drawings of the front's cells, the most accurate network's first."""
    accuracy = numbers(run.front, "accuracy")[:, 0]
    order: list[int] = np.argsort(-accuracy, kind="stable").tolist()
    texts = [str(text) for text in run.front["architecture"]]
    names = [str(name) for name in run.front["id"]]
    drawn: list[Html] = []
    for at in order[:MOST_CELLS]:
        drawn += [tag("h3", f"{names[at]}: {percent(float(accuracy[at]))}"), cells_figure(texts[at])]
    return join([*drawn, *_left(len(order) - MOST_CELLS, "network", "networks")])


def _left(count: int, one: str, many: str) -> list[Html]:
    """What is said about those that are not drawn."""
    words = f"{plural(count, f'more {one}', f'more {many}')} not drawn: these are the most accurate."
    return [tag("p", words, class_="note")] if count > 0 else []


def _sweep(trials: pd.DataFrame) -> Html:
    found = sweep_table(trials)
    if not len(found):
        return tag("p", "No differentiable search is recorded among the trials.", class_="note")
    rows: list[list[str]] = []
    counted = ("setting", "searches", "failed", "final_seeds")
    columns = [f"{key}_{what}" for key in ("search", "final") for what in ("accuracy", "low", "high", "deviation")]
    values = numbers(found, *columns, *SHARES).tolist()
    for setting, searches, failed, finals, own in zip(*(found[name] for name in counted), values, strict=True):
        made = f"{searches}" + (f", {failed} failed" if failed else "")
        search, final = ([_mean(*part[:3]), _deviation(part[3])] for part in (own[:4], own[4:8]))
        shares = [f"{100 * share:.0f} %" if math.isfinite(share) else "-" for share in own[8:]]
        rows.append([str(setting), made, *search, f"{finals}", *final, *shares])
    head = ("setting", "searches", "search", "deviation", "trained", "genotype", "deviation", "Zeroise", *SHARES[1:])
    words = (
        "Validation accuracies, the mean over seeds with Student's 95 % interval below it: of the mixture as it "
        "searches, and of the genotypes trained to the end. Shares are of the edges of the genotypes."
    )
    return join([tag("h3", "Settings"), table("Settings", head, rows), tag("p", words, class_="note")])


def _differences(trials: pd.DataFrame) -> Html:
    found = [(words, each) for y, words in _MEASURED.items() for each in setting_differences(trials, y)]
    if not found:
        return join([])
    adjusted = holm([each.effect.p for _, each in found])
    rows = [
        [each.first, each.second, words, *effect_cells(each.effect, p)]
        for (words, each), p in zip(found, adjusted, strict=True)
    ]
    words = (
        "The difference of two settings that share all but one hyperparameter, seed by seed, in percentage points: "
        "what the second gains. " + EFFECT_WORDS
    )
    head = ("from", "to", "accuracy of", *EFFECT_HEAD)
    return join(
        [
            tag("h3", "What a setting gains"),
            table("What a setting gains", head, rows, left=(0, 1, 2)),
            tag("p", words, class_="note"),
        ]
    )


def _mean(value: float, low: float, high: float) -> Html:
    ends = tag("span", f"{100 * low:.2f} to {100 * high:.2f}", class_="soft")
    return join([percent(value), *([ends] if math.isfinite(low) else [])])


def _deviation(value: float) -> str:
    return f"{100 * value:.2f}" if math.isfinite(value) else "-"


def _histories(run: RunFacts) -> Html:
    histories = search_histories(run.path)
    searches = searches_table(run.trials).set_index("id", drop=False)
    accuracy = dict(zip(searches.index, numbers(searches, "search_accuracy")[:, 0].tolist(), strict=True))
    settings, seeds, genotypes = (searches[name].to_dict() for name in ("setting", "seed", "genotype"))
    best = sorted(histories, key=lambda name: -_or_least(accuracy.get(name)))[:MOST_SEARCHES]
    drawn: list[Html] = []
    for name in best:
        reached = f": {percent(accuracy[name])}" if name in accuracy else ""
        seed = f", seed {seeds[name]}" if seeds.get(name) is not None else ""
        drawn.append(tag("h3", f"{settings.get(name, name)}{seed}{reached}"))
        drawn.append(_history(histories[name]))
        if genotypes.get(name):
            drawn.append(cells_figure(str(genotypes[name])))
    return join([*drawn, *_left(len(histories) - len(best), "search", "searches")])


def _or_least(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else -1.0


def _history(file: Path) -> Html:
    try:
        history = load_history(file)
    except RunError as error:
        return tag("p", str(error), class_="note")
    if not len(history):
        return tag("p", "The search has not ended an epoch yet.", class_="note")
    data = layer_probabilities(history)
    cells = [str(cell) for cell in data["cell"].unique().tolist()]
    layers = [str(layer) for layer in data["layer"].unique().tolist()]
    charts = [_probabilities(data, cell, source) for cell in cells for source in SOURCES]
    entries = [(words(layer), layer_colour(layer), f"line {_line(layer)}") for layer in layers]
    entropy, accuracy = search_entropy(history), search_accuracy(history)
    last = float(history["epoch"].max())
    curves = {cell: numbers(entropy[entropy["cell"] == cell], "epoch", "entropy").tolist() for cell in cells}
    uniform = float(entropy["uniform"].iloc[0])
    more = [
        _curves("entropy (nats)", curves, last, max(uniform, float(entropy["entropy"].max()))),
        _curves("validation accuracy (%)", {"": numbers(accuracy, "epoch", "accuracy").tolist()}, last, None),
    ]
    note = "Mean probability of a layer type over the edges that read the cell's inputs, and those that read its nodes."
    figures = [tag("div", charts, class_="pair"), legend(entries), tag("figcaption", note)]
    return tag("figure", figures, tag("div", more, class_="pair"))


def _line(layer: str) -> str:
    """The kind of a layer type's line in the style sheet, which is that of the plots."""
    return "dotted" if kind(layer) == "none" else "dashed" if layer.endswith("5") else ""


def _probabilities(data: pd.DataFrame, cell: str, source: str) -> Html:
    part = data[(data["cell"] == cell) & (data["source"] == source)]
    top = float(data["probability"].max())
    chart = Chart(_epochs(float(data["epoch"].max())), Axis("probability (%)", 0, 1.05 * top, 0.01), **_SIZE)
    for layer in [str(name) for name in part["layer"].unique().tolist()]:
        points = numbers(part[part["layer"] == layer], "epoch", "probability").tolist()
        chart.line([(x, y) for x, y in points], layer_colour(layer), _line(layer))
    return tag("div", tag("h4", f"{cell} cell, edges from {source}"), chart.render(f"layer types of the {cell} cell"))


def _curves(label: str, curves: Mapping[str, Sequence[Sequence[float]]], last: float, top: float | None) -> Html:
    values = [y for points in curves.values() for _, y in points if math.isfinite(y)]
    if not values:
        return tag("p", f"No {label} is on record.", class_="note")
    low, high = (0.0, top) if top is not None else (min(values), max(values))
    room = 0.06 * (high - low) or 0.01
    axis = Axis(label, low if top is not None else low - room, high + room, 1.0 if top is not None else 0.01)
    chart = Chart(_epochs(last), axis, **_SIZE)
    for index, points in enumerate(curves.values()):
        finite = [(x, y) for x, y in points if math.isfinite(y)]
        chart.line(finite, index, "dashed" if index else "")
        for x, y in finite if len(finite) == 1 else ():  # a line needs two
            chart.dot((x, y), index, f"epoch {x:.0f}: {y:.4g}", "front")
    names = [(f"{name} cell", index, "line dashed" if index else "line") for index, name in enumerate(curves)]
    return tag("div", tag("h4", label), chart.render(f"{label} over epochs"), legend(names) if len(names) > 1 else None)


def _epochs(last: float) -> Axis:
    return Axis("epoch", 1, max(last, 2), least_step=1)
