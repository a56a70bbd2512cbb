"""What is wrong with the declaration of a width space, and why an architecture is not in one."""

from collections.abc import Iterator
from difflib import get_close_matches
from itertools import pairwise
from typing import TYPE_CHECKING

from spaces.hyperparameters.kinds import BINARISERS
from spaces.space import number_text
from spaces.width.architecture import Widths, channels
from spaces.width.bases import BASES, BaseNetwork

if TYPE_CHECKING:
    from spaces.width.space import WidthSpace

LEAST_RATIO, MOST_RATIO = 0.01, 100


def problems(space: "WidthSpace") -> Iterator[str]:
    """Everything wrong with a declaration."""
    for what, value, known in (("base network", space.base, BASES), ("binariser", space.binariser, BINARISERS)):
        if value not in known:
            near = get_close_matches(str(value), known, n=1)
            hint = f", did you mean {near[0]!r}?" if near else "."
            yield f"there is no {what} {value!r}{hint} The {what}s are {', '.join(known)}"
    ratios = space.ratios
    numbers = all(type(ratio) in (int, float) for ratio in ratios)
    ascending = numbers and bool(ratios) and all(a < b for a, b in pairwise((0, *ratios)))
    if not ascending or not LEAST_RATIO <= ratios[0] <= ratios[-1] <= MOST_RATIO:
        yield f"ratios must be ascending numbers from {LEAST_RATIO} to {MOST_RATIO}, got ({_listed(ratios)})"
        ascending = False
    for field in ("classes", "channels"):
        value = getattr(space, field)
        if type(value) is not int or value < 1:
            yield f"{field} must be an integer of at least 1, got {value!r}"
    if space.base not in BASES:
        return
    network = BASES[space.base]
    if type(space.image_size) is not int or space.image_size < 1 or space.image_size % network.stride:
        yield (
            f"image_size must be a multiple of {network.stride}, the product of the strides and pools of {space.base}; "
            f"got {space.image_size!r}"
        )
    if ascending:
        yield from _misfits(space, network)


def _misfits(space: "WidthSpace", network: BaseNetwork) -> Iterator[str]:
    """Well-formed ratios that do not go together with the base network or the binariser."""
    base = {convolution.name: convolution.channels for convolution in network.convolutions}
    for name, width in base.items():
        for one, other in pairwise(space.ratios):
            if channels(one, width) == channels(other, width):
                yield (
                    f"ratios {number_text(one)} and {number_text(other)} both give {name} a width of "
                    f"{channels(one, width)}; leave one out"
                )
                return
    if space.binariser == "xnor":
        for convolution in network.convolutions[1:]:
            if channels(space.ratios[0], base[convolution.source]) == 1:
                yield (
                    f"ratio {number_text(space.ratios[0])} gives {convolution.source} a single channel, whose filters "
                    "the binariser xnor would centre to zero; leave it out"
                )
                return


def objections(space: "WidthSpace", architecture: Widths) -> Iterator[str]:
    """Every reason why an architecture is not in the space."""
    genes = space.network.genes
    if len(architecture.ratios) != len(genes):
        yield f"{len(architecture.ratios)} ratios where {space.base} has {len(genes)}: {', '.join(genes)}"
        return
    for place, (gene, ratio) in enumerate(zip(genes, architecture.ratios, strict=True), 1):
        if ratio not in space.ratios:
            yield f"ratio {number_text(ratio)} in place {place} ({gene}) is not one of {_listed(space.ratios)}"


def _listed(values: tuple[float, ...]) -> str:
    return ", ".join(repr(value) if isinstance(value, bool | str) else number_text(value) for value in values)
