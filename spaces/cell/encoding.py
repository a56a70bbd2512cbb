"""A cell space as independent choices, and back."""

from collections.abc import Sequence
from itertools import combinations

from spaces.cell.architecture import Cell, Edge, Genotype
from spaces.cell.canonical import INPUTS
from spaces.cell.declaration import CellDeclaration
from spaces.parameters import Choice, Given, read_choice

CELLS = ("normal", "reduce")


class Encoding:
    """Three choices per node, none of them ordered: the states that it reads, such as "0 2", and the layer type of the
    edge from each of them, the earlier state's first."""

    def __init__(self, space: CellDeclaration) -> None:
        self._slots = {
            cell: [
                (f"{cell}_n{node}_inputs", f"{cell}_n{node}_e1_layer", f"{cell}_n{node}_e2_layer")
                for node in range(1, space.nodes + 1)
            ]
            for cell in CELLS
        }
        self.genes: dict[str, tuple[str, ...]] = {}
        for cell in CELLS:
            for state, (inputs, first, second) in enumerate(self._slots[cell], INPUTS):
                self.genes[inputs] = tuple(f"{one} {other}" for one, other in combinations(range(state), 2))
                self.genes |= {first: space.layer_types, second: space.layer_types}
        self.parameters = tuple(Choice(name, choices) for name, choices in self.genes.items() if len(choices) > 1)

    def encode(self, genotype: Genotype) -> dict[str, str]:
        """The choices of a member, as its canonical form is written."""
        chosen: dict[str, str] = {}
        for name, cell in zip(CELLS, (genotype.normal, genotype.reduce), strict=True):
            for slot, node in zip(self._slots[name], cell.nodes, strict=True):
                values = (f"{node[0].source} {node[1].source}", node[0].layer, node[1].layer)
                chosen |= dict(zip(slot, values, strict=True))
        return {p.name: chosen[p.name] for p in self.parameters}

    def decode(self, values: Given) -> Genotype:
        """The genotype of a setting. Raises `SpaceError` for a missing or impossible choice."""
        return Genotype(*(self._cell(self._slots[cell], values) for cell in CELLS))

    def _cell(self, slots: Sequence[tuple[str, str, str]], values: Given) -> Cell:
        nodes: list[tuple[Edge, Edge]] = []
        for slot in slots:
            inputs, first, second = (read_choice(gene, values, self.genes[gene]) for gene in slot)
            one, other = map(int, inputs.split())
            nodes.append((Edge(first, one), Edge(second, other)))
        return Cell(tuple(nodes))
