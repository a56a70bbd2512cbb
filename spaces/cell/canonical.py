"""The one order of the nodes of a cell that stands for all of them, and the symmetries of a cell."""

from collections.abc import Iterable, Sequence
from functools import lru_cache

INPUTS = 2  # states 0 and 1 of a cell: the outputs of the cell before the last and of the last

Sources = tuple[tuple[int, ...], ...]  # the states that every node reads, ascending: the structure of a cell
Numbers = tuple[int, ...]  # the new number of every state
Numbered = tuple[int, int]  # an edge as the state it reads and the number of its layer type


@lru_cache(maxsize=4096)  # there are 180 structures of four nodes
def first_orders(sources: Sources) -> tuple[Sources, tuple[Numbers, ...]]:
    """The smallest structure among all orders of nodes in which no node reads a later one, and every order to it.

    Structures are compared node by node, so an order is dropped at the first node where it is not the smallest. Nodes
    may be given in any order, as long as they do not read each other in a circle.

    >>> first_orders(((0, 1), (1, 2), (0, 1)))  # the last node moves before the second
    (((0, 1), (0, 1), (1, 2)), ((0, 1, 2, 4, 3),))
    """
    orders: list[tuple[dict[int, int], Sources]] = [({state: state for state in range(INPUTS)}, ())]
    for place in range(INPUTS, INPUTS + len(sources)):
        longer = [
            ({**numbers, state: place}, (*written, tuple(sorted(numbers[source] for source in node))))
            for numbers, written in orders
            for state, node in enumerate(sources, INPUTS)
            if state not in numbers and all(source in numbers for source in node)
        ]
        first = min(written[-1] for _, written in longer)
        orders = [order for order in longer if order[1][-1] == first]
    return orders[0][1], tuple(tuple(numbers[state] for state in sorted(numbers)) for numbers, _ in orders)


def canonical(nodes: Sequence[Iterable[Numbered]]) -> tuple[tuple[Numbered, ...], ...]:
    """The smallest of all ways to write a cell down, by the states that its nodes read and then by its layer types.

    The ways are the orders of nodes in which no node reads a later one; the edges of a node are sorted by the state
    that they read.

    >>> canonical([[(1, 6), (0, 5)], [(2, 0), (1, 4)], [(0, 3), (1, 3)]])
    (((0, 5), (1, 6)), ((0, 3), (1, 3)), ((1, 4), (2, 0)))
    """
    given = [tuple(sorted(node)) for node in nodes]
    _, orders = first_orders(tuple(tuple(source for source, _ in node) for node in given))
    return min(_renumbered(given, numbers) for numbers in orders)


def symmetries(structure: Sources) -> list[tuple[int, ...]]:
    """Every way to exchange the edges of a canonical structure that leaves it as it is; the first is the identity.

    Each is the new place of every edge, edges counted node by node. Together they are a group.

    >>> symmetries(((0, 1), (0, 1)))
    [(0, 1, 2, 3), (2, 3, 0, 1)]
    """
    before = [(state, source) for state, node in enumerate(structure, INPUTS) for source in node]
    places = {edge: place for place, edge in enumerate(before)}
    _, orders = first_orders(structure)
    return sorted(tuple(places[numbers[state], numbers[source]] for state, source in before) for numbers in orders)


def _renumbered(nodes: Sequence[Sequence[Numbered]], numbers: Numbers) -> tuple[tuple[Numbered, ...], ...]:
    written = {
        numbers[state]: tuple(sorted((numbers[source], layer) for source, layer in node))
        for state, node in enumerate(nodes, INPUTS)
    }
    return tuple(written[place] for place in sorted(written))
