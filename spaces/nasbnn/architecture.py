"""One NAS-BNN architecture as a plain value, and its text form."""

import re
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

from spaces.errors import SpaceError

LARGEST_NUMBER = 999_999
_LAYER = re.compile(r"c([1-9][0-9]{0,5})k([1-9][0-9]{0,5})g([1-9][0-9]{0,5})")
STEM_KERNEL_SIZE = 3


class Layer(NamedTuple):
    """One separable convolution: `width` is the output of its 1x1, `kernel_size` and `groups` belong to its kxk."""

    width: int
    kernel_size: int
    groups: int


@dataclass(frozen=True)
class Architecture:
    """The width of the stem and the layers of every stage; layers that are not built are not there.

    >>> text = "c24k3g1 | c48k3g1 c64k3g1 | c96k5g2"
    >>> parse(text).stages[0][1]
    Layer(width=64, kernel_size=3, groups=1)
    >>> str(parse(text)) == text
    True
    """

    stem: int
    stages: tuple[tuple[Layer, ...], ...]

    def layers(self) -> tuple[Layer, ...]:
        """All layers behind the stem, from input to output."""
        return tuple(chain.from_iterable(self.stages))

    def __str__(self) -> str:
        return format_architecture(self)

    def __format__(self, spec: str) -> str:
        return format_architecture(self).__format__(spec)


def format_architecture(architecture: Architecture) -> str:
    """The text form: the stem, then a stage between bars, as in the paper's Table 6."""
    stem = Layer(architecture.stem, STEM_KERNEL_SIZE, 1)
    stages = ((stem,), *architecture.stages)
    return " | ".join(" ".join(f"c{w}k{k}g{g}" for w, k, g in stage) for stage in stages)


def parse(text: str) -> Architecture:
    """Read a text form; white space around bars and between layers does not matter.

    Raises `SpaceError` that quotes the part that is no layer. Whether the architecture belongs to a space is for the
    space to say.
    """
    stages = [
        [_layer(word, f"stage {index}" if index else "the stem") for word in part.split()]
        for index, part in enumerate(text.split("|"))
    ]
    if len(stages[0]) != 1:
        raise SpaceError(
            f"the part before the first '|' is the stem, one layer such as c24k3g1; got {text.split('|')[0].strip()!r}"
        )
    stem = stages[0][0]
    if stem[1:] != (STEM_KERNEL_SIZE, 1):
        raise SpaceError(
            f"the stem is a 3x3 convolution in one group, such as c{stem.width}k3g1; got {text.split('|')[0].strip()!r}"
        )
    return Architecture(stem.width, tuple(tuple(stage) for stage in stages[1:]))


def _layer(word: str, where: str) -> Layer:
    match = _LAYER.fullmatch(word)
    if match is None:
        shown = word if len(word) <= 40 else word[:37] + "..."
        raise SpaceError(f"{where}: {shown!r} is no layer; write width, kernel and groups as in c96k3g2")
    return Layer(*(int(number) for number in match.groups()))
