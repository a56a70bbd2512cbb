"""The spaces that have a name."""

from difflib import get_close_matches
from typing import Any

from spaces.cell.presets import NAMED as CELL_SPACES
from spaces.errors import SpaceError
from spaces.nasbnn.presets import NASBNN_SPACES
from spaces.space import Space
from spaces.width.presets import WIDTH_SPACES

SPACES: dict[str, Space[Any]] = {space.name: space for space in (*NASBNN_SPACES, *WIDTH_SPACES, *CELL_SPACES)}


def get_space(name: str) -> Space[Any]:
    """The space of a name; raises `SpaceError` that names the nearest one otherwise."""
    if name in SPACES:
        return SPACES[name]
    near = get_close_matches(name, SPACES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    raise SpaceError(f"there is no space {name!r}{hint} The spaces are {', '.join(SPACES)}")
