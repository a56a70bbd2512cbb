"""The laws of the cell space, on small ones that are enumerated whole with a definition of sameness of their own."""

import random
from collections import Counter
from fractions import Fraction
from functools import cache
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spaces.cell import LAYER_TYPES, Cell, CellSpace, Edge, Genotype
from spaces.cell.canonical import symmetries
from spaces.cell.presets import PRESETS, PUBLISHED
from spaces.cell.ranking import CellRanking, Labellings

TYPES = ("none", "max", "conv3")
SMALL = [(1, 1), (1, 3), (2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (3, 3)]  # nodes, layer types

Nodes = tuple[tuple[Edge, Edge], ...]


def labelled(nodes: int, types: tuple[str, ...]) -> list[Nodes]:
    """Every way to write a cell down with the edges of each node sorted by source."""
    choices = [
        [(Edge(a, i), Edge(b, j)) for i, j in combinations(range(2 + node), 2) for a, b in product(types, repeat=2)]
        for node in range(nodes)
    ]
    return list(product(*choices))


@cache
def orders_of(sources: tuple[tuple[int, int], ...]) -> list[dict[int, int]]:
    """Every exchange of node numbers after which all nodes read smaller numbers."""
    inner = range(2, 2 + len(sources))
    numbers = [{0: 0, 1: 1, **dict(zip(inner, order, strict=True))} for order in permutations(inner)]
    return [n for n in numbers if all(n[i] < n[state] for state, pair in enumerate(sources, 2) for i in pair)]


def name_of(nodes: Nodes) -> tuple[tuple[int, int, str], ...]:
    """A name that two cells share exactly if some exchange of node numbers makes their sets of edges equal."""
    edges = [(state, *edge) for state, node in enumerate(nodes, 2) for edge in node]
    orders = orders_of(tuple((first.source, second.source) for first, second in nodes))
    return tuple(min(sorted((n[state], n[source], layer) for state, layer, source in edges) for n in orders))


@cache
def small_space(nodes: int, types: int) -> CellSpace:
    return CellSpace("small", "cifar", 3, 4, image_size=8, classes=2, layer_types=TYPES[:types], nodes=nodes)


@cache
def small_cells(nodes: int, types: int) -> tuple[Cell, ...]:
    return tuple({Cell(written): None for written in labelled(nodes, TYPES[:types])})


@pytest.fixture(params=SMALL, ids=lambda size: f"{size[0]}-nodes-{size[1]}-types")
def size(request: pytest.FixtureRequest) -> tuple[int, int]:
    return request.param


# Sameness and order -----------------------------------------------------------------------------------------------


def test_cells_are_equal_exactly_when_an_exchange_of_nodes_or_edges_makes_them_so(size):
    nodes, types = size
    cell_of_name, name_of_cell = {}, {}
    for written in labelled(nodes, TYPES[:types]):
        cell, name = Cell(written), name_of(written)
        assert cell_of_name.setdefault(name, cell) == cell
        assert name_of_cell.setdefault(cell, name) == name
        assert name_of(cell.nodes) == name
    assert CellRanking(TYPES[:types], nodes).count == len(cell_of_name)


def test_rank_and_unrank_are_a_bijection_of_cells(size):
    nodes, types = size
    ranking = CellRanking(TYPES[:types], nodes)
    cells = [ranking.unrank(index) for index in range(ranking.count)]
    assert set(cells) == set(small_cells(nodes, types))
    assert [ranking.rank(cell) for cell in cells] == list(range(ranking.count))


@pytest.mark.parametrize("size", [(1, 1), (1, 3), (2, 1), (2, 2), (3, 1)])
def test_rank_and_unrank_are_a_bijection_of_genotypes(size):
    space = small_space(*size)
    members = [space.unrank(index) for index in range(space.count())]
    cells = small_cells(*size)
    assert set(members) == {Genotype(normal, reduce) for normal in cells for reduce in cells}
    assert [space.rank(member) for member in members] == list(range(space.count()))
    assert len({space.id(member) for member in members}) == space.count()
    for outside in (-1, space.count()):
        with pytest.raises(IndexError, match="got place"):
            space.unrank(outside)


def test_four_nodes_have_as_many_cells_as_brute_force_finds():
    assert len(labelled(4, TYPES[:1])) == 180
    assert CellRanking(TYPES[:1], 4).count == len({name_of(written) for written in labelled(4, TYPES[:1])}) == 79
    types = TYPES[:2]
    assert CellRanking(types, 4).count == len({name_of(written) for written in labelled(4, types)})


def test_the_count_of_the_papers_space_stays_as_it_is():
    """Burnside's lemma once more: all 180 structures, each as many times as it has orders of nodes."""
    cells = Fraction(0)
    for structure in labelled(4, TYPES[:1]):
        edges = [(state, edge.source) for state, node in enumerate(structure, 2) for edge in node]
        orders = orders_of(tuple((first.source, second.source) for first, second in structure))
        for number in orders:
            left = {(state, source): (number[state], number[source]) for state, source in edges}
            if set(left.values()) == set(edges):  # a symmetry, of which each cycle has one layer type
                cycles = 0
                while left:
                    cycles += 1
                    edge = next(iter(left))
                    while edge in left:
                        edge = left.pop(edge)
                cells += Fraction(7**cycles, len(orders))
    assert CellRanking(LAYER_TYPES, 4).count == cells == 382_128_166
    assert CellSpace("all", "cifar", 8, 16, 32, 10).count() == cells**2


@pytest.mark.parametrize(
    "structure", [((0, 1),) * 4, ((0, 1), (0, 1), (2, 3), (2, 3)), ((0, 1), (0, 1), (0, 2), (0, 3))]
)
def test_labellings_are_ranked_up_to_symmetries(structure):
    group = symmetries(structure)
    labellings = Labellings(group, 3)
    seen = Counter()
    for labelling in product(range(3), repeat=8):
        place = labellings.rank(labelling)
        seen[place] += 1
        moved = {tuple(labelling[g.index(i)] for i in range(8)) for g in group}
        assert labellings.unrank(place) in moved
    assert sorted(seen) == list(range(labellings.count))


@settings(deadline=None)
@given(st.integers(0, 2**80), st.randoms(use_true_random=False))
def test_other_orders_of_nodes_and_edges_spell_the_same_member(index: int, rng: random.Random):
    space = PRESETS[0]
    member = space.unrank(index % space.count())
    text = f"normal: {shuffled(member.normal, rng)} | reduce: {shuffled(member.reduce, rng)}"
    again = space.parse(text)
    assert again == member
    assert hash(again) == hash(member)
    assert str(again) == str(member)
    assert space.id(again) == space.id(member)
    assert space.rank(again) == index % space.count()


def shuffled(cell: Cell, rng: random.Random) -> str:
    """The text of a cell with its nodes in another order that no edge forbids, and edges swapped."""
    number = {0: 0, 1: 1}
    written = []
    left = dict(enumerate(cell.nodes, 2))
    while left:
        state = rng.choice([s for s, node in left.items() if all(edge.source in number for edge in node)])
        edges = [f"{edge.layer}@{number[edge.source]}" for edge in left.pop(state)]
        rng.shuffle(edges)
        written.append(" ".join(edges))
        number[state] = len(number)
    return " ; ".join(written)


# Operators --------------------------------------------------------------------------------------------------------


def test_sampling_is_uniform_over_members():
    space = small_space(2, 2)
    rng = random.Random(1)
    draws = 9_000
    counts = Counter(space.sample(rng) for _ in range(draws))
    expected = draws / space.count()
    chi_square = sum((counts[space.unrank(i)] - expected) ** 2 / expected for i in range(space.count()))
    freedom = space.count() - 1
    assert abs(chi_square - freedom) < 5 * (2 * freedom) ** 0.5


@pytest.mark.parametrize("size", [(1, 3), (2, 2), (3, 1)])
def test_neighbours_are_those_of_the_definition_without_repeats(size):
    """Two cells are neighbours if they can be written so that one edge differs, by its type or its source."""
    nodes, types = size
    written = labelled(nodes, TYPES[:types])
    pairs = set()
    for one, other in product(written, repeat=2):
        different = [
            {*a} ^ {*b} for a, b in zip(one, other, strict=True) if {*a} != {*b}
        ]  # the edges that only one of two nodes has
        if len(different) == 1 and len(different[0]) == 2:
            first, second = different[0]
            if first.layer == second.layer or first.source == second.source:
                pairs.add((Cell(one), Cell(other)))
    space = small_space(*size)
    cells = small_cells(*size)
    for normal in cells[:: max(1, len(cells) // 12)]:
        for reduce in cells[:: max(1, len(cells) // 12)]:
            found = list(space.neighbours(Genotype(normal, reduce)))
            assert len(set(found)) == len(found)
            assert set(found) == {Genotype(c, reduce) for c in cells if (normal, c) in pairs and c != normal} | {
                Genotype(normal, c) for c in cells if (reduce, c) in pairs and c != reduce
            }


def test_mutants_are_other_members_and_reach_all(size):
    space = small_space(*size)
    rng = random.Random(2)
    for _ in range(60):
        parent = space.sample(rng)
        mutant = space.mutate(parent, rng, rng.choice((0.0, 0.1, 1.0)))
        assert space.contains(mutant)
        assert (mutant != parent) == (space.count() > 1)
    if 1 < space.count() < 100:
        start = space.smallest()
        assert len({space.mutate(start, rng, 1.0) for _ in range(20 * space.count())}) >= 0.9 * (space.count() - 1)


def test_crossover_takes_every_node_from_a_parent(size):
    space = small_space(*size)
    rng = random.Random(3)
    for _ in range(100):
        first, second = space.sample(rng), space.sample(rng)
        child = space.crossover(first, second, rng)
        assert space.contains(child)
        assert space.crossover(first, first, rng) == first
        for name in ("normal", "reduce"):
            pairs = zip(getattr(first, name).nodes, getattr(second, name).nodes, strict=True)
            assert getattr(child, name) in {Cell(chosen) for chosen in product(*pairs)}


@pytest.mark.parametrize("space", PRESETS, ids=lambda space: space.name)
def test_operators_of_large_spaces_return_members(space):
    rng = random.Random(4)
    for _ in range(20):
        first, second = space.sample(rng), space.sample(rng)
        assert space.contains(first)
        assert space.contains(space.mutate(first, rng))
        assert space.contains(space.crossover(first, second, rng))
        assert space.unrank(space.rank(first)) == first
    around = list(space.neighbours(first))
    assert all(space.contains(other) for other in around)
    assert first not in around
    assert first in space.neighbours(around[-1])


def test_operators_depend_on_their_random_stream_alone():
    space = PRESETS[0]

    def draw() -> list[Genotype]:
        rng = random.Random(5)
        first, second = space.sample(rng), space.sample(rng)
        return [first, second, space.mutate(first, rng), space.crossover(first, second, rng)]

    assert draw() == draw()


def test_the_ends_have_the_least_and_the_most_operations():
    for size in ((2, 3), (1, 3), (3, 1)):
        space = small_space(*size)
        cells = small_cells(*size)
        ops = space.costs([Genotype(cell, cells[-1 - place]) for place, cell in enumerate(cells)]).ops
        assert space.cost(space.smallest()).ops <= np.min(ops)
        assert space.cost(space.largest()).ops >= np.max(ops)
    for space in PRESETS:
        rng = random.Random(6)
        ops = space.costs([space.sample(rng) for _ in range(40)]).ops
        assert space.contains(space.smallest())
        assert space.contains(space.largest())
        assert space.cost(space.smallest()).ops <= np.min(ops)
        assert space.cost(space.largest()).ops >= np.max(ops)


def test_published_genotypes_are_members_with_the_published_edges():
    space = PRESETS[0]
    assert all(space.contains(genotype) for genotype in PUBLISHED.values())
    with_zeroise, for_imagenet = PUBLISHED["bnas-cifar10"], PUBLISHED["bnas-imagenet"]
    assert Counter(edge.layer for edge in with_zeroise.normal.edges()) == {"none": 6, "dil3": 1, "conv3": 1}
    assert Counter(edge.layer for edge in with_zeroise.reduce.edges()) == {"none": 6, "max": 2}
    assert Counter(edge.layer for edge in for_imagenet.normal.edges()) == {"conv3": 5, "dil3": 3}
    assert Counter(edge.layer for edge in for_imagenet.reduce.edges()) == {"max": 5, "conv3": 1, "dil3": 2}
