"""What is wrong with the declaration of a NAS-BNN space, and why an architecture is not in one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from spaces.nasbnn.architecture import Architecture

if TYPE_CHECKING:
    from spaces.nasbnn.space import NasBnnSpace
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from spaces.nasbnn.architecture import LARGEST_NUMBER

if TYPE_CHECKING:
    from spaces.nasbnn.space import NasBnnSpace


INFINITE = 1 << 62


def caps(space: "NasBnnSpace") -> list[int]:
    """The widest that the stem and each stage may be with every later stage still able to follow; empty if none can."""
    widest: list[int] = []
    limit = INFINITE
    for widths in reversed((space.stem_widths, *(stage.widths for stage in space.stages))):
        allowed = [width for width in widths if width <= limit]
        if not allowed:
            return []
        limit = allowed[-1]
        widest.append(limit)
    return widest[::-1]


@dataclass(frozen=True)
class Stage:
    """One row of Table 1: what a stage may be. The first layer of the stage has the stride."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    groups: tuple[int, ...]
    stride: int

    def __post_init__(self) -> None:
        for field in ("depths", "widths", "kernel_sizes", "groups"):
            object.__setattr__(self, field, tuple(getattr(self, field)))


def problems(space: "NasBnnSpace") -> Iterator[str]:
    """Everything wrong with a declaration."""
    if not space.stages:
        yield "needs at least one stage"
    lists = {"stem_widths": space.stem_widths}
    for number, stage in enumerate(space.stages, 1):
        for field in ("depths", "widths", "kernel_sizes", "groups"):
            lists[f"stage {number} {field}"] = getattr(stage, field)
    bad_lists = [name for name, values in lists.items() if not _ascends(values)]
    for name in bad_lists:
        yield f"{name} must be ascending integers from 1 to {LARGEST_NUMBER}, got ({_listed(lists[name])})"
    for number, stage in enumerate(space.stages, 1):
        if any(size % 2 == 0 for size in stage.kernel_sizes):
            yield f"stage {number} kernel_sizes must be odd, got ({_listed(stage.kernel_sizes)})"
    for field in ("classes", "channels"):
        if getattr(space, field) < 1:
            yield f"{field} must be at least 1, got {getattr(space, field)}"
    strides = (space.stem_stride, *(stage.stride for stage in space.stages))
    halvings = strides.count(2)
    if any(stride not in (1, 2) for stride in strides):
        yield f"strides must be 1 or 2, got ({_listed(strides)})"
    elif space.image_size < 1 or space.image_size % 2**halvings:
        yield f"image_size must be a multiple of {2**halvings}, the product of the strides; got {space.image_size}"
    if not bad_lists:
        yield from _misfits(space)


def _misfits(space: "NasBnnSpace") -> Iterator[str]:
    """Well-formed choices that do not go together."""
    before = space.stem_widths
    for number, stage in enumerate(space.stages, 1):
        inputs = {*before, *(stage.widths if stage.depths[-1] > 1 else ())}
        bad = sorted((width, groups) for width in inputs for groups in stage.groups if width % groups)
        if bad:
            yield f"stage {number}: {bad[0][0]} input channels do not split into {bad[0][1]} groups"
        if any(groups % stage.groups[0] for groups in stage.groups):
            yield f"stage {number} groups must be multiples of the fewest, got ({_listed(stage.groups)})"
        before = stage.widths
    if space.non_decreasing and not caps(space):
        yield "no architecture has non-decreasing widths: a later stage is narrower than every choice of an earlier one"


def objections(space: "NasBnnSpace", architecture: Architecture) -> Iterator[str]:
    """Every reason why an architecture is not in the space."""
    if architecture.stem not in space.stem_widths:
        yield f"the stem has width {architecture.stem}; its widths are {_listed(space.stem_widths)}"
    if len(architecture.stages) != len(space.stages):
        yield f"it has {len(architecture.stages)} stages behind the stem; the space has {len(space.stages)}"
        return
    for number, (layers, stage) in enumerate(zip(architecture.stages, space.stages, strict=True), 1):
        if len(layers) not in stage.depths:
            yield f"stage {number} has {len(layers)} layers; its depths are {_listed(stage.depths)}"
        for place, layer in enumerate(layers, 1):
            for gene, value, choices in (
                ("width", layer.width, stage.widths),
                ("kernel size", layer.kernel_size, stage.kernel_sizes),
                ("groups", layer.groups, stage.groups),
            ):
                if value not in choices:
                    yield f"stage {number}, layer {place} has {gene} {value}; the choices are {_listed(choices)}"
    if space.non_decreasing:
        widths = (architecture.stem, *(layer.width for layer in architecture.layers()))
        for place, (before, after) in enumerate(pairwise(widths), 1):
            if after < before:
                yield f"layer {place} narrows from {before} to {after} channels; widths must not decrease (equation 3)"


def _ascends(values: tuple[int, ...]) -> bool:
    bounds = (0, *values, LARGEST_NUMBER + 1)
    return bool(values) and all(before < after for before, after in pairwise(bounds))


def _listed(values: tuple[int, ...]) -> str:
    return ", ".join(map(str, values))
