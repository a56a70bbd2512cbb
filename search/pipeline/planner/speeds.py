"""How fast this machine is: seconds of each part of a search, measured on images made of noise."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false

import random
import time
from dataclasses import dataclass
from typing import NamedTuple

import torch

from models.layers.norms.recalibration import recalibrate
from models.nasbnn.supernet import NasBnnSupernet
from models.onebit.engine import Engine
from models.onebit.lowering.lower import lower
from search.config.trainings import FinetuneConfig, SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.training.evaluation import evaluate, evaluate_calls
from search.training.loop import train
from search.training.steps import Step, plain_step, sandwich_step
from search.worker.device import has_vectors, pick_device, pick_precision
from search.worker.measure import FEWEST_IMAGES
from search.worker.memory import keep_memory
from spaces import NasBnnSpace

STEPS = 2


class Teaching(NamedTuple):
    """Seconds per training image in which the teachers of a training see it: in every epoch, or once, where no epoch
    changes the images and what teachers say is kept."""

    every_epoch: float = 0.0
    once: float = 0.0

    def epoch(self, image: float, images: int, epochs: int) -> float:
        """Seconds of an epoch of so many `images` that take `image` seconds each without teachers; of `epochs` in all,
        which share what is done once."""
        return images * (image + self.every_epoch + self.once / max(epochs, 1))

    def fitting(self, seconds: float, image: float, images: int) -> float:
        """How many such epochs there are in some seconds."""
        return (seconds / images - self.once) / (image + self.every_epoch)


NOBODY = Teaching()


@dataclass(frozen=True)
class Speeds:
    """Seconds: per training image of the supernet and of one network, per candidate, and per image that the float
    network of the end is measured on; and what teachers add to each of the trainings."""

    supernet_image: float
    network_image: float
    candidate: float
    tested_image: float
    supernet_teaching: Teaching = NOBODY
    finetune_teaching: Teaching = NOBODY
    final_teaching: Teaching = NOBODY


def measure(
    space: NasBnnSpace, batch_size: int, augmentation: Augmentation, validation: int, recalibration: int
) -> Speeds:
    """The speeds of a space with torch's present number of threads."""
    keep_memory()
    device = pick_device("auto")
    rng = random.Random(0)
    split = noise(space, STEPS * batch_size, augmentation)
    torch.manual_seed(0)
    supernet = NasBnnSupernet(space).to(device)
    config = SupernetConfig(epochs=2, batch_size=batch_size)
    precision = pick_precision("auto", device, space.image_size)
    step = sandwich_step(supernet, config, precision=precision)
    supernet_image = _epoch_seconds(supernet, step, split, config) / len(split)
    middle = space.sample(rng)
    network = supernet.extract(middle)
    tuned = FinetuneConfig(epochs=2, batch_size=batch_size)
    network_image = _epoch_seconds(network, plain_step(network, tuned, precision=precision), split, tuned) / len(split)
    candidate = _candidate_seconds(supernet, space, rng, validation, recalibration)
    tested = noise(space, min(validation, 256), Augmentation())
    begun = time.perf_counter()
    evaluate(network, tested, 256)
    return Speeds(supernet_image, network_image, candidate, (time.perf_counter() - begun) / len(tested))


def _epoch_seconds(
    network: torch.nn.Module, step: Step, split: TensorSplit, config: SupernetConfig | FinetuneConfig
) -> float:
    """Seconds of the second epoch of a training; the first one warms up."""
    epochs = train(network, step, split, config, seed=0)
    next(epochs)
    begun = time.perf_counter()
    next(epochs)
    return time.perf_counter() - begun


def _candidate_seconds(
    supernet: NasBnnSupernet, space: NasBnnSpace, rng: random.Random, validation: int, recalibration: int
) -> float:
    """Seconds for extracting, recalibrating and validating one member, as a worker does it. The first one warms up."""
    _evaluate_one(supernet, space, rng, min(validation, FEWEST_IMAGES), min(recalibration, 8))
    begun = time.perf_counter()
    _evaluate_one(supernet, space, rng, validation, recalibration)
    return time.perf_counter() - begun


def _evaluate_one(
    supernet: NasBnnSupernet, space: NasBnnSpace, rng: random.Random, validation: int, recalibration: int
) -> None:
    device = next(supernet.parameters()).device
    images = noise(space, recalibration, Augmentation()).images.float().to(device)
    split = noise(space, validation, Augmentation())
    network = supernet.extract(space.sample(rng))
    recalibrate(network, iter(torch.split(images, 256)))
    if device.type == "cpu" and has_vectors() and validation >= FEWEST_IMAGES:
        engine = Engine(lower(network.eval()))
        evaluate_calls(lambda x: engine(x, threads=torch.get_num_threads()), split, 512, device)
    else:
        evaluate(network, split, 512)


def noise(space: NasBnnSpace, count: int, augmentation: Augmentation) -> TensorSplit:
    """Images of noise for the networks of a space."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, space.channels, space.image_size, space.image_size)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    normalisation = Normalisation((0.5,) * space.channels, (0.3,) * space.channels)
    return TensorSplit(images, torch.arange(count) % space.classes, normalisation, augmentation)
