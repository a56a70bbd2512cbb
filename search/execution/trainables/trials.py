"""The trainables: each a `tune.Trainable` around a worker, whose step is one more epoch and reports metrics by name."""

import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

from ray import tune

from models.checkpoints.folder import CheckpointError
from search.config.run import Method
from search.config.sections import NO_VALUES, PlainTrainConfig
from search.config.trainings import DifferentiableConfig
from search.execution.trainables.candidate import ARCHITECTURE, read_candidate, read_settings
from search.execution.trainables.outcome import metrics_of
from search.execution.trainables.setting import Setting
from search.runs.folder import Run
from search.runs.records import Stage
from search.training.own import TrainingCode
from search.worker.tasks import Evaluate, Fit, SearchCells, Task, TrialInput
from search.worker.worker import Worker
from spaces.tools.files import write_atomically

_FILE, _FORMAT = "trial.json", 1


class WorkerTrial(tune.Trainable):
    """A Tune trial around a worker: what a user's Tuner and a run have in common."""

    worker: Worker


class CandidateTrial(WorkerTrial):
    """One trial of a Tuner. A subclass has a `setting`; see `search.execution.trainables.public`.

    What a checkpoint holds is what a run keeps of the same training: tensors, JSON and manifests, and `trial.json`.
    Reading one runs no code.
    """

    setting: ClassVar[Setting]

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """The threads of an evaluation, and a GPU where `execution.device` is cuda; `tune.with_resources` says more."""
        execution = cls.setting.config().execution
        gpu = {"GPU": execution.gpu_share or 1.0} if execution.device == "cuda" else {}
        return tune.PlacementGroupFactory([{"CPU": float(execution.threads), **gpu}])

    def __repr__(self) -> str:
        """What dashboards show of the process."""
        return type(self).__name__

    def setup(self, config: dict[str, Any]) -> None:
        """Begin the trial of a configuration."""
        self._place: TemporaryDirectory[str] | None = None
        self.setting.require_seen()
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in this process: nothing of the one before is used."""
        self.cleanup()
        self._done = 0
        self.begin(new_config)
        return True

    def begin(self, config: dict[str, Any]) -> None:
        """Set `worker`, `trial`, `shown` (the text that is reported), `epochs` (in all), and `kept`, the folder whose
        content is a checkpoint, or None."""
        raise NotImplementedError

    def task(self, until: int) -> Task:
        """The task that goes on up to an epoch."""
        raise NotImplementedError

    trial: TrialInput
    shown: str
    epochs: int
    kept: Path | None

    def step(self) -> dict[str, Any]:
        """One more epoch, or the one evaluation."""
        self._done += 1
        metrics = metrics_of(self.worker.run(self.task(self._done)))
        return {ARCHITECTURE: self.shown, "id": self.trial.id, **metrics, "done": self._done >= self.epochs}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """What the training needs to go on; a trained network is in `training/network`."""
        folder = Path(checkpoint_dir)
        if self.kept is not None and self.kept.exists():
            shutil.copytree(self.kept, folder / "training", ignore=_older)
        facts = {"format": _FORMAT, "epochs": self._done, ARCHITECTURE: self._architecture()}
        write_atomically(folder / _FILE, json.dumps(facts))

    def load_checkpoint(self, checkpoint: dict[str, Any] | str | None) -> None:
        """Go on where a trial of the same architecture was; its hyperparameters may be others, those of this one hold.

        Raises `CheckpointError` for a checkpoint of another architecture, or something else.
        """
        folder = Path(str(checkpoint))
        try:
            facts = json.loads((folder / _FILE).read_text())
            done, architecture = int(facts["epochs"]), str(facts[ARCHITECTURE])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"{folder} is not the checkpoint of a trial of binarynas: {error}") from error
        if facts.get("format") != _FORMAT:
            raise CheckpointError(f"{folder} has format {facts.get('format')!r}; this binarynas reads {_FORMAT}")
        if architecture != self._architecture():
            raise CheckpointError(
                f"the checkpoint is one of architecture {architecture}, the trial has {self._architecture()}: weights "
                "go from trial to trial only within one architecture. Leave its parameters out of what is mutated, or "
                "search the hyperparameters of one architecture (OnlySpace)"
            )
        self._done = done
        if self.kept is not None and (folder / "training").is_dir():
            shutil.rmtree(self.kept, ignore_errors=True)
            shutil.copytree(folder / "training", self.kept)

    def cleanup(self) -> None:
        """Delete the trial's own folder."""
        if self._place is not None:
            self._place.cleanup()
            self._place = None

    def _architecture(self) -> str:
        return self.trial.architecture.partition(" with ")[0]


class SubnetTrial(CandidateTrial):
    """Measures an architecture with the weights of a supernet, which all trials of a node map from one file."""

    def begin(self, config: dict[str, Any]) -> None:
        """See `CandidateTrial`. The worker, and with it the data and the supernet, stays for the next trial."""
        asked = read_candidate(self.setting.space, config, ())
        if not hasattr(self, "worker"):
            self.worker = Worker(self.setting.folder)
        self.trial, self.shown = TrialInput(0, asked.member, asked.id), asked.member
        self.epochs, self.kept = 1, None

    def task(self, until: int) -> Task:
        """See `CandidateTrial`."""
        return Evaluate((self.trial,))


class NetworkTrial(CandidateTrial):
    """Trains a network: from random weights, a parent's leading channels, or a supernet's weights."""

    def begin(self, config: dict[str, Any]) -> None:
        """See `CandidateTrial`."""
        common = self.setting.config()
        self._stage = Stage.FINETUNED if common.method is Method.ONE_SHOT else Stage.TRAINED
        section = common.finetune if self._stage is Stage.FINETUNED else common.training
        asked = read_candidate(self.setting.space, config, read_by(section, self.setting.code))
        self._place = self.setting.folder_of_trial(asked.hyperparameters)
        run = Run(Path(self._place.name))
        joined = run.config.space.hyperparameter_space()
        text = asked.architecture if joined is None else f"{asked.architecture} with {joined.unrank(0)}"
        self.trial, self.shown = TrialInput(0, text, asked.id), asked.member
        staged = section.with_values(asked.hyperparameters)
        self.epochs = staged.last_epochs
        self.kept = run.weights(self._stage, asked.id)
        self.worker = Worker(run.path, self.setting.code)

    def task(self, until: int) -> Task:
        """See `CandidateTrial`."""
        return Fit((self.trial,), self._stage, until)


class CellTrial(CandidateTrial):
    """One differentiable search for cells; what it finds so far is reported after every epoch."""

    def begin(self, config: dict[str, Any]) -> None:
        """See `CandidateTrial`."""
        values = read_settings(config, {*DifferentiableConfig.model_fields, "seed"})
        self._place = self.setting.folder_of_trial(values)
        run = Run(Path(self._place.name))
        self.trial, self.shown = TrialInput(0, run.space.format(run.space.unrank(0)), "search"), ""
        self.epochs = int(values.get("epochs", run.config.differentiable.epochs))
        self.kept = run.searched(self.trial.id)
        self.worker = Worker(run.path)

    def task(self, until: int) -> Task:
        """See `CandidateTrial`."""
        return SearchCells((self.trial,), until)

    def step(self) -> dict[str, Any]:
        """One more epoch; the architecture and its id are those of the genotype that is read after it."""
        found = super().step()
        space, text = self.setting.space, found[self.setting.config().final.genotype]
        return {**found, ARCHITECTURE: text, "id": space.id(space.parse(text))}

    def _architecture(self) -> str:
        return self.setting.space.name


def read_by(section: PlainTrainConfig, code: TrainingCode) -> set[str]:
    """The hyperparameters that a training reads: its settings, what a user's own function reads, and those of images
    and networks."""
    settings = (PlainTrainConfig.model_fields.keys() - NO_VALUES) | ({"drop_path"} & set(type(section).model_fields))
    return settings | {"augmentation", "binariser"} | code.parameters()


def _older(folder: str | os.PathLike[str], names: list[str]) -> list[str]:
    """All steps of a series of checkpoints but the last."""
    return sorted(name for name in names if name.startswith("step-"))[:-1]
