"""How layer types of cells look in every figure: layers of a kind share a colour, larger kernels are dashed."""

from analysis.findings.cells import kind
from analysis.plots import style

# the layer that does nothing is grey
_COLOURS = {"none": style.GREY, "max": style.GREEN, "avg": style.ORANGE, "conv": style.BLUE, "dil": style.VERMILION}


def colour(layer: str) -> str:
    """The colour of a layer type."""
    return _COLOURS.get(kind(layer), style.PURPLE)


def line(layer: str) -> str:
    """The dashes of a layer type: dotted where it does nothing, dashed with a kernel of 5."""
    return ":" if kind(layer) == "none" else "--" if layer.endswith("5") else "-"
