"""Cells as pictures for HTML pages: the same drawing as `analysis.plots.draw_cell`, in colours that follow the page."""

from analysis.findings.cells import OUTPUT, CellData, cell_data, kind
from analysis.report.chart import legend, picture, text_at
from analysis.report.html import Html, tag

_UNIT = 88.0  # pixels between two states
_RISE = 34.0  # how high an arc is for each state that it passes
_LEFT, _TOP, _BELOW, _BOX = 40.0, 30.0, 50.0, 15.0
# a kind's name and its colour in the style sheet, which is that of the plots
_KINDS = {
    "none": ("Zeroise", 6),
    "max": ("max pool", 2),
    "avg": ("average pool", 4),
    "conv": ("convolution", 0),
    "dil": ("dilated convolution", 1),
}


def layer_colour(layer: str) -> int:
    """The number of a layer type's colour in the style sheet."""
    return _KINDS.get(kind(layer), ("", 3))[1]


def cells_figure(text: str) -> Html:
    """The cells of a genotype's text form side by side; a sentence where it cannot be read."""
    try:
        data = cell_data(text)
    except ValueError as error:
        return tag("p", f"These cells cannot be drawn: {error}", class_="note")
    kinds = {kind(layer) for edges in data.edges.values() for _, _, layer in edges if layer}
    entries = [
        (_KINDS.get(kind, (kind,))[0], layer_colour(kind), "line dashed" if kind == "none" else "line")
        for kind in sorted(kinds)
    ]
    drawn = [tag("div", tag("h4", f"{name} cell"), _draw(data, name)) for name in data.nodes]
    return tag("figure", tag("div", drawn, class_="pair"), legend(entries))


def _draw(data: CellData, cell: str) -> Html:
    arcs = data.arcs(cell)
    places = {name: _LEFT + _UNIT * x for name, x in data.nodes[cell].items()}
    level = _TOP + _RISE * max((height for _, _, height, _ in arcs), default=1.0)
    parts: list[Html] = []
    labels: list[Html] = []
    into: dict[float, int] = {}
    for start, end, height, layer in arcs:
        into[end] = into.get(end, -1) + 1
        left = _LEFT + _UNIT * start + 7
        right = _LEFT + _UNIT * end - 9 + 9 * into[end]  # arrows into one node do not share a head
        foot, colour = level - _BOX, layer_colour(layer)
        peak = foot - 4 / 3 * _RISE * height  # a cubic curve reaches three quarters of the way to its control points
        dashed = " dashed" if kind(layer) == "none" else ""
        curve = f"M{left:.1f} {foot:.1f}C{left:.1f} {peak:.1f} {right:.1f} {peak:.1f} {right:.1f} {foot - 6:.1f}"
        parts.append(tag("path", d=curve, class_=f"line c{colour}{dashed}"))
        parts.append(tag("path", d=f"M{right - 4:.1f} {foot - 8:.1f}h8l-4 8z", class_=f"head c{colour}"))
        labels.append(text_at((left + right) / 2, foot - _RISE * height, layer, f"middle layer c{colour}"))
    joined = [_LEFT + _UNIT * x for x in data.joined(cell)]
    if joined:
        bus, out = level + 34, places[OUTPUT]
        stems = "".join(f"M{x:.1f} {level + _BOX:.1f}V{bus:.1f}" for x in joined)
        parts.append(tag("path", d=f"{stems}M{min(joined):.1f} {bus:.1f}H{out:.1f}V{level + _BOX:.1f}", class_="axis"))
    for name, x in places.items():
        corner = {"x": f"{x - 29:.1f}", "y": f"{level - _BOX:.1f}"}
        parts.append(tag("rect", **corner, width=58, height=2 * _BOX, rx=5, class_="state"))
        labels.append(text_at(x, level, name, "middle"))
    return picture([*parts, *labels], max(places.values()) + _LEFT, level + _BELOW, f"the {cell} cell")
