"""What a new run is made of, each opened once: configuration, data, spaces, and the checkpoints that it starts from."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from analysis.runs.layout import RUN_FILE
from models.checkpoints.folder import MANIFEST, CheckpointError
from models.checkpoints.networks import load_network, load_supernet
from models.families import Family, SupernetTraining, family_of
from search.config.run import Method, RunConfig
from search.data.dataset import DataSet
from search.runs.folder import SUPERNET
from spaces import Space


@dataclass(frozen=True)
class Prepared:
    """A configuration with the data and the spaces that it asks for: `space` is what is searched, `architectures` that
    of the networks alone; both have the data's classes and channels."""

    config: RunConfig
    data: DataSet
    space: Space[Any]
    architectures: Space[Any]

    @property
    def family(self) -> Family:
        """What the networks can do."""
        return family_of(self.architectures)

    @property
    def is_bilevel(self) -> bool:
        """Whether a mixture of layer types is trained, for a differentiable search or as a supernet."""
        mixed = self.family.supernet_training is SupernetTraining.BILEVEL
        return self.config.method is Method.DIFFERENTIABLE or (self.config.method is Method.ONE_SHOT and mixed)

    @cached_property
    def supernet(self) -> Any:
        """The given supernet, None without one. Raises `CheckpointError`."""
        return _supernet(self.config.supernet.checkpoint)

    @cached_property
    def start(self) -> Any:
        """The supernet of another run whose weights the training starts from, None without one.

        Raises `CheckpointError`.
        """
        return _supernet(self.config.supernet.start)

    @cached_property
    def parent(self) -> Any:
        """The given parent, None without one. Raises `CheckpointError`."""
        folder = self.config.parent.checkpoint
        return None if folder is None else load_network(folder)


def _supernet(source: str | None) -> Any:
    """The supernet of a run, or of a folder of its own."""
    if source is None:
        return None
    folder = Path(source)
    if not (folder / RUN_FILE).exists():
        return load_supernet(folder)
    if not (folder / SUPERNET / MANIFEST).exists():
        raise CheckpointError(f"{folder} is a run without a trained supernet: give one whose supernet is trained")
    return load_supernet(folder / SUPERNET)
