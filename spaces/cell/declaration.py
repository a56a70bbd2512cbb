"""The fields of a cell space, what can be wrong with them, and why a genotype is not in the space."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from spaces.cell.architecture import LAYER_TYPES, MOST_NODES, Genotype
from spaces.errors import listed, refuse, unknown

Template = Literal["cifar", "imagenet"]
STEM_STRIDES: dict[str, int] = {"cifar": 1, "imagenet": 8}
LEAST_CELLS = 3  # fewer cannot hold two reductions and a normal cell
LEAST = {"nodes": 1, "cells": LEAST_CELLS, "width": 1, "groups": 1, "image_size": 1, "classes": 1, "channels": 1}


@dataclass(frozen=True)
class CellDeclaration:
    """The fields of `CellSpace`. Raises `SpaceError` that lists everything wrong with them."""

    name: str
    template: Template
    cells: int
    width: int
    image_size: int
    classes: int
    channels: int = 3
    layer_types: tuple[str, ...] = LAYER_TYPES
    nodes: int = 4
    groups: int = 1
    inter_cell_skip: bool = True

    def __post_init__(self) -> None:
        types = tuple(self.layer_types)
        if all(layer in LAYER_TYPES for layer in types):
            types = tuple(sorted(types, key=LAYER_TYPES.index))  # two spaces with the same types are equal
        object.__setattr__(self, "layer_types", types)
        refuse(self.name, self.problems())

    def problems(self) -> Iterator[str]:
        """Everything wrong with the fields."""
        if not self.layer_types:
            yield f"layer_types must name at least one of {listed(LAYER_TYPES)}"
        for layer in self.layer_types:
            if layer not in LAYER_TYPES:
                yield unknown("layer type", layer, LAYER_TYPES)
        twice = sorted({layer for layer in self.layer_types if self.layer_types.count(layer) > 1})
        if twice:
            yield f"layer_types names {listed(twice)} more than once"
        given = {field: getattr(self, field) for field in LEAST}
        small = [field for field, value in given.items() if type(value) is not int or value < LEAST[field]]
        for field in small:
            yield f"{field} must be an integer of at least {LEAST[field]}, got {given[field]!r}"
        if "nodes" not in small and self.nodes > MOST_NODES:
            yield f"nodes must be at most {MOST_NODES}, got {self.nodes}"
        if self.template not in STEM_STRIDES:
            yield f"template must be one of {listed(STEM_STRIDES)}; got {self.template!r}"
        elif not small:
            yield from self._misfits()

    def _misfits(self) -> Iterator[str]:
        """Well-formed fields that do not go together."""
        if self.width % self.groups:
            yield f"width {self.width} does not split into {self.groups} groups"
        if self.template == "imagenet" and self.width % 2:
            yield f"width must be even, since the first convolution of the imagenet stem halves it; got {self.width}"
        stride = 4 * STEM_STRIDES[self.template]
        if self.image_size % stride:
            yield f"image_size must be a multiple of {stride}, the product of the strides; got {self.image_size}"

    def objections(self, member: Genotype) -> Iterator[str]:
        """Every reason why a genotype is not in the space."""
        for name, cell in (("normal", member.normal), ("reduce", member.reduce)):
            if len(cell.nodes) != self.nodes:
                yield f"the {name} cell has {len(cell.nodes)} nodes; the space's cells have {self.nodes}"
            for number, node in enumerate(cell.nodes, 1):
                for edge in node:
                    if edge.layer not in self.layer_types:
                        allowed = listed(self.layer_types)
                        yield f"the {name} cell has {edge} at node {number}; the space's layer types are {allowed}"
