"""The plan itself: the largest space whose supernet sees the images often enough in the time, and what follows."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch

from search.config.loading import check_config
from search.config.run import Method, RunConfig
from search.config.sections import ConfigError
from search.config.trainings import FinalConfig
from search.data.augment import Augmentation
from search.data.config import DataConfig
from search.pipeline.planner.correction import AIM, SHARES
from search.pipeline.planner.speeds import Speeds, measure
from search.pipeline.planner.survey import Machine, Survey
from search.pipeline.planner.teaching import require_teachers, teaching
from spaces import NasBnnSpace, SpaceError, get_space

SIZES = (8, 12, 16, 24, 32, 48, 64, 96, 128, 160, 192, 224)
FACTORS = (1, 2, 4, 8)
DIGITS_UP_TO = 16  # pixels up to which only the shallow spaces, those for digits, are taken
BATCH_SIZES = (64, 32, 16)
WANTED_STEPS, LEAST_EPOCHS = 400, 5
SMALL = 100  # training images per class up to which augmentation is stronger,
LONG = 100  # and epochs from which on: those of 4 and 20 lost four points by it (docs/your-images.md)
UNEQUAL = 3.0
CLOSING = 14.0  # seconds for tables, plots and files, measured on two cores
NETWORKS, TUNED_EPOCHS, VALIDATION_PER_NETWORK = 6, 10, 10
"""Finetuned networks; fewer where they would not get so many epochs, or so few validation images tell few apart."""
FINETUNE_RATE = 2.5e-3
MOST_VALIDATION, RECALIBRATION = 1000, 512
HOUR = 3600.0
MEASURED = 3  # spaces measured before one is taken


@dataclass(frozen=True)
class Wanted:
    """What a user asks for: seconds (None: an hour), what a network may cost, and what is set beside the plan."""

    seconds: float | None = None
    ops_max: float | None = None
    bytes_max: float | None = None
    latency_max: float | None = None
    beside: RunConfig = field(default_factory=RunConfig)


def make_plan(data: DataConfig, found: Survey, here: Machine, wanted: Wanted, seed: int, begun: float) -> RunConfig:
    """The configuration of a search of these images within the time; `begun` is when it began (`time.monotonic`).

    Raises `ConfigError` where not even the smallest search fits.
    """
    seconds, beside = wanted.seconds or HOUR, wanted.beside
    if beside.method is not Method.ONE_SHOT:
        raise ConfigError(
            f"method is {beside.method}: what is planned is the training of a supernet, one-shot; leave method out, or "
            "give a preset instead of --time"
        )
    batch_size = next((size for size in BATCH_SIZES if 4 * size <= found.train), 8)
    validation = _validation(data, found)
    choices = sorted(_choices(found, wanted), key=_work)
    if not choices:
        what = f"space {beside.space.name} has no" if beside.space.model_fields_set else "no space has"
        raise ConfigError(f"{what} networks this small: raise --ops-max or --bytes-max")
    require_teachers(beside, found, choices[0])

    def left() -> float:
        fixed = found.decoding + CLOSING + _final_seconds(beside.final, speeds, found.train)
        return AIM * seconds - (time.monotonic() - begun) - fixed

    def speeds_of(space: NasBnnSpace) -> Speeds:
        recalibration = min(RECALIBRATION, found.train)
        own = measure(space, batch_size, _augmentation(found, space.image_size), validation, recalibration)
        return replace(
            own,
            supernet_teaching=teaching(beside.supernet, beside.data, found, space),
            finetune_teaching=teaching(beside.finetune, beside.data, found, space),
            final_teaching=teaching(beside.final, beside.data, found, space),
        )

    space, threads = choices[0], 1
    torch.set_num_threads(1)
    speeds = speeds_of(space)
    if here.cores > 1 and os.getloadavg()[0] < here.cores and time.monotonic() - begun < 0.08 * seconds:
        torch.set_num_threads(here.cores)
        faster = speeds_of(space)
        if faster.supernet_image < speeds.supernet_image:
            speeds, threads = faster, here.cores
        torch.set_num_threads(threads)
    steps = max(found.train // batch_size, 1)
    epochs = max(LEAST_EPOCHS, WANTED_STEPS // steps)
    allowed = SHARES["supernet"] * left() / (epochs * found.train)  # seconds per image
    allowed -= speeds.supernet_teaching.every_epoch
    fitting = [each for each in choices[1:] if speeds.supernet_image * _work(each) / _work(space) <= allowed]
    for larger in reversed(fitting[-MEASURED:]):
        if time.monotonic() - begun > min(0.12 * seconds, 60):
            break
        measured = speeds_of(larger)
        if measured.supernet_image <= allowed:
            space, speeds = larger, measured
            break
    image = speeds.supernet_image + speeds.supernet_teaching.every_epoch
    if left() < 12 * speeds.candidate + 2 * image * min(found.train, 8 * found.classes):
        final = _final_seconds(beside.final, speeds, found.train)
        raise ConfigError(
            f"{seconds:g} s are too few for {found.train} training images on this machine, as busy as it is: an epoch "
            f"of the smallest supernet takes {image * found.train:.1f} s, a candidate {speeds.candidate:.1f} s"
            f"{f', final training {final:.0f} s' if beside.final.networks else ''}; give more --time"
        )
    return _configured(data, found, wanted, seed, space, speeds, batch_size, threads, left(), begun)


def _configured(
    data: DataConfig,
    found: Survey,
    wanted: Wanted,
    seed: int,
    space: NasBnnSpace,
    speeds: Speeds,
    batch_size: int,
    threads: int,
    left: float,
    begun: float,
) -> RunConfig:
    """The configuration that fills what is left of the time."""
    beside, supernet, finetune = wanted.beside, speeds.supernet_teaching, speeds.finetune_teaching
    network = found.test * speeds.tested_image + 0.5
    networks = min(NETWORKS, max(2, found.validation // VALIDATION_PER_NETWORK))
    left = max(left - (networks + 2) * network, 1.0)
    most = int(SHARES["supernet"] * left / (LEAST_EPOCHS * (speeds.supernet_image + supernet.every_epoch)))
    train = found.train if data.train_limit else min(found.train, max(most, 8 * found.classes))
    trials = max(16, int(SHARES["search"] * left / speeds.candidate))
    epochs = max(1, int(supernet.fitting(SHARES["supernet"] * left, speeds.supernet_image, train)))
    passes = finetune.fitting(SHARES["finetune"] * left, speeds.network_image, train)  # epochs of all of them
    networks = min(networks, max(2, int(passes / TUNED_EPOCHS)))
    tuned = max(1, int(passes / networks))
    augmentation = _augmentation(found, space.image_size, epochs)
    weighed = {"class_weights": "balanced"} if found.imbalance > UNEQUAL else {}
    trained = {"batch_size": batch_size, **weighed}
    values: Mapping[str, object] = {
        "seed": seed,
        "space": beside.space.model_dump(mode="json", exclude_unset=True) or {"name": space.name},
        "data": {
            **data.model_dump(mode="json", exclude_unset=True),
            **_limits(data, found, train),
            "crop_padding": augmentation.crop_padding,
            "policy": augmentation.policy,
        },
        "supernet": {**trained, "epochs": epochs, **({} if epochs >= LONG else {"teacher": ()})},
        "search": {
            "trials": trials,
            "first_generation": max(8, trials // 4),
            "generation": max(8, trials // 12),
            "ops_max": wanted.ops_max,
            "bytes_max": wanted.bytes_max,
            "latency_max": wanted.latency_max,
            "objectives": ["balanced_accuracy" if found.imbalance > UNEQUAL else "accuracy", "ops"],
        },
        "evaluation": {"recalibration_batches": 2, "recalibration_batch_size": min(RECALIBRATION // 2, train)},
        "finetune": {
            **trained,
            "networks": networks,
            "epochs": tuned,
            "learning_rate": FINETUNE_RATE,
        },
        "execution": {"executor": "inline", "threads": threads, "training_threads": threads},
        "plan": {
            "seconds": wanted.seconds or HOUR,
            "spent": time.monotonic() - begun + found.decoding,
            "supernet_epoch": supernet.epoch(speeds.supernet_image, train, epochs),
            "candidate": speeds.candidate,
            "finetune_epoch": finetune.epoch(speeds.network_image, train, networks * tuned),
            "final_epoch": _final_epoch(beside.final, speeds, train),
            "network": network,
            "closing": CLOSING,
        },
    }
    return check_config(values, "the plan")


def _final_epoch(final: FinalConfig, speeds: Speeds, images: int) -> float:
    """Seconds of an epoch of final training, which no plan chooses; 0 without any."""
    epochs = final.networks * final.total_epochs
    return speeds.final_teaching.epoch(speeds.network_image, images, epochs) if epochs else 0.0


def _final_seconds(final: FinalConfig, speeds: Speeds, images: int) -> float:
    return final.networks * final.total_epochs * _final_epoch(final, speeds, images)


def _validation(data: DataConfig, found: Survey) -> int:
    """The images to choose by: as many as a user says, else some of many."""
    return found.validation if data.validation_limit else min(found.validation, MOST_VALIDATION)


def _limits(data: DataConfig, found: Survey, train: int) -> dict[str, int]:
    """How many images are used, where not all are."""
    limits = {"train_limit": train} if train < found.train else {}
    validation = _validation(data, found)
    return {**limits, "validation_limit": validation} if validation < found.validation else limits


def _augmentation(found: Survey, image_size: int, epochs: int = LONG) -> Augmentation:
    """Shifts of an eighth; where few images per class, large enough to show anything, are seen often, a policy."""
    few = found.train < SMALL * found.classes and image_size > DIGITS_UP_TO and epochs >= LONG
    return Augmentation(crop_padding=image_size // 8, policy="trivialaugment" if few else "none")


def _choices(found: Survey, wanted: Wanted) -> Iterator[NasBnnSpace]:
    """The space that is asked for, or those that suit the images, where they hold networks within the limits."""
    asked = wanted.beside.space
    spaces = [asked.build(found.classes, found.channels)] if asked.model_fields_set else _spaces(found)
    for space in spaces:
        if not isinstance(space, NasBnnSpace):
            raise ConfigError(
                f"space {asked.name} cannot be planned for, only spaces of NAS-BNN's family without hyperparameters: "
                "leave it out, or give a preset instead of --time"
            )
        least = space.cost(space.smallest())
        if least.ops <= (wanted.ops_max or least.ops) and least.bytes <= (wanted.bytes_max or least.bytes):
            yield space


def _spaces(found: Survey) -> Iterator[NasBnnSpace]:
    """NAS-BNN's spaces for the images' size and some below it."""
    fitting = [size for size in SIZES if size <= max(found.shorter_side * 1.1, SIZES[0])]
    for size in [size for size in fitting if size >= min(fitting[-1], DIGITS_UP_TO)]:
        deep = [] if size <= DIGITS_UP_TO else [f"nasbnn@{size}/{factor}" for factor in FACTORS]
        for name in (f"nasbnn-digits@{size}", f"nasbnn-digits@{size}/2", *deep):
            try:
                space = get_space(name)
            except SpaceError:
                continue
            space = space.for_data(classes=found.classes, channels=found.channels)
            assert isinstance(space, NasBnnSpace), "both bases are of this family"
            yield space


def _work(space: NasBnnSpace) -> float:
    """What an image costs in a step of the sandwich rule, in multiply-accumulates of any kind."""
    costs = [space.cost(member) for member in (space.largest(), space.smallest())]
    first, last = (float(cost.flops + cost.int8_ops + cost.bops) for cost in costs)
    return 2 * first + 2 * last
