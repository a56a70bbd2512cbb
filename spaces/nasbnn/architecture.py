"""One NAS-BNN architecture as a plain value, and its text form."""

import re
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from spaces.errors import SpaceError, shown

LARGEST_NUMBER = 999_999
EXCITES = (0, 8, 32)
"""Bits of a squeeze-and-excite's weights; 0 for none."""
_LAYER = re.compile(r"c([1-9][0-9]{0,5})k([1-9][0-9]{0,5})g([1-9][0-9]{0,5})(?:e(8|32))?")
STEM_KERNEL_SIZE = 3


class Layer(NamedTuple):
    """One separable convolution: `width` is the output of its 1x1, `kernel_size` and `groups` belong to its kxk.

    `excite` is of how many bits the weights of both convolutions' squeeze-and-excite are, 0 where there is none.
    """

    width: int
    kernel_size: int
    groups: int
    excite: int = 0

    def __str__(self) -> str:
        """The text form, such as `c96k3g2`, or `c96k3g2e8` with a squeeze-and-excite of 8 bits."""
        gate = f"e{self.excite}" if self.excite else ""
        return f"c{self.width}k{self.kernel_size}g{self.groups}{gate}"


@dataclass(frozen=True)
class Architecture:
    """The width of the stem and the layers of every stage; only layers that are built.

    >>> text = "c24k3g1 | c48k3g1 c64k3g1 | c96k5g2"
    >>> parse(text).stages[0][1]
    Layer(width=64, kernel_size=3, groups=1, excite=0)
    >>> str(parse(text)) == text
    True
    """

    stem: int
    stages: tuple[tuple[Layer, ...], ...]

    def layers(self) -> tuple[Layer, ...]:
        """All layers after the stem, from input to output."""
        return tuple(chain.from_iterable(self.stages))

    def __str__(self) -> str:
        """The text form: the stem, then the stages, with bars between, as in the paper's Table 6."""
        stem = Layer(self.stem, STEM_KERNEL_SIZE, 1)
        stages = ((stem,), *self.stages)
        return " | ".join(" ".join(map(str, stage)) for stage in stages)

    def __format__(self, spec: str) -> str:
        return str(self).__format__(spec)


def parse(text: str) -> Architecture:
    """Read a text form; white space around bars and between layers does not matter.

    Raises `SpaceError` that quotes the part that is not a layer. Whether the architecture belongs to a space is for the
    space to say.
    """
    parts = text.split("|")
    stages = [
        tuple(_layer(word, f"stage {number}" if number else "the stem") for word in part.split())
        for number, part in enumerate(parts)
    ]
    if len(stages[0]) != 1:
        raise SpaceError(
            f"the part before the first '|' is the stem, one layer such as c24k3g1; got {parts[0].strip()!r}"
        )
    stem = stages[0][0]
    if stem[1:] != (STEM_KERNEL_SIZE, 1, 0):
        raise SpaceError(
            f"the stem is a 3x3 convolution in one group, such as c{stem.width}k3g1; got {parts[0].strip()!r}"
        )
    return Architecture(stem.width, tuple(stages[1:]))


def _layer(word: str, where: str) -> Layer:
    match = _LAYER.fullmatch(word)
    if match is None:
        raise SpaceError(
            f"{where}: {shown(word)} is not a layer; write width, kernel and groups as in c96k3g2, "
            "or c96k3g2e8 with a squeeze-and-excite of 8 or 32 bits"
        )
    return Layer(*(int(number) for number in match.groups("0")))
