"""The report's further pictures: hypervolume, genes of the front, training curves; each says what is missing."""

import math
import re
from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import pandas as pd

from analysis.findings.facts import RunFacts
from analysis.findings.genes import gene_table
from analysis.findings.growth import hypervolume_data
from analysis.report.chart import COLOURS, Axis, Chart, Point, axis, legend
from analysis.report.html import Html, join, tag, wide
from analysis.runs.events import load_epochs
from analysis.runs.trials import numbers
from analysis.stages import of_stage
from analysis.units import percent, plural, quantity
from spaces import Space

MOST_STEPS = 1500  # of a curve; more cannot be distinguished at the width of a page
MOST_CURVES = 12
_PHASES = {
    "supernet": "Supernet",
    "finetuned": "Finetuning",
    "trained": "Candidates",
    "final": "Final training",
    "searched": "Differentiable searches",
    "detector": "Detectors",
    "shared": "Shared detector",
    "reference": "For comparison",
}

Look = tuple[int, str]  # a colour and the kind of a line
# the place of a gene and the choice there: s1l2_kernel_size, stem_width, s1_depth, normal_n1_e2_layer, conv2_ratio
_GENE = re.compile(r"(stem|s\d+l\d+|s\d+|l\d+|.*_e\d+|.*_n\d+)_(.+)|(.+)_(ratio)")


def hypervolume_figure(frames: Mapping[str, pd.DataFrame], looks: Mapping[str, Look] | None = None) -> Html:
    """How the hypervolume of runs grows with the trials of the search itself."""
    looks = looks or {}
    data = hypervolume_data({name: of_stage(frame) for name, frame in frames.items()})
    longest = max((len(curve) for curve in data.curves.values()), default=0)
    if data.reference is None or data.ideal is None or longest < 2:
        return tag("p", "Fewer than two trials have ended, so there is no growth to show.", class_="note")
    trials = Axis("trials of the search", 0, longest, least_step=1)
    chart = Chart(trials, Axis("hypervolume (%)", 0, 1.0, 0.01), height=300)
    for name, curve in data.curves.items():
        # a stair needs a corner only where it rises
        rises = np.flatnonzero(np.diff(curve, prepend=0.0) > 0)
        if len(rises) > MOST_STEPS:
            rises = rises[np.linspace(0, len(rises) - 1, MOST_STEPS).round().astype(int)]
        if len(rises):
            points: list[Point] = [(float(at + 1), float(curve[at])) for at in rises.tolist()]
            points.append((float(len(curve)), float(curve[-1])))
            corners = [points[0]]
            for before, after in pairwise(points):
                corners += [(after[0], before[1]), after]
            chart.line(corners, *looks.get(name, (0, "")))
    (x0, y0), (x1, y1) = data.reference, data.ideal
    box = (
        f"In percent of a box from {percent(y0)} at {quantity(x0, 'OPs')} to {percent(y1)} at {quantity(x1, 'OPs')}: "
        "the worst and the best of any finished trial here. A flat end says that more trials would find little."
    )
    names = [(name, colour, f"line {kind}") for name, (colour, kind) in looks.items()]
    drawn = chart.render("hypervolume over trials")
    return tag("figure", drawn, legend(names) if len(names) > 1 else None, tag("figcaption", box))


def gene_figure(front: pd.DataFrame, space: Space[object] | None = None) -> Html:
    """The choices of the front's networks, layer by layer, as a table shaded by share."""
    try:
        genes = gene_table(front["architecture"], space)
    except ValueError as error:
        return tag("p", f"The genes of this front cannot be read: {error}", class_="note")
    if not len(genes):
        return tag("p", "There is no front yet, so there are no genes to count.", class_="note")
    places: dict[str, dict[str, Html]] = {}
    for name in genes.columns:
        matched = _GENE.fullmatch(str(name))
        place, choice = (matched[1] or matched[3], matched[2] or matched[4]) if matched else (str(name), "choice")
        places.setdefault(place, {})[choice] = _choices(genes[name])
    columns = list(dict.fromkeys(choice for own in places.values() for choice in own))
    rows = [
        tag("tr", tag("th", place.replace("_", " "), scope="row"), [tag("td", own.get(each, "")) for each in columns])
        for place, own in places.items()
    ]
    head = tag("tr", tag("td"), [tag("th", choice.replace("_", " "), scope="col") for choice in columns])
    networks = plural(len(genes), "network")
    caption = f"The share of the {networks} on the front that chose each value; a deeper shade is more."
    if any(name.endswith("_kernel_size") for name in genes.columns):
        caption += " Shares are of the networks that have the layer: s2l3 is the third layer of the second stage."
    name = tag("caption", "Genes of the front", class_="unseen")
    drawn = tag("table", name, tag("thead", head), tag("tbody", rows), class_="heat")
    return tag("figure", wide(drawn, "Genes of the front"), tag("figcaption", caption))


def _choices(gene: "pd.Series[float]") -> Html:
    chosen = gene.dropna()
    counts = chosen.value_counts().sort_index()
    return join(_share(str(_plain(value)), int(count) / len(chosen)) for value, count in counts.items())


def _share(value: str, share: float) -> Html:
    shade = f"background: color-mix(in srgb, var(--c0) {100 * share * 0.5:.0f}%, var(--panel))"
    return tag("span", value, " ", tag("small", f"{100 * share:.0f} %"), style=shade, class_="choice")


def _plain(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def training_figures(run: RunFacts) -> Html:
    """Loss over epochs: of the supernet, and of the networks that were trained."""
    try:
        epochs = load_epochs(run.path) if run.path.is_dir() else None
    except ValueError as error:
        return tag("p", f"The run's events cannot be read: {error}", class_="note")
    if epochs is None or not len(epochs):
        return tag("p", "This run keeps no record of its epochs, so there are no training curves.", class_="note")
    drawn = [
        tag("div", tag("h3", _PHASES.get(str(phase), str(phase))), _curves(part))
        for phase, part in epochs.groupby("phase", sort=False)
    ]
    return tag("div", drawn, class_="pair")


def _curves(part: pd.DataFrame) -> Html:
    groups = {str(name): rows.sort_values("epoch") for name, rows in part.groupby(part["id"].fillna("").astype("str"))}
    losses = [loss for loss in numbers(part, "loss")[:, 0].tolist() if math.isfinite(loss)]
    if not losses:
        return tag("p", "No epoch has a finite loss.", class_="note")
    last = Axis("epoch", 1, max(float(part["epoch"].max()), 2), least_step=1)
    chart = Chart(last, axis("loss", losses, "training loss (nats)"), width=470, height=300)
    for index, (name, rows) in enumerate(list(groups.items())[:MOST_CURVES]):
        points = [(x, y) for x, y in numbers(rows, "epoch", "loss").tolist() if math.isfinite(y)]
        chart.line(points, index, "dashed" if index >= COLOURS else "")
        for x, y in points if len(points) <= 100 else ():
            chart.dot((x, y), index, f"{name or 'supernet'}\nepoch {x:.0f}: loss {y:.4g}")
    speed = part["images_per_second"].astype("float64").median()
    note = f"{quantity(float(speed), '')} images per second, at the median."
    left = len(groups) - MOST_CURVES
    note += f" {left} more networks are not drawn." if left > 0 else ""
    shown = list(groups)[:MOST_CURVES]
    names = [(name, index, "line dashed" if index >= COLOURS else "line") for index, name in enumerate(shown)]
    key = legend(names) if len(names) > 1 else None
    return tag("figure", chart.render("training loss over epochs"), key, tag("figcaption", note))
