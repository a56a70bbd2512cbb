"""Cells as pictures for HTML pages: the same drawing as `analysis.plots.draw_cell`, in colours that follow the page."""

from __future__ import annotations

from analysis.findings.cells import kind
from analysis.plots import layer_types
from analysis.plots.cells import OUTPUT, CellData, arcs, cell_data
from analysis.report.chart import legend
from analysis.report.html import Html, tag

_UNIT = 88.0  # pixels between two states
_RISE = 34.0  # how high an arc is for each state that it passes
_LEFT, _TOP, _BELOW, _BOX = 40.0, 30.0, 50.0, 15.0


def cells_figure(text: str) -> Html:
    """The cells of a genotype's text form side by side; what cannot be read is said to be so."""
    try:
        data = cell_data(text)
    except ValueError as error:
        return tag("p", f"These cells cannot be drawn: {error}", class_="note")
    layers = [layer for edges in data.edges.values() for _, _, layer in edges if layer]
    kinds = {kind(layer): layer for layer in layers}
    entries = [
        (_KINDS.get(kind, kind), layer_types.page_class(layer), "line dashed" if kind == "none" else "line")
        for kind, layer in sorted(kinds.items())
    ]
    drawn = [tag("div", tag("h4", f"{name} cell"), _draw(data, name)) for name in data.nodes]
    return tag("figure", tag("div", drawn, class_="pair"), legend(entries))


_KINDS = {
    "none": "Zeroise", "max": "max pool", "avg": "average pool", "conv": "convolution", "dil": "dilated convolution",
}  # fmt: skip


def _draw(data: CellData, cell: str) -> Html:
    places = data.nodes[cell]
    found = arcs(data, cell)
    level = _TOP + _RISE * max((height for _, _, height, _ in found), default=1.0)
    width = _LEFT * 2 + _UNIT * max(x for x, _ in places.values())
    parts: list[Html] = []
    labels: list[Html] = []
    into: dict[float, int] = {}
    for start, end, height, layer in found:
        into[end] = into.get(end, -1) + 1
        left = _at(start) + 7
        right = _at(end) - 9 + 9 * into[end]  # arrows into one node do not share a head
        foot, colour = level - _BOX, layer_types.page_class(layer)
        peak = foot - 4 / 3 * _RISE * height  # a cubic curve reaches three quarters of the way to its control points
        dashed = " dashed" if kind(layer) == "none" else ""
        curve = f"M{left:.1f} {foot:.1f}C{left:.1f} {peak:.1f} {right:.1f} {peak:.1f} {right:.1f} {foot - 6:.1f}"
        parts.append(tag("path", d=curve, class_=f"line c{colour}{dashed}"))
        parts.append(tag("path", d=f"M{right - 4:.1f} {foot - 8:.1f}h8l-4 8z", class_=f"head c{colour}"))
        labels.append(
            tag("text", layer, x=f"{(left + right) / 2:.1f}", y=f"{foot - _RISE * height:.1f}",
                class_=f"middle layer c{colour}")
        )  # fmt: skip
    joined = [_at(places[source][0]) for source, target, _ in data.edges[cell] if target == OUTPUT]
    if joined:
        bus, out = level + 34, _at(places[OUTPUT][0])
        stems = "".join(f"M{x:.1f} {level + _BOX:.1f}V{bus:.1f}" for x in joined)
        parts.append(tag("path", d=f"{stems}M{min(joined):.1f} {bus:.1f}H{out:.1f}V{level + _BOX:.1f}", class_="axis"))
    for name, (x, _) in places.items():
        parts.append(tag("rect", x=f"{_at(x) - 29:.1f}", y=f"{level - _BOX:.1f}", width=58, height=2 * _BOX, rx=5,
                         class_="state"))  # fmt: skip
        labels.append(tag("text", name, x=f"{_at(x):.1f}", y=f"{level:.1f}", class_="middle"))
    return tag(
        "svg", *parts, *labels, viewBox=f"0 0 {width:.0f} {level + _BELOW:.0f}", role="img",
        aria_label=f"the {cell} cell", class_="chart",
    )  # fmt: skip


def _at(x: float) -> float:
    return _LEFT + _UNIT * x
