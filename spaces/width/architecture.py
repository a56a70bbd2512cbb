"""One choice of widths as a plain value, and its text form."""

import re
from dataclasses import dataclass

from spaces.errors import SpaceError, shown
from spaces.space import number_text

_NUMBER = re.compile(r"[0-9]{1,9}(\.[0-9]{1,20})?")


@dataclass(frozen=True)
class Widths:
    """The ratios by which a base network is made wider or narrower, in the order of its genes.

    >>> parse("1-0.5-2")
    Widths(ratios=(1.0, 0.5, 2.0))
    >>> str(parse("1.0-0.50-2"))
    '1-0.5-2'
    """

    ratios: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", tuple(float(ratio) for ratio in self.ratios))

    def __str__(self) -> str:
        """The text form: the ratios with dashes between, such as `1-0.5-2-4-0.25-1`."""
        return "-".join(map(number_text, self.ratios))

    def __format__(self, spec: str) -> str:
        return str(self).__format__(spec)


def parse(text: str) -> Widths:
    """Read a text form; white space around numbers does not matter.

    Raises `SpaceError` that quotes the part that is not a ratio. Whether the ratios belong to a space is for the space
    to say.
    """
    words = [word.strip() for word in text.split("-")]
    for place, word in enumerate(words, 1):
        if _NUMBER.fullmatch(word) is None:
            raise SpaceError(f"ratio {place}: {shown(word)} is not a ratio; write numbers and dashes, as in 1-0.5-2")
    return Widths(tuple(float(word) for word in words))


def channels(ratio: float, base: int) -> int:
    """The channels of a layer: its ratio of the base network's, rounded half up to a whole number, and at least one.

    >>> channels(0.25, 128), channels(0.25, 10), channels(0.25, 1)
    (32, 3, 1)
    """
    return max(1, int(ratio * base + 0.5))
