"""The one order of the nodes of a cell that stands for all of them."""

from collections.abc import Iterable, Sequence

INPUTS = 2

Numbered = tuple[int, int]  # an edge as the state it reads and the number of its layer type
Nodes = tuple[tuple[Numbered, ...], ...]


def canonical(nodes: Sequence[Iterable[Numbered]]) -> Nodes:
    """The smallest of all ways to write a cell down, by the states that its nodes read and then by its layer types.

    The ways are the orders of nodes in which no node reads a later one; the edges of a node are sorted by the state
    that they read. The states read are compared first, node by node, so every order that falls behind there is dropped
    on the way, and what is left at the end (the symmetries of the cell) is compared by layer types.

    >>> canonical([[(1, 6), (0, 5)], [(2, 0), (1, 4)], [(0, 3), (1, 3)]])  # the last node moves before the second
    (((0, 5), (1, 6)), ((0, 3), (1, 3)), ((1, 4), (2, 0)))
    """
    given = [tuple(node) for node in nodes]
    # an order so far: the new number of every state placed, and the nodes written with new numbers
    orders: list[tuple[dict[int, int], Nodes]] = [({state: state for state in range(INPUTS)}, ())]
    for place in range(INPUTS, INPUTS + len(given)):
        longer = [
            ({**numbers, state: place}, (*written, _renumber(node, numbers)))
            for numbers, written in orders
            for state, node in enumerate(given, INPUTS)
            if state not in numbers and all(source in numbers for source, _ in node)
        ]
        first = min(_sources(written[-1]) for _, written in longer)
        orders = [order for order in longer if _sources(order[1][-1]) == first]
    return min(written for _, written in orders)


def _renumber(node: tuple[Numbered, ...], numbers: dict[int, int]) -> tuple[Numbered, ...]:
    return tuple(sorted((numbers[source], layer) for source, layer in node))


def _sources(node: tuple[Numbered, ...]) -> tuple[int, ...]:
    return tuple(source for source, _ in node)
