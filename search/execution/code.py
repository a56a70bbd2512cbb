"""How the four packages reach Ray's workers, on this machine and on the nodes of a cluster."""

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from spaces.tools.origin import HOME, PACKAGES


def taking_ours() -> Callable[[], None]:
    """What a worker on this machine does first: it takes our packages from where this process has them.

    Ray puts the current folder first on its workers' path, and a user's own `models` or `search.py` may lie there.
    """
    home, names = str(HOME), PACKAGES

    def take() -> None:  # local, so that Ray sends its code: a worker may not find this module before it has run
        import sys
        from importlib import import_module

        sys.path.insert(0, home)
        for name in names:  # what is imported once is found whatever is on the path
            import_module(name)
        sys.path.remove(home)

    return take


@contextmanager
def travelling_code() -> Generator[Path]:
    """A folder with only this program's code, which Ray copies to every node: nothing of ours is installed there."""
    with TemporaryDirectory(prefix="binarynas-code-") as name:
        folder = Path(name)
        for package in ("binarynas", *PACKAGES):
            shutil.copytree(HOME / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        yield folder
