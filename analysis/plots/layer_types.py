"""How layer types of cells look, in every figure: layers of a kind share a colour, larger kernels are dashed."""

from __future__ import annotations

from analysis.findings.cells import kind
from analysis.plots import style

# what does nothing is grey
_COLOURS = {
    "none": style.GREY, "max": style.GREEN, "avg": style.ORANGE, "conv": style.BLUE, "dil": style.VERMILION,
    "skip": style.BLACK,
}  # fmt: skip
# classes of the report's style sheet, whose colours are the same
_CLASSES = {"none": 6, "max": 2, "avg": 4, "conv": 0, "dil": 1, "skip": 6}


def colour(layer: str) -> str:
    """The colour of a layer type."""
    return _COLOURS.get(kind(layer), style.PURPLE)


def line(layer: str) -> str:
    """The line of a layer type: dashed with a kernel of 5, dotted where it does nothing."""
    return ":" if kind(layer) == "none" else "--" if layer.endswith("5") else "-"


def page_class(layer: str) -> int:
    """The number of the colour's class in the report."""
    return _CLASSES.get(kind(layer), 3)
