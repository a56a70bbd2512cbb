"""Where the four packages come from, what hides them, and how they reach the nodes of a cluster."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

PACKAGES = ("spaces", "models", "search", "analysis")
HOME = Path(__file__).resolve().parents[2]
"""The folder that holds the four packages and `binarynas.py`."""


def shadowed() -> str | None:
    """A sentence that names a package of ours that another one of the same name hides; None where none is hidden."""
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != HOME:
            found = f"is hidden by {origin.parent}" if origin else "is missing"
            return (
                f"binarynas: its package '{name}' {found}: remove that from the Python path (PYTHONPATH, or another "
                "distribution), or use binarynas in a virtual environment of its own."
            )
    return None


@contextmanager
def travelling_code() -> Generator[Path]:
    """A folder with only this program's code, which Ray copies to every node: nothing of ours is installed there."""
    with TemporaryDirectory(prefix="binarynas-code-") as name:
        folder = Path(name)
        shutil.copy(HOME / "binarynas.py", folder)
        for package in PACKAGES:
            shutil.copytree(HOME / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        yield folder
