"""A NAS-BNN space as independent numbers, and back."""

from dataclasses import dataclass

from spaces.nasbnn.architecture import Architecture, Layer
from spaces.nasbnn.declaration import NasBnnDeclaration
from spaces.parameters import Given, Ordered, read_number


@dataclass(frozen=True)
class _Gene:
    """One named choice."""

    name: str
    choices: tuple[int, ...]


class Encoding:
    """One number per gene. Genes of layers beyond the chosen depth are read and ignored."""

    def __init__(self, space: NasBnnDeclaration) -> None:
        stages = space.stages
        self._stem = _Gene("stem_width", space.stem_widths)
        self._depths = [_Gene(f"s{number}_depth", stage.depths) for number, stage in enumerate(stages, 1)]
        self._layers = [
            [
                tuple(
                    _Gene(f"s{number}l{place}_{gene}", choices)
                    for gene, choices in zip(
                        Layer._fields, (stage.widths, stage.kernel_sizes, stage.groups, stage.excites), strict=True
                    )
                    if choices != (0,)  # of a squeeze-and-excite that no layer has
                )
                for place in range(1, stage.depths[-1] + 1)
            ]
            for number, stage in enumerate(stages, 1)
        ]
        genes = [self._stem]
        for depth, layers in zip(self._depths, self._layers, strict=True):
            genes += [depth, *(gene for layer in layers for gene in layer)]
        self.genes = {gene.name: gene.choices for gene in genes}
        self.parameters = tuple(Ordered(g.name, g.choices) for g in genes if len(g.choices) > 1)

    def encode(self, architecture: Architecture) -> dict[str, int]:
        """A setting for a member; the genes of absent layers repeat those of the stage's last layer."""
        chosen = {self._stem.name: architecture.stem}
        for depth, slots, layers in zip(self._depths, self._layers, architecture.stages, strict=True):
            chosen[depth.name] = len(layers)
            for place, slot in enumerate(slots):
                layer = layers[min(place, len(layers) - 1)]
                chosen |= {gene.name: value for gene, value in zip(slot, layer, strict=False)}
        return {p.name: chosen[p.name] for p in self.parameters}

    def decode(self, values: Given) -> tuple[int, list[list[Layer]]]:
        """Stem width and layers, without regard to the constraint on widths. Raises `SpaceError` for a missing or
        impossible value."""
        stages = [
            [Layer(*(self._pick(gene, values) for gene in slot)) for slot in slots[: self._pick(depth, values)]]
            for depth, slots in zip(self._depths, self._layers, strict=True)
        ]
        return self._pick(self._stem, values), stages

    def _pick(self, gene: _Gene, values: Given) -> int:
        return int(read_number(gene.name, values, gene.choices))
