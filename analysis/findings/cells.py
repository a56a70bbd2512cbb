"""Cells as values that are drawn: the places of their states, the arcs of their layers, and words for layer types."""

from dataclasses import dataclass

import pandas as pd

from analysis.findings.genes import split_text
from spaces.cell.architecture import Cell, parse
from spaces.cell.canonical import INPUTS

OUTPUT = "output"
_WORDS = {"none": "Zeroise", "max": "max pool", "avg": "average pool"}


@dataclass(frozen=True, eq=False)
class CellData:
    """Where the states of each cell stand, and which layers join them.

    `nodes` has, per cell, the place of every state on a line, by its name; `edges` the source, target and layer type of
    every edge. The layer of an edge into the output is "".
    """

    nodes: dict[str, dict[str, float]]
    edges: dict[str, tuple[tuple[str, str, str], ...]]

    def table(self) -> pd.DataFrame:
        """One row per edge: `cell`, `source`, `target`, `layer`."""
        rows = [(cell, *edge) for cell, edges in self.edges.items() for edge in edges]
        return pd.DataFrame(rows, columns=["cell", "source", "target", "layer"])

    def arcs(self, cell: str) -> list[tuple[float, float, float, str]]:
        """Both ends, the height and the layer of every arc; of two between the same states the second is higher."""
        seen: dict[tuple[str, str], int] = {}
        arcs: list[tuple[float, float, float, str]] = []
        for source, target, layer in self.edges[cell]:
            if layer:
                seen[source, target] = seen.get((source, target), -1) + 1
                start, end = self.nodes[cell][source], self.nodes[cell][target]
                arcs.append((start, end, end - start + 0.5 * seen[source, target], layer))
        return arcs

    def joined(self, cell: str) -> list[float]:
        """The places of the states that the output concatenates."""
        return [self.nodes[cell][source] for source, target, _ in self.edges[cell] if target == OUTPUT]


def cell_data(text: str) -> CellData:
    """The cells of a genotype's text form, without its hyperparameters; raises `SpaceError` as the parser does."""
    genotype = parse(split_text(text)[0])
    cells = {"normal": genotype.normal, "reduce": genotype.reduce}
    return CellData(
        {name: _nodes(cell) for name, cell in cells.items()}, {name: _edges(cell) for name, cell in cells.items()}
    )


def _state(index: int) -> str:
    return f"input {index}" if index < INPUTS else f"node {index - INPUTS + 1}"


def _nodes(cell: Cell) -> dict[str, float]:
    count = INPUTS + len(cell.nodes)
    return {_state(index): float(index) for index in range(count)} | {OUTPUT: float(count)}


def _edges(cell: Cell) -> tuple[tuple[str, str, str], ...]:
    states = list(enumerate(cell.nodes, INPUTS))
    layers = [(_state(edge.source), _state(target), edge.layer) for target, edges in states for edge in edges]
    return (*layers, *((_state(target), OUTPUT, "") for target, _ in states))


def kind(layer: str) -> str:
    """The kind of a layer type: its name without the kernel size.

    >>> kind("dil5")
    'dil'
    """
    return layer.rstrip("0123456789")


def words(layer: str) -> str:
    """A layer type in words.

    >>> words("none"), words("dil5"), words("conv3")
    ('Zeroise', '5×5 dilated', '3×3')
    """
    size = layer[len(kind(layer)) :]
    names = {"conv": f"{size}×{size}", "dil": f"{size}×{size} dilated"}
    return _WORDS.get(layer) or names.get(kind(layer), layer)
