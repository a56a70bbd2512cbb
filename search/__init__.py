"""Data sets, training, proposers, the study, execution on Ray Tune, runs and the command line.

The names below are what other programs may import from `search`; everything else may move. They are loaded when they
are asked for, so that `import search` alone loads neither torch nor Ray nor Optuna.
"""

# the imports below are for type checkers and editors
# ruff: noqa: F401
# pyright: reportUnusedImport=false
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from search.config.execution import ExecutionConfig
    from search.config.loading import load_config, presets
    from search.config.run import Method, RunConfig
    from search.config.search import EvaluationConfig, SearchConfig
    from search.config.sections import ConfigError
    from search.config.space import SpaceConfig
    from search.config.trainings import (
        CandidateConfig,
        DifferentiableConfig,
        FinalConfig,
        FinetuneConfig,
        ParentConfig,
        SupernetConfig,
    )
    from search.conformance import check_proposer
    from search.data.config import DataConfig
    from search.data.errors import DataError
    from search.data.opening import open_data
    from search.execution.executors import make_executor
    from search.pipeline.carry_out import carry_out
    from search.pipeline.prepare import prepare
    from search.pipeline.view import make_view
    from search.proposers.base import History, Picker, Proposer, make_proposer
    from search.runs.folder import Run, open_run
    from search.runs.locking import writing
    from search.runs.records import Proposal, Record
    from search.runs.study import read_records
    from search.seeds import derive_rng, derive_seed

_PLACES = {
    "search.config.execution": "ExecutionConfig",
    "search.config.loading": "load_config presets",
    "search.config.run": "Method RunConfig",
    "search.config.search": "EvaluationConfig SearchConfig",
    "search.config.sections": "ConfigError",
    "search.config.space": "SpaceConfig",
    "search.config.trainings": "CandidateConfig DifferentiableConfig FinalConfig FinetuneConfig ParentConfig "
    "SupernetConfig",
    "search.conformance": "check_proposer",
    "search.data.config": "DataConfig",
    "search.data.errors": "DataError",
    "search.data.opening": "open_data",
    "search.execution.executors": "make_executor",
    "search.pipeline.carry_out": "carry_out",
    "search.pipeline.prepare": "prepare",
    "search.pipeline.view": "make_view",
    "search.proposers.base": "History Picker Proposer make_proposer",
    "search.runs.folder": "Run open_run",
    "search.runs.locking": "writing",
    "search.runs.records": "Proposal Record",
    "search.runs.study": "read_records",
    "search.seeds": "derive_rng derive_seed",
}
__all__ = [name for names in _PLACES.values() for name in names.split()]  # pyright: ignore[reportUnsupportedDunderAll] - it reads the imports above


def __getattr__(name: str) -> object:
    """A public name, from the file that defines it."""
    for module, names in _PLACES.items():
        if name in names.split():
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'search' has no attribute {name!r}")
