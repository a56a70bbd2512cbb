"""What the tasks of a run share within one worker: the data, the weights to start from, how a network is measured."""

from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from analysis.runs.schema import LATENCY
from models.checkpoints.folder import Verify
from models.checkpoints.networks import load_network, load_supernet
from models.families import build_network, family_of
from search.data.augment import Augmentation
from search.data.dataset import DataSet, Split
from search.data.opening import open_data
from search.data.splits import ClassRanking
from search.runs.folder import Run
from search.runs.records import Stage
from search.seeds import derive_seed
from search.training.evaluation import evaluate, evaluate_calls, recalibrate_on
from search.worker.device import has_vectors, pick_device
from search.worker.memory import keep_memory
from spaces import Space
from spaces.joint.space import split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from models.onebit.engine import Engine
    from search.latency.table import LatencyTable

FEWEST_IMAGES = 128
"""To evaluate a network on fewer images takes the 1-bit engine longer than torch, as it must be lowered first."""


@dataclass(frozen=True)
class Candidate:
    """A member of the searched space, taken apart: an architecture in its own space, and hyperparameters by name."""

    space: Space[Any]
    architecture: Any
    hyperparameters: Mapping[str, Any]

    def cost(self) -> dict[str, float]:
        """What it costs, as metrics."""
        return self.space.cost(self.architecture).metrics()

    def full_precision_cost(self) -> dict[str, float]:
        """What its full-precision twin costs."""
        return self.space.full_precision_cost(self.architecture).metrics()


class Context:
    """One run, opened by a worker. Images and weights are mapped into memory and reach a worker without a copy."""

    def __init__(self, path: Path) -> None:
        keep_memory()
        self.run = Run(path)
        self.config = self.run.config
        self.device = pick_device(self.config.execution.device)

    @cached_property
    def data(self) -> DataSet:
        """The images."""
        size = self.run.architectures.image_size
        return open_data(self.config.data, image_size=size, seed=self.config.seed, cache=self.run.data_cache)

    @cached_property
    def search_images(self) -> Split:
        """The training images that candidates and their parent see: all, or so many of each class."""
        count = self.config.training.images_per_class
        if count is None:
            return self.data.train
        labels = self.data.train.labels.numpy()
        ranking = ClassRanking.of(labels, str, self.config.seed, "search images")
        wanted = np.minimum(np.bincount(labels, minlength=self.data.classes), count)
        return self.data.train.subset(torch.from_numpy(ranking.first(wanted)))

    @cached_property
    def supernet(self) -> Any:
        """The trained supernet."""
        # Its hash was checked when this phase began (`carry_out`); workers open it in milliseconds.
        return load_supernet(self.run.supernet, Verify.SIZES).to(self.device)

    @cached_property
    def parent(self) -> Any:
        """The trained network from whose leading channels candidates start."""
        return load_network(self.run.parent / "network", Verify.SIZES)

    def seed(self, *purpose: str | int) -> int:
        """A seed of the run for one use."""
        return derive_seed(self.config.seed, *purpose)

    def candidate(self, text: str, stage: Stage) -> Candidate:
        """The candidate of a trial's text form. Genotypes of searches are finally trained, so their text is that of an
        architecture alone."""
        space: Space[Any] = self.run.space
        if stage in (Stage.FINAL, Stage.REFERENCE) and " with " not in text:
            space = self.run.architectures
        return Candidate(*split(space, space.parse(text)))

    def candidate_settings(self, text: str) -> Mapping[str, Any]:
        """The settings that the text of a differentiable search stands for."""
        space: Any = self.run.space
        return space.values(space.parse(text))

    def new_network(self, candidate: Candidate, identity: str, **options: Any) -> nn.Module:
        """A network with random weights that follow from the run's seed and the candidate's id."""
        with initial_weights(self.seed("initial weights", identity)):
            return build_network(candidate.space, candidate.architecture, **options).to(self.device)

    def inherited(self, architecture: Any) -> nn.Module:
        """A subnet with the supernet's weights and batch norm statistics made for it."""
        network = self.supernet.extract(architecture)
        self.recalibrate(network)
        return network

    def inherit(self, network: Any) -> None:
        """Give a network the leading channels of the parent."""
        inherit = family_of(network.space).inherit
        assert inherit is not None, "`prepare` lets only spaces whose networks can inherit have a parent"
        inherit(network, self.parent)

    def recalibrate(self, network: nn.Module) -> None:
        """Batch norm statistics anew, from the same training images for every network."""
        recalibrate_on(network, self.data.train, self.config.evaluation, seed=self.seed("recalibration"))

    def validate(self, network: nn.Module) -> dict[str, float]:
        """Accuracy and loss on the validation split."""
        return evaluate(network, self.data.validation, self.config.evaluation.batch_size)

    def validate_candidate(self, network: nn.Module) -> dict[str, float]:
        """As `validate`, with the 1-bit engine where the configuration asks for it, or where that is faster."""
        engine = self._engine(network)
        if engine is None:
            return self.validate(network)
        threads, size = self.config.execution.threads, self.config.evaluation.batch_size

        def call(images: torch.Tensor) -> torch.Tensor:
            return engine(images, threads=threads)

        return evaluate_calls(call, self.data.validation, size, torch.device("cpu"))

    def _engine(self, network: nn.Module) -> "Engine | None":
        """The engine for a candidate of a supernet: `auto` takes it where it was measured to be faster: networks of
        NAS-BNN on the CPU, where it is native with vectors, and at least `FEWEST_IMAGES`. Signs, and so classes, are
        those of the float simulation (`models.layers.tail.Tail.finish`), which machines without that engine take."""
        wanted = self.config.evaluation.engine
        slower = not family_of(self.run.architectures).engine_exact or len(self.data.validation) < FEWEST_IMAGES
        if wanted == "float" or (wanted == "auto" and (slower or self.device.type != "cpu" or not has_vectors())):
            return None
        from models.onebit.engine import Engine
        from models.onebit.lowering.lower import lower

        return Engine(lower(network))

    @cached_property
    def latencies(self) -> "LatencyTable":
        """The table of latencies that the run began with, and what was measured since."""
        from search.latency.table import read_table

        return read_table(self.run.latencies)

    def cost(self, candidate: Candidate) -> dict[str, float]:
        """What a candidate costs, as metrics; with its latency where the search asks for that."""
        if not self.config.search.needs_latency:
            return candidate.cost()
        from search.latency.programs import program_of
        from search.latency.table import measure_network

        if self.config.execution.latency == "measured":
            latency = measure_network(self.run.latencies, candidate.space, candidate.architecture)
        else:
            latency = self.latencies.predict(program_of(candidate.space, candidate.architecture))
        return {**candidate.cost(), LATENCY: latency}

    def augmented(self, images: Split, augmentation: str | None) -> Split:
        """Training images, changed as a hyperparameter says: none, flip, crop or crop+flip; None: as the data say."""
        if augmentation is None:
            return images
        usual = Augmentation.of(self.config.data)
        padding = usual.crop_padding or max(self.data.image_size // 8, 1)  # 4 pixels of 32, as is usual
        chosen = Augmentation(
            crop_padding=padding if "crop" in augmentation else 0,
            flip="horizontal" if "flip" in augmentation else "none",
        )
        return replace(images, augmentation=chosen)  # type: ignore[type-var]


@contextmanager
def initial_weights(seed: int) -> "Iterator[None]":
    """Random weights that are made inside follow from the seed alone; torch's generator is afterwards as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
