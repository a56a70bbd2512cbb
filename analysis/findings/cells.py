"""Cells as plain values, read from their text form."""

from __future__ import annotations

import re
from dataclasses import dataclass

INPUTS = 2
_EDGE = re.compile(r"([a-z][a-z0-9_]*)@(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class Edge:
    """A layer of a cell: its type, and the state it reads (0 and 1 are the cell's inputs, 2 the first node, ...)."""

    layer: str
    source: int


@dataclass(frozen=True)
class Cell:
    """The edges into every intermediate node, in order; the output is the concatenation of the nodes."""

    name: str
    nodes: tuple[tuple[Edge, ...], ...]


def parse_cells(text: str) -> tuple[Cell, ...]:
    """Read cells: names before colons, cells between bars, nodes between semicolons, edges as layer type @ state read.

    Raises `ValueError` that quotes what is wrong.

    >>> parse_cells("normal: none@1 dil3@0 ; conv3@1 none@2")[0].nodes[1]
    (Edge(layer='conv3', source=1), Edge(layer='none', source=2))
    """
    cells: list[Cell] = []
    for part in text.split("|"):
        name, colon, body = part.partition(":")
        name = name.strip()
        if not colon or not name:
            raise ValueError(f"{_shown(part)} is no cell; write it as in 'normal: none@1 dil3@0 ; conv3@1 none@2'")
        if name in (cell.name for cell in cells):
            raise ValueError(f"there are two cells {name!r}; a cell's name is its own")
        nodes = [
            tuple(_edge(word, name, state) for word in node.split())
            for state, node in enumerate(body.split(";"), INPUTS)
        ]
        if not all(nodes):
            raise ValueError(f"cell {name!r} has a node without edges; write at least one, such as conv3@0")
        cells.append(Cell(name, tuple(nodes)))
    return tuple(cells)


def _edge(word: str, cell: str, state: int) -> Edge:
    match = _EDGE.fullmatch(word)
    if match is None:
        raise ValueError(f"cell {cell!r}: {_shown(word)} is no edge; write layer type and state read, as in conv3@0")
    if int(match[2]) >= state:
        raise ValueError(
            f"cell {cell!r}: {_shown(word)} reads state {match[2]}, but only those before {state} are there"
        )
    return Edge(match[1], int(match[2]))


def _shown(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= 40 else text[:37] + "...")


_WORDS = {"none": "Zeroise", "max": "max pool", "avg": "average pool"}


def kind(layer: str) -> str:
    """The kind of a layer type: its name without the kernel size.

    >>> kind("dil5")
    'dil'
    """
    return layer.rstrip("0123456789")


def words(layer: str) -> str:
    """What a layer type is.

    >>> words("none"), words("dil5"), words("conv3")
    ('Zeroise', '5×5 dilated', '3×3')
    """
    size = layer[len(kind(layer)) :]
    names = {"conv": f"{size}×{size}", "dil": f"{size}×{size} dilated"}
    return _WORDS.get(layer) or names.get(kind(layer), layer)
