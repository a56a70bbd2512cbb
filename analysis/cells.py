"""Cells as plain values, read from their text form."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Edge:
    """A layer of a cell: its type, and the state it reads (0 and 1 the cell's inputs, 2.. the nodes)."""

    layer: str
    source: int


@dataclass(frozen=True)
class Cell:
    """The edges into every intermediate node, in order; the output is the concatenation of the nodes."""

    name: str
    nodes: tuple[tuple[Edge, ...], ...]


def parse_cells(text: str) -> tuple[Cell, ...]:
    """Read `normal: none@1 dil3@0 ; conv3@1 none@2 | reduce: ...`; raises `ValueError` that quotes what is wrong."""
    raise NotImplementedError
