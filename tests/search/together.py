"""Trainings that are tried with one process and with several, and a program that is one of several:

python together.py FOLDER RANK COUNT [SCENARIO ...]
"""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from models.cell.supernet import MixedSupernet
from models.detection.detector import Detector, DetectorOptions, Seen
from models.families import build_network
from models.layers.binarisers import OvSW
from models.layers.binary import BinaryConv2d
from models.nasbnn.supernet import NasBnnSupernet
from models.width.network import WidthNetwork
from search.config.detection import DetectionConfig
from search.config.space import SpaceConfig
from search.config.trainings import DifferentiableConfig, FinetuneConfig, NetworkTrainConfig, SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.data.detection.config import PicturesConfig
from search.data.detection.opening import open_pictures
from search.training.bilevel import BilevelStep
from search.training.detection import detector_step
from search.training.loop import train
from search.training.ranks import Ranks, TorchRanks
from search.training.steps import Batch, Epoch, Step, plain_step, sandwich_step
from search.training.teachers import Lessons
from spaces import get_space
from spaces.cell import CellSpace

NONE = Augmentation()
SGD = {"optimiser": "sgd", "momentum": 0.0, "schedule": "constant", "learning_rate": 0.1}


def images(count: int = 72, seed: int = 0, channels: int = 1) -> TensorSplit:
    """Images of noise, cropped at random."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (count, channels, 8, 8), generator=generator, dtype=torch.uint8)
    return TensorSplit(pixels, torch.arange(count) % 10, Normalisation((0.4,), (0.3,)), Augmentation(crop_padding=1))


@dataclass(frozen=True)
class InDouble:
    """A split whose images are float64."""

    split: TensorSplit

    def __len__(self) -> int:
        return len(self.split)

    @property
    def labels(self) -> Tensor:
        return self.split.labels

    def batches(self, *given, **named) -> Iterator[tuple[Tensor, Tensor]]:
        return ((pixels.double(), labels) for pixels, labels in self.split.batches(*given, **named))


@dataclass(frozen=True)
class Result:
    """What a training leaves: weights, statistics and a step's own tensors; the epochs."""

    tensors: dict[str, Tensor]
    epochs: list[Epoch]


def sandwich(ranks: Ranks, **options) -> Result:
    """A supernet by sandwiches."""
    torch.manual_seed(0)
    supernet = NasBnnSupernet(get_space("nasbnn-digits"))
    config = SupernetConfig(epochs=2, batch_size=24, learning_rate=2e-3)
    return _trained(supernet, sandwich_step, images(), config, ranks, **options)


def widths(ranks: Ranks, **options) -> Result:
    """A width network."""
    torch.manual_seed(0)
    space = get_space("vgg-digits")
    config = NetworkTrainConfig(epochs=2, batch_size=24, learning_rate=1e-2)
    return _trained(WidthNetwork(space, space.smallest()), plain_step, images(), config, ranks, **options)


def taught(ranks: Ranks, **options) -> Result:
    """A width network that learns from two others, whose soft labels are kept per image, and from the labels."""
    torch.manual_seed(0)
    space = get_space("vgg-digits")
    config = FinetuneConfig(epochs=2, batch_size=24, learning_rate=1e-2, teacher_weight=0.7, teacher_temperature=2)
    network, *teachers = (WidthNetwork(space, space.smallest()) for _ in range(3))
    lessons, plain = Lessons([teacher.eval() for teacher in teachers], 2.0), replace(images(), augmentation=NONE)

    def make(network: nn.Module, config: FinetuneConfig) -> Step:
        return lessons.taught(plain_step(network, config), plain, config, torch.device("cpu"))[0]

    numbered = replace(plain, labels=torch.arange(len(plain)))
    return _trained(network, make, numbered, config, ranks, **options)


def silent(ranks: Ranks, **options) -> Result:
    """A width network whose silent weights decay."""
    torch.manual_seed(0)
    space = replace(get_space("vgg-digits"), binariser="ovsw")
    network = WidthNetwork(space, space.smallest())
    for module in network.modules():
        if isinstance(module, BinaryConv2d):
            module.binariser = OvSW(least=0)  # of a share a gradient is scaled otherwise than of a batch
    config = FinetuneConfig(epochs=2, batch_size=24, learning_rate=1e-2, silent_decay=0.1)
    return _trained(network, plain_step, images(), config, ranks, **options)


def silent_interrupted(ranks: Ranks, folder: Path) -> Result:
    """The same in float32, stopped after an epoch."""
    silent(ranks, dtype=torch.float32, checkpoints=folder, until=1)
    return silent(ranks, dtype=torch.float32, checkpoints=folder)


def one_step(ranks: Ranks, **options) -> Result:
    """A width network, one step of plain gradient descent."""
    torch.manual_seed(0)
    space = get_space("vgg-digits")
    config = NetworkTrainConfig(epochs=1, batch_size=24, **SGD)
    return _trained(WidthNetwork(space, space.smallest()), plain_step, images(24), config, ranks, **options)


def cells(ranks: Ranks, **options) -> Result:
    """A bilevel search for cells."""
    torch.manual_seed(0)
    space = get_space("bnas-digits")
    assert isinstance(space, CellSpace)
    supernet = MixedSupernet(replace(space, cells=3, width=4)).double()
    config = DifferentiableConfig(epochs=1, batch_size=12, cells=3, width=4)

    def make(network: nn.Module, config: DifferentiableConfig) -> BilevelStep:
        assert isinstance(network, MixedSupernet)
        return BilevelStep(network, InDouble(images(36, seed=1)), config, 0, ranks=ranks)  # type: ignore[arg-type]

    return _trained(supernet, make, images(36), config, ranks, **options)


def detector(ranks: Ranks) -> Result:
    """A small detector, in float32, one step of plain gradient descent on pictures of digits."""
    torch.manual_seed(0)
    stages = [{"depths": [1], "widths": [16], "kernel_sizes": [3], "groups": [1], "stride": 2}] * 4
    config = {"name": "tiny", "image_size": 32, "stem_widths": [8], "stem_stride": 2, "stages": stages}
    space = SpaceConfig.model_validate(config).architectures(channels=1)
    pictures = open_pictures(PicturesConfig(pictures=10, picture_size=64), 1, 0).train.subset(torch.arange(4))
    seen, options = Seen(tuple("0123456789"), (0.3,), (0.3,)), DetectorOptions(channels=16, hidden=16, image_size=64)
    network = Detector(build_network(space, space.largest()), seen, options)
    training = DetectionConfig(epochs=1, batch_size=4, image_size=64, warmup_epochs=0, weight_decay=0, **SGD)
    step = detector_step(network, pictures.pictures, training)
    epochs = list(train(network, step, pictures, training, seed=3, ranks=ranks))
    return Result(network.state_dict(), epochs)


def _trained(
    network: nn.Module,
    make: Callable,
    split: TensorSplit,
    config,
    ranks: Ranks,
    *,
    dtype=torch.float64,
    seen=None,
    **more,
) -> Result:
    network.to(dtype)
    _draw_biases(network)
    step = make(network, config)

    def watched(batch: Batch) -> Tensor:
        if seen is not None:
            seen.append((batch.epoch, batch.index, batch.labels.tolist(), float(batch.images.double().sum())))
        return step(batch)

    given = InDouble(split) if dtype == torch.float64 else split
    use = step if isinstance(step, BilevelStep) else watched
    epochs = list(train(network, use, given, config, seed=3, ranks=ranks, **more))
    own = step.tensors() if isinstance(step, BilevelStep) else {}
    own = {name: tensor for name, tensor in own.items() if not name.startswith("history.")}  # which is float32
    return Result({**network.state_dict(), **own}, epochs)


def _draw_biases(network: nn.Module) -> None:
    """A mean of whole numbers may be one of them; without biases, what is binarised then is a rounding error."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, std=0.1)


class StopError(Exception):
    """Ends a training in the middle of an epoch."""


def stopped(ranks: Ranks, folder: Path, after: int) -> None:
    """A supernet's training, in float32, that ends after so many steps; it is kept after every step."""
    torch.manual_seed(0)
    supernet = NasBnnSupernet(get_space("nasbnn-digits"))
    _draw_biases(supernet)
    config = SupernetConfig(epochs=2, batch_size=24, learning_rate=2e-3)
    step, done = sandwich_step(supernet, config), []

    def counted(batch: Batch) -> Tensor:
        if len(done) == after:
            raise StopError
        done.append(batch)
        return step(batch)

    try:
        for _ in train(
            supernet, counted, images(), config, seed=3, ranks=ranks, checkpoints=folder, checkpoint_seconds=0
        ):
            pass
    except StopError:
        return


def interrupted(ranks: Ranks, folder: Path) -> Result:
    """A supernet's training, in float32, that was stopped twice within an epoch and goes on."""
    for after in (2, 3):
        stopped(ranks, folder, after)
    return sandwich(ranks, dtype=torch.float32, checkpoints=folder, checkpoint_seconds=0)


SCENARIOS: dict[str, Callable[[Ranks, Path], Result]] = {
    "sandwich": lambda ranks, folder: sandwich(ranks),
    "widths": lambda ranks, folder: widths(ranks),
    "cells": lambda ranks, folder: cells(ranks),
    "taught": lambda ranks, folder: taught(ranks),
    "silent": lambda ranks, folder: silent(ranks),
    "silent_float32": lambda ranks, folder: silent(replace(ranks, synchronised=False), dtype=torch.float32),
    "silent_interrupted": lambda ranks, folder: silent_interrupted(
        replace(ranks, synchronised=False), folder / "silent"
    ),
    "one_step": lambda ranks, folder: one_step(ranks),
    "own_statistics": lambda ranks, folder: one_step(replace(ranks, synchronised=False)),
    "detector": lambda ranks, folder: detector(replace(ranks, synchronised=False)),
    "float32": lambda ranks, folder: sandwich(replace(ranks, synchronised=False), dtype=torch.float32),
    "interrupted": lambda ranks, folder: interrupted(replace(ranks, synchronised=False), folder / "kept"),
    "half": lambda ranks, folder: stopped(replace(ranks, synchronised=False), folder / "half", 2) or Result({}, []),
}


def main(folder: Path, rank: int, count: int) -> None:
    """Run every scenario as one of several, and leave what it gives."""
    torch.set_num_threads(1)
    store = torch.distributed.FileStore(str(folder / "store"), count)
    torch.distributed.init_process_group("gloo", store=store, rank=rank, world_size=count)
    for name, scenario in SCENARIOS.items():
        result = scenario(TorchRanks(synchronised=True), folder)
        torch.save((result.tensors, [vars(epoch) for epoch in result.epochs]), folder / f"{name}-{rank}.pt")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
