"""The spaces that have a name: the presets of every family, and each of them at another image size.

The one rule of sizes. `NAME@SIZE` is a named space for images of SIZE pixels, and `NAME@SIZE/FACTOR` the same with a
FACTOR-th of its channels:

1. Halvings of the maps are dropped, never added, until the last map has four pixels (or as many as at the space's own
   size, if these are fewer). NAS-BNN drops the stem's first, then those of the stages from the last one; cells drop the
   three of the stem together; the base network of a width space has fixed ones.
2. The size is rounded to the nearest multiple of what the halvings need, since maps are halved without a rest.
3. FACTOR divides the widths of NAS-BNN, the width of cells, the ratios of a width space; depths, kernels, groups stay.

    >>> space = get_space("nasbnn@96/4")
    >>> space.name, space.image_size, space.stem_stride, space.stem_widths
    ('nasbnn@96/4', 96, 1, (6, 8, 12))
"""

import re
from importlib import import_module
from importlib.util import find_spec

from spaces.declarations import FAMILIES, space_from
from spaces.errors import SpaceError, unknown
from spaces.space import Space
from spaces.tools.named import NamedNetwork

LEAST_SIZE, MOST_SIZE = 8, 256
_SIZED = re.compile(r"([^@]+)@([0-9]{1,4})(?:/([0-9]{1,3}))?")

# families of spaces that are made of other spaces have none that are named
_PRESETS = [
    import_module(f"{package}.presets")
    for package in dict.fromkeys(package for package, _ in FAMILIES.values())
    if not package.startswith("spaces.joint") and find_spec(f"{package}.presets")
]
SPACES: dict[str, Space[object]] = {space.name: space for presets in _PRESETS for space in presets.PRESETS}
NETWORKS: dict[str, NamedNetwork] = {
    network.name: network for presets in _PRESETS for network in getattr(presets, "NETWORKS", ())
}
"""The networks of papers that have a name, each a member of a named space."""


def get_network(name: str) -> NamedNetwork:
    """The network of a paper by its name. Raises `SpaceError` that names the nearest one otherwise."""
    if name not in NETWORKS:
        raise SpaceError(unknown("network", name, NETWORKS))
    return NETWORKS[name]


def get_space(name: str) -> Space[object]:
    """The space of a name, or of a name with a size: `nasbnn`, `nasbnn@96`, `nasbnn@96/4`.

    Raises `SpaceError` that names the nearest one otherwise.
    """
    if name in SPACES:
        return SPACES[name]
    match = _SIZED.fullmatch(name)
    if match is None or match[1] not in SPACES:
        hint = " (each also as NAME@SIZE or NAME@SIZE/FACTOR)" if "@" in name else ""
        raise SpaceError(unknown("space", match[1] if match else name, SPACES) + hint)
    return sized(SPACES[match[1]], int(match[2]), int(match[3] or 1))


def sized(space: Space[object], image_size: int, factor: int = 1) -> Space[object]:
    """A named space for images of another size, with a `factor`-th of its channels; see the module for the rule.

    Its name says both. Raises `SpaceError` for a size outside 8 to 256, or a factor that does not divide the widths.
    """
    if image_size == space.image_size and factor == 1:
        return space
    if not LEAST_SIZE <= image_size <= MOST_SIZE:
        raise SpaceError(
            f"space {space.name!r} can be had for images of {LEAST_SIZE} to {MOST_SIZE} pixels; got {image_size}"
        )
    if factor < 1:
        raise SpaceError(f"a factor divides the channels of {space.name!r}, so it is at least 1; got {factor}")
    package, _ = FAMILIES[space.family]
    presets = import_module(f"{package}.presets")
    if not hasattr(presets, "sized"):
        raise SpaceError(f"spaces of the family {space.family!r} have one size: take {space.name!r} without @")
    fitted = presets.sized(space, image_size)
    name = f"{space.name}@{fitted.image_size}" + (f"/{factor}" if factor > 1 else "")
    return presets.narrowed(fitted, factor, name)


def resized(space: Space[object], image_size: int) -> Space[object]:
    """The space under its own name for images of another size: by the rule of sizes from 8 to 256 pixels and in the
    families that have one, else with maps of another size alone."""
    package, _ = FAMILIES[space.family]
    if not LEAST_SIZE <= image_size <= MOST_SIZE or not hasattr(import_module(f"{package}.presets"), "sized"):
        return space.for_data(image_size=image_size)
    return space_from({**sized(space, image_size).declaration(), "name": space.name})
