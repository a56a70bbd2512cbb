"""What is wrong with the declaration of a cell space, and why a genotype is not in one."""

from typing import TYPE_CHECKING, Literal

from spaces.cell.architecture import Genotype

if TYPE_CHECKING:
    from spaces.cell.space import CellSpace

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING

from spaces.cell.architecture import LAYER_TYPES, MOST_NODES

if TYPE_CHECKING:
    from spaces.cell.space import CellSpace


Template = Literal["cifar", "imagenet"]
LEAST_CELLS = 3  # fewer cannot hold two reductions and a normal cell
STEM_STRIDES: dict[str, int] = {"cifar": 1, "imagenet": 8}
LEAST = {"nodes": 1, "cells": LEAST_CELLS, "width": 1, "groups": 1, "image_size": 1, "classes": 1, "channels": 1}


def problems(space: "CellSpace") -> Iterator[str]:
    """Everything wrong with a declaration."""
    if not space.layer_types:
        yield f"layer_types must name at least one of {', '.join(LAYER_TYPES)}"
    for layer in space.layer_types:
        if layer not in LAYER_TYPES:
            near = get_close_matches(str(layer), LAYER_TYPES, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            yield f"there is no layer type {layer!r}{hint} The types are {', '.join(LAYER_TYPES)}"
    twice = sorted({layer for layer in space.layer_types if space.layer_types.count(layer) > 1})
    if twice:
        yield f"layer_types names {', '.join(twice)} more than once"
    small = [field for field, least in LEAST.items() if not _is_integer(getattr(space, field), least)]
    for field in small:
        yield f"{field} must be an integer of at least {LEAST[field]}, got {getattr(space, field)!r}"
    if "nodes" not in small and space.nodes > MOST_NODES:
        yield f"nodes must be at most {MOST_NODES}, got {space.nodes}"
    if space.template not in STEM_STRIDES:
        yield f"template must be one of {', '.join(STEM_STRIDES)}; got {space.template!r}"
    elif not small:
        yield from _misfits(space)


def _misfits(space: "CellSpace") -> Iterator[str]:
    """Well-formed fields that do not go together."""
    if space.width % space.groups:
        yield f"width {space.width} does not split into {space.groups} groups"
    if space.template == "imagenet" and space.width % 2:
        yield f"width must be even, since the first convolution of the imagenet stem has half of it; got {space.width}"
    stride = 4 * STEM_STRIDES[space.template]
    if space.image_size % stride:
        yield f"image_size must be a multiple of {stride}, the product of the strides; got {space.image_size}"


def objections(space: "CellSpace", genotype: Genotype) -> Iterator[str]:
    """Every reason why a genotype is not in the space."""
    for name, cell in (("normal", genotype.normal), ("reduce", genotype.reduce)):
        if len(cell.nodes) != space.nodes:
            yield f"the {name} cell has {len(cell.nodes)} nodes; the space's cells have {space.nodes}"
        for number, node in enumerate(cell.nodes, 1):
            for edge in node:
                if edge.layer not in space.layer_types:
                    listed = ", ".join(space.layer_types)
                    yield f"the {name} cell has {edge} at node {number}; the space's layer types are {listed}"


def _is_integer(value: object, least: int) -> bool:
    return type(value) is int and value >= least
