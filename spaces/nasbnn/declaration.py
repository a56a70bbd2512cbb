"""The fields of a NAS-BNN space, what can be wrong with them, and why an architecture is not in the space."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from spaces.errors import listed, refuse, unknown
from spaces.nasbnn.architecture import EXCITES, LARGEST_NUMBER, Architecture
from spaces.space import ascending

INFINITE = 1 << 62


@dataclass(frozen=True)
class Stage:
    """One row of Table 1: the choices of a stage. The first layer of the stage has the stride.

    `excites` are the bits of squeeze-and-excites, 0 for none; others than 0 are of BNext's blocks.
    """

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    groups: tuple[int, ...]
    stride: int
    excites: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        for field in ("depths", "widths", "kernel_sizes", "groups", "excites"):
            object.__setattr__(self, field, tuple(getattr(self, field)))


class Blocks(StrEnum):
    """What networks are made of beside what their architecture says.

    NASBNN: an 8-bit stem with RPReLU; the filters of binary convolutions are normalised (its equation 6).
    REACTNET: a float stem without activation; filters are as they are (ReActNet, Liu et al., 2020).
    BNEXT: the 8-bit stem; filters are as they are; what comes out of a binary convolution is recoupled with what it
    reads, by a squeeze-and-excite, in some layers a product, and a second batch norm (BNext, Guo et al., 2022).
    """

    NASBNN = "nasbnn"
    REACTNET = "reactnet"
    BNEXT = "bnext"


@dataclass(frozen=True)
class NasBnnDeclaration:
    """The fields of `NasBnnSpace`. Raises `SpaceError` that lists everything wrong with them."""

    name: str
    stem_widths: tuple[int, ...]
    stem_stride: int
    stages: tuple[Stage, ...]
    image_size: int
    classes: int
    channels: int = 3
    non_decreasing: bool = True
    blocks: Blocks = Blocks.NASBNN

    def __post_init__(self) -> None:
        object.__setattr__(self, "stem_widths", tuple(self.stem_widths))
        object.__setattr__(self, "stages", tuple(self.stages))
        if self.blocks in set(Blocks):  # a text, where it was read from a file
            object.__setattr__(self, "blocks", Blocks(self.blocks))
        refuse(self.name, self.problems())

    @cached_property
    def caps(self) -> tuple[int, ...]:
        """The greatest width of the stem and of each stage that all later stages can follow; empty if there is none."""
        widest: list[int] = []
        limit = INFINITE
        for widths in reversed((self.stem_widths, *(stage.widths for stage in self.stages))):
            allowed = [width for width in widths if width <= limit]
            if not allowed:
                return ()
            limit = allowed[-1]
            widest.append(limit)
        return tuple(reversed(widest))

    def multiplies(self, number: int, place: int) -> bool:
        """Whether the kxk convolution of a layer, both counted from 1, is multiplied by what it reads: in BNext every
        other one, from the first of a stage on, but for the first stage (as its authors' code has it)."""
        return self.blocks is Blocks.BNEXT and number > 1 and place % 2 == 1

    def problems(self) -> Iterator[str]:
        """Everything wrong with the fields."""
        if not self.stages:
            yield "needs at least one stage"
        if self.blocks not in set(Blocks):
            yield unknown("kind of blocks", self.blocks, [kind.value for kind in Blocks], "kinds of blocks")
        lists = {"stem_widths": self.stem_widths}
        for number, stage in enumerate(self.stages, 1):
            for field in ("depths", "widths", "kernel_sizes", "groups"):
                lists[f"stage {number} {field}"] = getattr(stage, field)
        bad = {n: v for n, v in lists.items() if not v or not ascending((0, *v, LARGEST_NUMBER + 1))}
        for name, values in bad.items():
            yield f"{name} must be ascending integers from 1 to {LARGEST_NUMBER}, got ({listed(values)})"
        for number, stage in enumerate(self.stages, 1):
            if any(size % 2 == 0 for size in stage.kernel_sizes):
                yield f"stage {number} kernel_sizes must be odd, got ({listed(stage.kernel_sizes)})"
            if not stage.excites or not ascending((-1, *stage.excites)) or not {*stage.excites} <= {*EXCITES}:
                given = listed(stage.excites)
                yield f"stage {number} excites must be some of {listed(EXCITES)} in this order, got ({given})"
            elif stage.excites != (0,) and self.blocks is not Blocks.BNEXT:
                yield f"stage {number} excites are ({listed(stage.excites)}), which only blocks: bnext has"
        for field in ("classes", "channels"):
            if getattr(self, field) < 1:
                yield f"{field} must be at least 1, got {getattr(self, field)}"
        strides = (self.stem_stride, *(stage.stride for stage in self.stages))
        shrinks = 2 ** strides.count(2)
        if any(stride not in (1, 2) for stride in strides):
            yield f"strides must be 1 or 2, got ({listed(strides)})"
        elif self.image_size < 1 or self.image_size % shrinks:
            yield f"image_size must be a multiple of {shrinks}, the product of the strides; got {self.image_size}"
        if not bad:
            yield from self._misfits()

    def _misfits(self) -> Iterator[str]:
        """Well-formed choices that do not go together."""
        before = self.stem_widths
        for number, stage in enumerate(self.stages, 1):
            inputs = {*before, *(stage.widths if stage.depths[-1] > 1 else ())}
            bad = sorted((width, groups) for width in inputs for groups in stage.groups if width % groups)
            if bad:
                yield f"stage {number}: {bad[0][0]} input channels do not split into {bad[0][1]} groups"
            if any(groups % stage.groups[0] for groups in stage.groups):
                yield f"stage {number} groups must be multiples of the fewest, got ({listed(stage.groups)})"
            before = stage.widths
        if self.non_decreasing and not self.caps:
            yield "no architecture has non-decreasing widths: a stage is narrower than every choice of an earlier one"

    def objections(self, member: Architecture) -> Iterator[str]:
        """Every reason why an architecture is not in the space."""
        if member.stem not in self.stem_widths:
            yield f"the stem has width {member.stem}; its widths are {listed(self.stem_widths)}"
        if len(member.stages) != len(self.stages):
            yield f"it has {len(member.stages)} stages after the stem; the space has {len(self.stages)}"
            return
        for number, (layers, stage) in enumerate(zip(member.stages, self.stages, strict=True), 1):
            if len(layers) not in stage.depths:
                yield f"stage {number} has {len(layers)} layers; its depths are {listed(stage.depths)}"
            for place, layer in enumerate(layers, 1):
                choices = (stage.widths, stage.kernel_sizes, stage.groups, stage.excites)
                genes = ("width", "kernel size", "groups", "excite")
                for gene, value, allowed in zip(genes, layer, choices, strict=True):
                    if value not in allowed:
                        yield f"stage {number}, layer {place} has {gene} {value}; the choices are {listed(allowed)}"
        if self.non_decreasing:
            widths = (member.stem, *(layer.width for layer in member.layers()))
            for place, (before, after) in enumerate(pairwise(widths), 1):
                if after < before:
                    yield f"layer {place} narrows from {before} to {after} channels; widths must not decrease (eq. 3)"
