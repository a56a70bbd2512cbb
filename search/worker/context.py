"""What the tasks of a run share within one worker: the data, the weights to start from, and seeds."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import torch
from torch import nn

from models.checkpoints.folder import Verify
from models.checkpoints.networks import load_network, load_supernet, take_over
from models.checkpoints.teachers import load_teacher
from models.families import build_network, family_of
from models.layers.binary import set_mode
from models.layers.modes import Mode
from models.network import AnyNetwork, AnySupernet, Supernet
from search.config.sections import StagedTrainConfig, TrainConfig
from search.data.augment import Augmentation
from search.data.dataset import DataSet, Split, TensorSplit
from search.data.errors import DataError
from search.data.opening import open_data
from search.data.splits import ClassRanking
from search.data.stream import StreamSplit
from search.latency.table import LatencyTable, read_table
from search.runs.folder import Run
from search.runs.records import Stage
from search.seeds import derive_seed
from search.training.evaluation import recalibrate_on
from search.training.loop import train
from search.training.own import TrainingCode
from search.training.ranks import ALONE, Ranks
from search.training.steps import Epoch, Step
from search.training.teachers import Lessons
from search.worker.device import compute_in_float32, lacks_precision, pick_device, pick_precision, precision_name
from search.worker.memory import keep_memory
from search.worker.tasks import ExecutionError
from spaces import Candidate
from spaces.hyperparameters.space import HyperparameterSpace

if TYPE_CHECKING:
    from models.detection.shared import SharedDetector
    from search.data.detection.pictures import PictureSet


REPORT_SECONDS = 5.0
"""Between two reports within an epoch, of a training that is a phase of its own."""


C = TypeVar("C", bound=StagedTrainConfig)


class Context:
    """One run, opened by a worker. Images and weights are mapped into memory and reach a worker without a copy."""

    def __init__(
        self,
        path: Path,
        code: TrainingCode | None = None,
        ranks: Ranks = ALONE,
        device: torch.device | None = None,
    ) -> None:
        keep_memory()
        compute_in_float32()
        self.ranks = ranks
        """The processes that do every task of this worker at the same time, each with its share of the images."""
        self.code = code
        """What trains a network instead of what the configuration names."""
        self.run = Run(path)
        self.config = self.run.config
        self.device = device or pick_device(self.config.execution.device)
        self.precision = pick_precision(self.config.execution.precision, self.device, self.run.architectures.image_size)
        """Of forward passes in training; see `search.training.steps.autocast`."""
        self._lessons: dict[tuple[tuple[str, ...], float], Lessons] = {}

    @property
    def keeps(self) -> bool:
        """Whether this worker writes what a training leaves; of several, the first one does."""
        return self.ranks.rank == 0

    def train_in_stages(
        self,
        network: nn.Module,
        make_step: Callable[[C, Mode | None], Step],
        split: Split,
        config: C,
        *,
        purpose: Sequence[str],
        folder: Path,
        until: int | None = None,
        report_seconds: float = math.inf,
    ) -> Iterator[tuple[Epoch, bool]]:
        """Train a network in each of the stages of `config`, one after another: epochs, numbered through all stages,
        and whether they are of the last one, which alone may be paused, `until` epochs of its own.

        `make_step(settings, mode)` is the step of a stage. Checkpoints of the stages lie beside one another in
        `folder`, so that a training goes on within the stage in which it was stopped.
        """
        lessons, before = self.lessons(config), 0
        for stage in config.stages():
            settings, last = stage.settings, before + stage.settings.epochs == config.total_epochs
            name = [] if last else [str(stage.mode)]
            if stage.mode is not None:
                set_mode(network, stage.mode)
            if stage.start is not None:
                _start_from(network, self.run.start(stage.start))
            step, images = lessons.taught(make_step(settings, stage.mode), split, settings, self.device)
            for epoch in self.train(
                network,
                step,
                images,
                settings,
                seed=self.seed(*purpose, *name),
                checkpoints=folder / "-".join(["checkpoints", *name]),
                until=until if last else None,
                report_seconds=report_seconds,
            ):
                yield replace(epoch, epoch=before + epoch.epoch, epochs=config.total_epochs), last
            before += settings.epochs

    def lessons(self, config: StagedTrainConfig) -> Lessons:
        """What the teachers of a training say of images; trainings of one worker share what is kept of it."""
        key = (tuple(teacher.id for teacher in config.teachers), config.teacher_temperature)
        if key not in self._lessons:
            data = self.run.info["data"]
            teachers = [load_teacher(self.run.teacher(name), data["mean"], data["std"]) for name in key[0]]
            teachers = [teacher.to(self.device) for teacher in teachers]
            self._lessons[key] = Lessons(teachers, config.teacher_temperature, self.precision)
        return self._lessons[key]

    def train(
        self,
        network: nn.Module,
        step: Step,
        split: Split,
        config: TrainConfig,
        *,
        seed: int,
        checkpoints: Path,
        until: int | None = None,
        report_seconds: float = math.inf,
    ) -> Iterator[Epoch]:
        """Train a network, together with the other workers where there are any; see `search.training.loop.train`."""
        epochs = train(
            network,
            step,
            split,
            config,
            seed=seed,
            checkpoints=checkpoints,
            until=until,
            ranks=self.ranks,
            checkpoint_seconds=60 * self.config.execution.checkpoint_minutes,
            report_seconds=report_seconds,
        )
        return (replace(epoch, precision=precision_name(self.precision)) for epoch in epochs)

    def open(self) -> None:
        """Open the images or pictures that tasks need, in a worker's first second.

        Raises `DataError` where they are not to be seen from here, or not those that the run began with, and
        `ExecutionError` where the device is not there.
        """
        if self.device.type == "cuda" and not torch.cuda.is_available():
            raise ExecutionError("execution.device is cuda, and torch finds no GPU here: set it to cpu or auto")
        if problem := lacks_precision(self.config.execution.precision, self.device):
            raise ExecutionError(problem)
        found = (self.pictures if self.config.method.detects else self.data).fingerprint
        begun = self.run.info["data"]["fingerprint"]
        if found != begun:
            raise DataError(
                f"its data are not those that the run began with: their fingerprint was {begun}, is {found}"
            )

    @cached_property
    def data(self) -> DataSet:
        """The images."""
        size = self.run.architectures.image_size
        return open_data(self.config.data, image_size=size, seed=self.config.seed, cache=self.run.data_cache)

    @cached_property
    def pictures(self) -> "PictureSet":
        """The pictures with boxes that detectors see."""
        from search.data.detection.opening import open_pictures  # classification needs none of it

        return open_pictures(self.config.detection.data, self.run.architectures.channels, self.config.seed)

    @cached_property
    def search_images(self) -> Split:
        """The training images that candidates and their parent see: all, or a fixed number per class."""
        count = self.config.training.images_per_class
        if count is None:
            return self.data.train
        labels = self.data.train.labels.numpy()
        ranking = ClassRanking.of(labels, str, self.config.seed, "search images")
        wanted = np.minimum(np.bincount(labels, minlength=self.data.classes), count)
        return self.data.train.subset(torch.from_numpy(ranking.first(wanted)))

    def augmented(self, images: Split, augmentation: int | float | str | None) -> Split:
        """Training images, changed as a hyperparameter says: none, flip, crop or crop+flip; None: as the data say."""
        if augmentation is None:
            return images
        words = str(augmentation)
        usual = Augmentation.of(self.config.data)
        padding = usual.crop_padding or max(self.data.image_size // 8, 1)  # 4 pixels of 32, as is usual
        chosen = Augmentation(
            crop_padding=padding if "crop" in words else 0,
            flip="horizontal" if "flip" in words else "none",
        )
        assert isinstance(images, TensorSplit | StreamSplit), "`open_data` makes no others"
        return replace(images, augmentation=chosen)

    @cached_property
    def supernet(self) -> AnySupernet:
        """The trained supernet."""
        # Its hash was checked when this phase began (`carry_out`); workers open it in milliseconds.
        return load_supernet(self.run.supernet, Verify.SIZES).to(self.device)

    @cached_property
    def shared(self) -> "SharedDetector":
        """The trained detector that candidates share."""
        from models.detection.checkpoints import load_shared  # loads torchvision

        return load_shared(self.run.shared, Verify.SIZES).to(self.device)

    @cached_property
    def parent(self) -> AnyNetwork:
        """The trained network from whose leading channels candidates start."""
        return load_network(self.run.parent / "network", Verify.SIZES)

    @cached_property
    def latencies(self) -> LatencyTable:
        """The table of latencies that the run began with, and what was measured since."""
        return read_table(self.run.latencies)

    def seed(self, *purpose: str | int) -> int:
        """A seed of the run for one use."""
        return derive_seed(self.config.seed, *purpose)

    def candidate(self, text: str, stage: Stage) -> Candidate:
        """The candidate of a trial's text form. Genotypes of searches are finally trained, so their text is that of an
        architecture alone."""
        space = self.run.space
        if stage in (Stage.FINAL, Stage.REFERENCE) and " with " not in text:
            space = self.run.architectures
        return space.split(space.parse(text))

    def search_settings(self, text: str) -> Mapping[str, Any]:
        """The settings that the text of a differentiable search stands for."""
        space = self.run.space
        assert isinstance(space, HyperparameterSpace), "differentiable searches walk over their settings"
        return space.values(space.parse(text))

    def new_network(self, candidate: Candidate, identity: str, **options: object) -> AnyNetwork:
        """A network with random weights that follow from the run's seed and the candidate's id."""
        with initial_weights(self.seed("initial weights", identity)):
            return build_network(candidate.space, candidate.architecture, **options).to(self.device)

    def inherited(self, architecture: Any) -> AnyNetwork:
        """A subnet with the supernet's weights and batch norm statistics made for it."""
        network = self.supernet.extract(architecture)
        self.recalibrate(network)
        return network

    def inherit(self, network: AnyNetwork) -> None:
        """Give a network the leading channels of the parent."""
        inherit = family_of(network.space).inherit
        assert inherit is not None, "`prepare` lets only spaces whose networks can inherit have a parent"
        inherit(network, self.parent)

    def recalibrate(self, network: nn.Module) -> None:
        """Compute batch norm statistics again, from the same training images for every network."""
        recalibrate_on(network, self.data.train, self.config.evaluation, seed=self.seed("recalibration"))


def _start_from(network: nn.Module, folder: Path) -> None:
    """Take over the tensors of a checkpoint that fit."""
    load = load_supernet if isinstance(cast("object", network), Supernet) else load_network
    take_over(network, load(folder, Verify.SIZES))


@contextmanager
def initial_weights(seed: int) -> Generator[None]:
    """Random weights that are made inside follow from the seed alone; torch's generator is afterwards as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
