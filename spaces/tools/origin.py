"""Where the four packages come from, and what hides them."""

from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("spaces", "models", "analysis", "search")
HOME = Path(__file__).resolve().parents[2]
"""The folder that holds the four packages and `binarynas`."""


def hidden() -> str | None:
    """A sentence that names a package of ours that another one of the same name hides; None where none is hidden."""
    for name in PACKAGES:
        spec = find_spec(name)
        places = [spec.origin] if spec and spec.origin else list((spec and spec.submodule_search_locations) or ())
        if not places or Path(places[0]).resolve().parent.parent != HOME:
            found = f"is hidden by {places[0]}" if places else "is missing"
            return f"the package '{name}' of binarynas {found}: import it as `binarynas.{name}`, or rename the other"
    return None
