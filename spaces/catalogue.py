"""The spaces that have a name: the presets of every family."""

from importlib import import_module
from importlib.util import find_spec

from spaces.declarations import FAMILIES
from spaces.errors import SpaceError, unknown
from spaces.space import Space

SPACES: dict[str, Space[object]] = {
    space.name: space
    for package in dict.fromkeys(package for package, _ in FAMILIES.values())
    if find_spec(f"{package}.presets")
    for space in import_module(f"{package}.presets").PRESETS
}


def get_space(name: str) -> Space[object]:
    """The space of a name; raises `SpaceError` that names the nearest one otherwise."""
    if name in SPACES:
        return SPACES[name]
    raise SpaceError(unknown("space", name, SPACES))
