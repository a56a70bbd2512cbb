"""Find binary neural networks: the four packages by a name that no folder of yours has, and what people use most.

>>> import binarynas
>>> binarynas.get_space("nasbnn-digits").count()
...
>>> from binarynas.analysis import load_trials, pareto_front

`binarynas.spaces`, `binarynas.models`, `binarynas.search` and `binarynas.analysis` are the packages `spaces`, `models`,
`search` and `analysis` themselves, taken from where this one lies. Everything is loaded when it is asked for.
"""

# the imports below are for type checkers and editors
# ruff: noqa: F401
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from binarynas import packages

if TYPE_CHECKING:
    import analysis as analysis
    import models as models
    import search as search
    import spaces as spaces
    from analysis import (
        choose,
        compare,
        frontier_data,
        load_front,
        load_trials,
        plot_frontier,
        save_figure,
        write_report,
    )
    from models import Engine, build_network, load_network, lower, read_model, write_model
    from search import DataConfig, RunConfig, carry_out, load_config, open_data, open_run, prepare, writing
    from spaces import SPACES, get_space, sample_within

_NAMES = {
    "analysis": "choose compare frontier_data load_front load_trials plot_frontier save_figure write_report",
    "models": "Engine build_network load_network lower read_model write_model",
    "search": "DataConfig RunConfig carry_out load_config open_data open_run prepare writing",
    "spaces": "SPACES get_space sample_within",
}
_PLACES = {name: package for package, names in _NAMES.items() for name in names.split()}
if not TYPE_CHECKING:
    __all__ = [*packages.PACKAGES, *_PLACES]

if packages.ALIASES not in sys.meta_path:
    sys.meta_path.insert(0, packages.ALIASES)


def __getattr__(name: str) -> object:
    if name in packages.PACKAGES:
        return import_module(f"binarynas.{name}")
    if name in _PLACES:
        return getattr(import_module(f"binarynas.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'binarynas' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *packages.PACKAGES, *_PLACES})


def main() -> None:
    """Run the command line. Only our own packages count, whatever stands in the current folder."""
    try:
        packages.take()
    except ImportError as error:
        sys.exit(f"binarynas: {error}")
    # Read when torch is loaded, here and in every worker: threads that wait spin for a moment only. Spinning for long
    # halves the speed of training on a machine that is busy otherwise; not spinning costs a third on a quiet one.
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    from search.cli import main as command

    command()
