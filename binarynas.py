"""The `binarynas` command: checks that the four packages are ours before it hands over to `search.cli`.

`spaces`, `models`, `search` and `analysis` are plain names that other distributions use as well. This module has a name
of its own, so that it can say what shadows them instead of failing somewhere inside.
"""

import os
import sys


def main() -> None:
    """Run the command line."""
    try:
        from search.execution.code import shadowed
    except ImportError as error:
        sys.exit(f"binarynas: its package 'search' is missing, or hidden by another of that name: {error}")
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
