"""The fields of a width space, what can be wrong with them, and why ratios are not in the space."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from spaces.errors import listed, refuse, unknown
from spaces.hyperparameters.kinds import BINARISERS
from spaces.space import ascending, number_text
from spaces.width.architecture import Widths, channels
from spaces.width.bases import BASES, BaseNetwork

LEAST_RATIO, MOST_RATIO = 0.01, 100


@dataclass(frozen=True)
class WidthDeclaration:
    """The fields of `WidthSpace`. Raises `SpaceError` that lists everything wrong with them."""

    name: str
    base: str
    ratios: tuple[float, ...] = (0.25, 0.5, 1, 2, 3, 4)
    binariser: str = "dorefa"
    image_size: int = 32
    classes: int = 10
    channels: int = 3

    def __post_init__(self) -> None:
        object.__setattr__(self, "ratios", tuple(self.ratios))
        refuse(self.name, self.problems())
        object.__setattr__(self, "ratios", tuple(map(float, self.ratios)))

    @property
    def network(self) -> BaseNetwork:
        """The base network itself."""
        return BASES[self.base]

    def problems(self) -> Iterator[str]:
        """Everything wrong with the fields."""
        for what, value, known in (("base network", self.base, BASES), ("binariser", self.binariser, BINARISERS)):
            if value not in known:
                yield unknown(what, value, known)
        ratios = self.ratios
        numbers = all(type(ratio) in (int, float) for ratio in ratios)
        well_formed = numbers and ascending((0, *ratios)) and bool(ratios)
        if not well_formed or not LEAST_RATIO <= ratios[0] <= ratios[-1] <= MOST_RATIO:
            given = listed(number_text(ratio) if type(ratio) in (int, float) else repr(ratio) for ratio in ratios)
            yield f"ratios must be ascending numbers from {LEAST_RATIO} to {MOST_RATIO}, got ({given})"
            well_formed = False
        for field in ("classes", "channels"):
            value = getattr(self, field)
            if type(value) is not int or value < 1:
                yield f"{field} must be an integer of at least 1, got {value!r}"
        if self.base not in BASES:
            return
        stride = self.network.stride
        if type(self.image_size) is not int or self.image_size < 1 or self.image_size % stride:
            yield (
                f"image_size must be a multiple of {stride}, the product of the strides and pools of {self.base}; "
                f"got {self.image_size!r}"
            )
        if well_formed:
            yield from self._misfits()

    def _misfits(self) -> Iterator[str]:
        """Well-formed ratios that do not go together with the base network or the binariser."""
        base = {convolution.name: convolution.channels for convolution in self.network.convolutions}
        for name, width in base.items():
            for one, other in pairwise(self.ratios):
                if channels(one, width) == channels(other, width):
                    yield (
                        f"ratios {number_text(one)} and {number_text(other)} both give {name} a width of "
                        f"{channels(one, width)}; leave one out"
                    )
                    return
        if self.binariser == "xnor":
            for convolution in self.network.convolutions[1:]:
                if channels(self.ratios[0], base[convolution.source]) == 1:
                    yield (
                        f"ratio {number_text(self.ratios[0])} gives {convolution.source} a single channel, whose "
                        "filters the binariser xnor would centre to zero; leave it out"
                    )
                    return

    def objections(self, member: Widths) -> Iterator[str]:
        """Every reason why ratios are not in the space."""
        genes = self.network.genes
        if len(member.ratios) != len(genes):
            yield f"{len(member.ratios)} ratios where {self.base} has {len(genes)}: {listed(genes)}"
            return
        for place, (gene, ratio) in enumerate(zip(genes, member.ratios, strict=True), 1):
            if ratio not in self.ratios:
                allowed = listed(map(number_text, self.ratios))
                yield f"ratio {number_text(ratio)} in place {place} ({gene}) is not one of {allowed}"
