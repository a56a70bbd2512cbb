"""The `binarynas` command: checks that the four packages are ours before it hands over to `search.cli`.

`spaces`, `models`, `search` and `analysis` are plain names that other distributions use as well. This module has a name
of its own, so that it can say what shadows them instead of failing somewhere inside.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("spaces", "models", "search", "analysis")


def shadowed() -> str | None:
    """Name, in one sentence, a package of ours that another one of the same name hides; None when all are ours."""
    home = Path(__file__).resolve().parent
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            found = f"is hidden by {origin.parent}" if origin else "is missing"
            return (
                f"binarynas: its package '{name}' {found}: remove that from the Python path (PYTHONPATH, or another "
                "distribution), or use binarynas in a virtual environment of its own."
            )
    return None


def main() -> None:
    """Run the command line."""
    problem = shadowed()
    if problem:
        sys.exit(problem)
    # Read when torch is loaded, here and in every worker: threads that wait spin for a moment only. Spinning for long
    # halves the speed of training on a machine that is busy otherwise; not spinning costs a third on a quiet one.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    from search.cli import main as command

    command()


if __name__ == "__main__":
    main()
