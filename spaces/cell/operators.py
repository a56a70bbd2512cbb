"""Mutation, crossover and neighbours of genotypes. Each returns members, by construction."""

import random
from collections.abc import Iterator

from spaces.cell.architecture import LAYER_TYPES, Cell, Edge, Genotype
from spaces.cell.canonical import INPUTS, canonical
from spaces.cell.declaration import CellDeclaration

Node = tuple[Edge, Edge]


def mutate(space: CellDeclaration, genotype: Genotype, rng: random.Random, probability: float) -> Genotype:
    """A member, perhaps the same: the states that each node reads, and each edge's layer type, are drawn again with
    `probability`."""
    return Genotype(*(_redrawn(space, cell, rng, probability) for cell in (genotype.normal, genotype.reduce)))


def crossover(first: Genotype, second: Genotype, rng: random.Random) -> Genotype:
    """See `CellSpace.crossover`."""

    def mixed(ours: Cell, theirs: Cell) -> Cell:
        return Cell(tuple(rng.choice(pair) for pair in zip(ours.nodes, theirs.nodes, strict=True)))

    return Genotype(mixed(first.normal, second.normal), mixed(first.reduce, second.reduce))


def neighbours(space: CellDeclaration, genotype: Genotype) -> Iterator[Genotype]:
    """See `CellSpace.neighbours`."""
    for cell in _neighbours(space, genotype.normal):
        yield Genotype(cell, genotype.reduce)
    for cell in _neighbours(space, genotype.reduce):
        yield Genotype(genotype.normal, cell)


def _redrawn(space: CellDeclaration, cell: Cell, rng: random.Random, probability: float) -> Cell:
    nodes: list[Node] = []
    for state, (first, second) in enumerate(cell.nodes, INPUTS):
        sources = (first.source, second.source)
        if rng.random() < probability:
            one, other = sorted(rng.sample(range(state), 2))
            sources = (one, other)
        layers = [
            rng.choice(space.layer_types) if rng.random() < probability else edge.layer for edge in (first, second)
        ]
        nodes.append((Edge(layers[0], sources[0]), Edge(layers[1], sources[1])))
    return Cell(tuple(nodes))


def _neighbours(space: CellDeclaration, cell: Cell) -> Iterator[Cell]:
    """Every other cell with one edge of another layer type or from another state, each once."""
    seen = {cell}
    for number, node in enumerate(cell.nodes):
        later = _depending_on(cell, number + INPUTS)
        for place, edge in enumerate(node):
            kept = node[1 - place]
            sources = [s for s in range(INPUTS + len(cell.nodes)) if s not in later and s != kept.source]
            others = [Edge(layer, edge.source) for layer in space.layer_types] + [Edge(edge.layer, s) for s in sources]
            for other in others:
                changed = _rewritten(cell, number, (kept, other))
                if changed not in seen:
                    seen.add(changed)
                    yield changed


def _depending_on(cell: Cell, state: int) -> set[int]:
    """A state and all that read it, directly or through others: those that it cannot read."""
    depending = {state}
    for later, node in enumerate(cell.nodes, INPUTS):
        if any(edge.source in depending for edge in node):
            depending.add(later)
    return depending


def _rewritten(cell: Cell, number: int, node: Node) -> Cell:
    """The cell with another node at a place, which may read a later state: nodes are put in order again."""
    nodes = (*cell.nodes[:number], node, *cell.nodes[number + 1 :])
    ordered = canonical([[(edge.source, LAYER_TYPES.index(edge.layer)) for edge in edges] for edges in nodes])
    return Cell(
        tuple((Edge(LAYER_TYPES[one[1]], one[0]), Edge(LAYER_TYPES[other[1]], other[0])) for one, other in ordered)
    )
