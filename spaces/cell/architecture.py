"""One cell architecture (a genotype) as a plain value, and its text form."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

from spaces.cell.canonical import INPUTS, canonical
from spaces.errors import SpaceError, shown, unknown

LAYER_TYPES = ("none", "max", "avg", "dil3", "dil5", "conv3", "conv5")

MOST_NODES = 5  # more nodes have too many orders to compare
_EDGE = re.compile(r"([a-zA-Z][a-zA-Z0-9_]*)@(0|[1-9][0-9]{0,2})")


class Edge(NamedTuple):
    """One layer of a cell: its type, and the state that it reads (0 and 1 are the cell's inputs, 2 the first node)."""

    layer: str
    source: int

    def __str__(self) -> str:
        return f"{self.layer}@{self.source}"


@dataclass(frozen=True)
class Cell:
    """The two edges into every intermediate node, in canonical order; the output is the concatenation of the nodes.

    Nodes and edges may be given in any order. They are kept in the order whose sources, and then layer types, come
    first among all orders in which no node reads a later one. So two cells are equal exactly when they differ by the
    order of nodes and edges alone. Raises `SpaceError` with the first thing that is wrong with the edges.

    >>> Cell(((Edge("none", 1), Edge("dil3", 0)),))
    Cell(nodes=((Edge(layer='dil3', source=0), Edge(layer='none', source=1)),))
    """

    nodes: tuple[tuple[Edge, Edge], ...]

    def __post_init__(self) -> None:
        problem = next(_problems(self.nodes), None)
        if problem is not None:
            raise SpaceError(problem)
        numbers = [[(edge.source, LAYER_TYPES.index(edge.layer)) for edge in node] for node in self.nodes]
        nodes = (tuple(Edge(LAYER_TYPES[layer], source) for source, layer in node) for node in canonical(numbers))
        object.__setattr__(self, "nodes", tuple(nodes))

    def edges(self) -> tuple[Edge, ...]:
        """All edges, node by node."""
        return tuple(edge for node in self.nodes for edge in node)

    def __str__(self) -> str:
        return " ; ".join(" ".join(map(str, node)) for node in self.nodes)


@dataclass(frozen=True)
class Genotype:
    """The normal cell and the reduction cell that a network repeats.

    >>> text = "normal: dil3@0 none@1 ; conv3@1 none@2 | reduce: max@0 none@1 ; max@0 none@2"
    >>> parse(text).normal.nodes[1]
    (Edge(layer='conv3', source=1), Edge(layer='none', source=2))
    >>> str(parse(text)) == text
    True
    """

    normal: Cell
    reduce: Cell

    def __str__(self) -> str:
        """The text form: each cell after its name and a colon, nodes with semicolons between, edges as type @ state."""
        return f"normal: {self.normal} | reduce: {self.reduce}"

    def __format__(self, spec: str) -> str:
        return str(self).__format__(spec)


def parse(text: str) -> Genotype:
    """Read a text form; white space, the order of edges and that of nodes that do not read each other do not matter.

    Raises `SpaceError` that quotes what is wrong. Whether the genotype belongs to a space is for the space to say.
    """
    if "(" in text or "[" in text or "=" in text:
        raise SpaceError(
            f"{shown(text.strip())} looks like source code, which is never run; write the genotype as in "
            "'normal: none@1 dil3@0 ; ... | reduce: ...'"
        )
    parts = text.split("|")
    names = [part.partition(":")[0].strip() for part in parts]
    if names != ["normal", "reduce"] or any(":" not in part for part in parts):
        raise SpaceError(
            f"{shown(text.strip())} is not a genotype; write 'normal: ... | reduce: ...' with one cell after each colon"
        )
    return Genotype(*(_cell(name, part.partition(":")[2]) for name, part in zip(names, parts, strict=True)))


def read_cell(name: str, nodes: Sequence[Sequence[Edge]]) -> Cell:
    """A cell from edges that were read; like `Cell`, with the cell's name in the error."""
    pairs = cast("tuple[tuple[Edge, Edge], ...]", tuple(map(tuple, nodes)))  # `Cell` checks that they are pairs
    try:
        return Cell(pairs)
    except SpaceError as error:
        raise SpaceError(f"the {name} cell: {error}") from error


def _cell(name: str, text: str) -> Cell:
    return read_cell(name, [[_edge(name, word) for word in node.split()] for node in text.split(";")])


def _edge(cell: str, word: str) -> Edge:
    match = _EDGE.fullmatch(word)
    if match is None:
        raise SpaceError(f"the {cell} cell: {shown(word)} is not an edge; write layer type and state, as in conv3@0")
    return Edge(match[1], int(match[2]))


def _problems(nodes: Sequence[Sequence[Edge]]) -> Iterator[str]:
    """What is wrong with the edges of a cell, whichever space it is for."""
    if not nodes:
        yield "it has no nodes; write at least one, such as conv3@0 conv3@1"
    if len(nodes) > MOST_NODES:
        yield f"it has {len(nodes)} nodes; a cell has at most {MOST_NODES}"
    for state, node in enumerate(nodes, INPUTS):
        number = state - INPUTS + 1
        if len(node) != 2:
            given = " ".join(map(str, node)) or "nothing"
            yield f"node {number} has {len(node)} edges ({given}); a node has two, such as conv3@0 conv3@1"
        for edge in node:
            if edge.layer not in LAYER_TYPES:
                yield unknown("layer type", edge.layer, LAYER_TYPES)
            if not 0 <= edge.source < state:
                yield f"{edge} of node {number} reads state {edge.source}; it can read states 0 to {state - 1}"
        if len(node) == 2 and node[0].source == node[1].source:
            yield f"node {number} ({node[0]} {node[1]}) reads state {node[0].source} twice; it needs two states"
