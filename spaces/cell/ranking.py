"""Counting the cells of a space, and the bijection between them and 0..count-1."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property, lru_cache
from itertools import accumulate, combinations, product

from spaces.cell.architecture import Cell, Edge
from spaces.cell.canonical import INPUTS, Sources, first_orders, symmetries

Places = tuple[int, ...]  # a symmetry: the new place of every edge
Colours = tuple[int, ...]  # numbers of layer types


class CellRanking:
    """The cells of `nodes` nodes and some layer types, each once: structures in order, then the layer types of edges.

    A cell is an orbit of labelled structures under the orders of nodes. Structures are few (180 for four nodes, before
    those that differ by the order of nodes alone are taken together); the labellings of each are counted by Burnside's
    lemma and ranked by `Labellings`.
    """

    def __init__(self, layer_types: tuple[str, ...], nodes: int) -> None:
        self._layer_types = layer_types
        self._nodes = nodes

    @cached_property
    def _structures(self) -> tuple[Sources, ...]:
        """Every structure that is the smallest of its orbit."""
        pairs = [tuple(combinations(range(state), 2)) for state in range(INPUTS, INPUTS + self._nodes)]
        return tuple(structure for structure in product(*pairs) if first_orders(structure)[0] == structure)

    @cached_property
    def _labellings(self) -> "tuple[Labellings, ...]":
        colours = len(self._layer_types)
        return tuple(Labellings(symmetries(structure), colours) for structure in self._structures)

    @cached_property
    def _starts(self) -> tuple[int, ...]:
        """The first place of every structure, and the count of all cells at the end."""
        return tuple(accumulate((labellings.count for labellings in self._labellings), initial=0))

    @property
    def count(self) -> int:
        """How many cells there are."""
        return self._starts[-1]

    def rank(self, cell: Cell) -> int:
        """The place of a cell."""
        structure: Sources = tuple(tuple(edge.source for edge in node) for node in cell.nodes)
        number = self._structures.index(structure)
        colours = tuple(self._layer_types.index(edge.layer) for edge in cell.edges())
        return self._starts[number] + self._labellings[number].rank(colours)

    def unrank(self, index: int) -> Cell:
        """The cell at a place."""
        number = bisect_right(self._starts, index) - 1
        colours = iter(self._labellings[number].unrank(index - self._starts[number]))
        return Cell(
            tuple(
                (Edge(self._layer_types[next(colours)], first), Edge(self._layer_types[next(colours)], second))
                for first, second in self._structures[number]
            )
        )


@lru_cache(maxsize=32)
def cell_ranking(layer_types: tuple[str, ...], nodes: int) -> CellRanking:
    """The ranking of all spaces with these cells, so that its tables are made once."""
    return CellRanking(layer_types, nodes)


class Labellings:
    """The ways to colour places, those that a group of symmetries takes to each other being one, in an order.

    Places that symmetries exchange form blocks. A labelling is chosen block by block: a colouring of the block that is
    the smallest of its orbit, then the later blocks up to the symmetries that leave this colouring as it is. So
    the tables hold colourings of one block (of four places at most in cells of four nodes), never of all places, and
    they are made when they are first needed.
    """

    def __init__(self, group: Sequence[Places], colours: int) -> None:
        self._group = tuple(group)
        self._colours = colours
        self._blocks = sorted({tuple(sorted({g[place] for g in group})) for place in range(len(group[0]))})
        self._table = lru_cache(maxsize=None)(self._make_table)

    @property
    def count(self) -> int:
        """How many labellings there are."""
        return self._count(self._group, 0)

    def rank(self, labelling: Colours) -> int:
        """The place of a labelling; the same for all that symmetries take to each other."""
        index, group = 0, self._group
        for number, block in enumerate(self._blocks):
            labelling = min((_moved(labelling, g) for g in group), key=lambda moved: _part(moved, block))
            colourings, stabilisers, starts = self._table(group, number)
            chosen = bisect_right(colourings, _part(labelling, block)) - 1
            index, group = index + starts[chosen], stabilisers[chosen]
        return index

    def unrank(self, index: int) -> Colours:
        """One labelling of those at a place."""
        labelling = [0] * len(self._group[0])
        group = self._group
        for number, block in enumerate(self._blocks):
            colourings, stabilisers, starts = self._table(group, number)
            chosen = bisect_right(starts, index) - 1
            for place, colour in zip(block, colourings[chosen], strict=True):
                labelling[place] = colour
            index, group = index - starts[chosen], stabilisers[chosen]
        return tuple(labelling)

    def _count(self, group: tuple[Places, ...], number: int) -> int:
        """The ways to colour the blocks from `number` on, up to a group: the mean of what each symmetry leaves as it is
        (Burnside's lemma); a symmetry leaves a colouring as it is whose cycles have one colour each."""
        rest = [place for block in self._blocks[number:] for place in block]
        return sum(self._colours ** _cycles(g, rest) for g in group) // len(group)

    def _make_table(
        self, group: tuple[Places, ...], number: int
    ) -> tuple[tuple[Colours, ...], tuple[tuple[Places, ...], ...], tuple[int, ...]]:
        """The smallest colourings of a block up to a group, ascending; the symmetries that leave each as it is; and the
        place of the first labelling with each."""
        block = self._blocks[number]
        # the symmetries of the block alone: the place within it that each place of it takes its colour from
        within = [tuple(block.index(g.index(place)) for place in block) for g in group]
        distinct = set(within)
        colourings: list[Colours] = []
        stabilisers: list[tuple[Places, ...]] = []
        for colouring in product(range(self._colours), repeat=len(block)):
            if all(colouring <= _part(colouring, places) for places in distinct):
                same = {places for places in distinct if _part(colouring, places) == colouring}
                colourings.append(colouring)
                stabilisers.append(tuple(g for g, places in zip(group, within, strict=True) if places in same))
        counts = [self._count(stabiliser, number + 1) for stabiliser in stabilisers]
        return tuple(colourings), tuple(stabilisers), tuple(accumulate(counts[:-1], initial=0))


def _moved(labelling: Sequence[int], symmetry: Places) -> Colours:
    moved = [0] * len(labelling)
    for place, colour in zip(symmetry, labelling, strict=True):
        moved[place] = colour
    return tuple(moved)


def _part(labelling: Sequence[int], block: Places) -> Colours:
    return tuple(labelling[place] for place in block)


def _cycles(symmetry: Places, places: Sequence[int]) -> int:
    """How many cycles a symmetry makes of some places."""
    left = set(places)
    cycles = 0
    while left:
        place = left.pop()
        cycles += 1
        while symmetry[place] in left:
            place = symmetry[place]
            left.remove(place)
    return cycles
