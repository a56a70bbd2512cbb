"""Data sets, training, proposers, the study, execution on Ray Tune, runs and the command line.

The names below are what other programs may import from `search`; everything else may move. They are loaded when they
are asked for, so that `import search` alone loads neither torch nor Ray nor Optuna.
"""

# the imports below are for type checkers and editors
# ruff: noqa: F401
# pyright: reportUnusedImport=false
from typing import TYPE_CHECKING

try:
    from spaces.tools.public import public_names
except ImportError as error:
    raise ImportError("another module named 'spaces' hides that of binarynas: write `import binarynas`") from error

if TYPE_CHECKING:
    from search.config.detection import DetectionConfig
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
    from search.data.detection.config import PicturesConfig
    from search.data.detection.opening import open_pictures
    from search.data.errors import DataError
    from search.data.opening import open_data
    from search.execution.executors import make_executor
    from search.execution.inline import InlineExecutor
    from search.execution.trainables.public import (
        evaluate_subnet,
        objective,
        search_cells,
        train_network,
        train_supernet,
    )
    from search.pipeline.carry_out import carry_out
    from search.pipeline.detection import detection_config, prepare_detection
    from search.pipeline.prepare import prepare
    from search.pipeline.view import make_view
    from search.proposers.base import History, Picker, Proposer, make_proposer
    from search.runs.folder import Run, open_run
    from search.runs.locking import writing
    from search.runs.records import Proposal, Record
    from search.runs.study import read_records
    from search.seeds import derive_rng, derive_seed
    from search.training.evaluation import evaluate, recalibrate_on

if not TYPE_CHECKING:
    __all__, __getattr__ = public_names(
        "search",
        {
            "config.detection": "DetectionConfig",
            "config.execution": "ExecutionConfig",
            "config.loading": "load_config presets",
            "config.run": "Method RunConfig",
            "config.search": "EvaluationConfig SearchConfig",
            "config.sections": "ConfigError",
            "config.space": "SpaceConfig",
            "config.trainings": "CandidateConfig DifferentiableConfig FinalConfig FinetuneConfig ParentConfig "
            "SupernetConfig",
            "conformance": "check_proposer",
            "data.config": "DataConfig",
            "data.detection.config": "PicturesConfig",
            "data.detection.opening": "open_pictures",
            "data.errors": "DataError",
            "data.opening": "open_data",
            "execution.executors": "make_executor",
            "execution.inline": "InlineExecutor",
            "pipeline.carry_out": "carry_out",
            "pipeline.detection": "detection_config prepare_detection",
            "pipeline.prepare": "prepare",
            "pipeline.view": "make_view",
            "proposers.base": "History Picker Proposer make_proposer",
            "runs.folder": "Run open_run",
            "runs.locking": "writing",
            "runs.records": "Proposal Record",
            "runs.study": "read_records",
            "seeds": "derive_rng derive_seed",
            "execution.trainables.public": "evaluate_subnet objective search_cells train_network train_supernet",
            "training.evaluation": "evaluate recalibrate_on",
        },
    )
