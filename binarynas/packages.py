"""Takes the four packages from where this one lies, whatever else on Python's path has their names.

`spaces`, `models`, `search` and `analysis` are plain names, and many a project has a folder `models` or a file
`search.py` of its own. This file imports nothing of ours, so that it works where one of them is hidden.
"""

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

PACKAGES = ("spaces", "models", "analysis", "search")
HOME = Path(__file__).resolve().parents[1]
"""The folder that holds the four packages and `binarynas`."""


def take() -> list[str]:
    """Import the four packages from `HOME`; from then on their names mean ours in this process.

    Returns those that were not imported before. Raises `ImportError` where one is missing, or where the name was taken
    by another module before.
    """
    for name in PACKAGES:
        if name in sys.modules and _place(sys.modules[name].__spec__) != HOME:
            raise ImportError(
                f"binarynas needs the name '{name}' for its own package, and {_file(sys.modules[name].__spec__)} was "
                "imported under that name before: rename that, or import binarynas in a process of its own"
            )
    new = [name for name in PACKAGES if name not in sys.modules]
    sys.meta_path.insert(0, _HERE)
    try:
        for name in new:
            import_module(name)
    finally:
        sys.meta_path.remove(_HERE)
    return new


def take_openly() -> None:
    """The same in a program of the user's own: warn of its modules whose names are taken from now on."""
    new = take()
    specs = [PathFinder.find_spec(name) for name in new]
    files = [_file(spec) for spec in specs if spec and spec.origin and _place(spec) != HOME]
    if files:
        warnings.warn(
            f"binarynas has packages of the same names as {', '.join(files)}: those cannot be imported in this process "
            "any more; rename them if it needs them",
            stacklevel=3,
        )


def _place(spec: ModuleSpec | None) -> Path | None:
    """The folder that holds a package; None for what is no package with a file."""
    origin = Path(spec.origin).resolve() if spec and spec.origin else None
    return origin.parent.parent if origin and origin.name == "__init__.py" else None


def _file(spec: ModuleSpec | None) -> str:
    return spec.origin if spec and spec.origin else "another module"


class _Here(MetaPathFinder):
    """Finds the four packages in `HOME` alone."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return PathFinder.find_spec(fullname, [str(HOME)]) if fullname in PACKAGES else None


class _Aliases(MetaPathFinder, Loader):
    """Finds `binarynas.search.runs` where `search.runs` is: one module under two names."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        first, _, real = fullname.partition(".")
        ours = first == "binarynas" and real.partition(".")[0] in PACKAGES
        return ModuleSpec(fullname, self) if ours else None

    def exec_module(self, module: ModuleType) -> None:
        take_openly()
        # what stands here when this returns is what the import gives
        sys.modules[module.__name__] = import_module(module.__name__.partition(".")[2])


_HERE = _Here()
ALIASES = _Aliases()
