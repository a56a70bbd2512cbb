"""What the trials of a trainable share: a prepared configuration, its data and its first weights, in a folder."""

import atexit
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from analysis.runs.layout import CONFIG_FILE, LATENCIES_FILE, RUN_FILE
from search.config.run import RunConfig
from search.config.space import AnySpace, SpaceConfig
from search.pipeline.prepare import prepare
from search.runs.folder import STARTS, TEACHERS, Run
from search.training.own import TrainingCode
from search.worker.context import Context
from search.worker.latency import measure_latencies
from search.worker.tasks import ExecutionError
from spaces.tools.files import write_atomically

_SHARED = ("data", "supernet", "reference", TEACHERS, STARTS, RUN_FILE, LATENCIES_FILE)


@dataclass(frozen=True)
class Setting:
    """The folder is laid out as a run's, without a journal: a worker opens it as it opens a run.

    It is a temporary one of this machine, gone when this process ends, or one of the user's, for a cluster.
    """

    folder: Path
    space: AnySpace
    code: TrainingCode

    @classmethod
    def prepared(cls, config: RunConfig, space: AnySpace, code: TrainingCode, scratch: Path | str | None) -> "Setting":
        """Check everything that can be wrong, and make the folder. Raises as `prepare` does."""
        if scratch is None:
            folder = Path(tempfile.mkdtemp(prefix="binarynas-trials-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
        else:
            Path(scratch).mkdir(parents=True, exist_ok=True)
            folder = Path(tempfile.mkdtemp(prefix="trials-", dir=Path(scratch).resolve()))
        run = prepare(config, folder)
        if config.search.needs_latency and not run.latencies.exists():
            measure_latencies(Context(run.path))
        return cls(run.path, space, code)

    def config(self) -> RunConfig:
        """The configuration that all trials have."""
        return Run(self.folder).config

    def require_seen(self) -> None:
        """Raise `ExecutionError` on a node that does not see the folder."""
        if not (self.folder / RUN_FILE).is_file():
            raise ExecutionError(
                f"{os.uname().nodename} does not see {self.folder}, which holds the data and the weights: on a "
                "cluster, give the trainable scratch=, a folder on storage that every node mounts at the same path"
            )

    def folder_of_trial(self, hyperparameters: Mapping[str, Any]) -> TemporaryDirectory[str]:
        """A folder for one trial, of the same layout: its configuration has its hyperparameters, the rest is shared."""
        self.require_seen()
        place = TemporaryDirectory(prefix="trial-", dir=self.folder, ignore_cleanup_errors=True)
        for name in _SHARED:
            if (self.folder / name).exists():
                (Path(place.name) / name).symlink_to(self.folder / name)
        config = self.config()
        section = config.space.model_dump(mode="json", exclude_unset=True)
        lists = {name: [value] for name, value in hyperparameters.items()}
        space = SpaceConfig.model_validate({**section, "hyperparameters": lists})
        write_atomically(Path(place.name) / CONFIG_FILE, config.model_copy(update={"space": space}).to_yaml())
        return place
