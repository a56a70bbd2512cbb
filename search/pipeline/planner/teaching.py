"""What teachers add to a planned run: the seconds in which they see its training images."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false

import time
from collections.abc import Iterable, Mapping

import torch

from models.checkpoints.teachers import Teacher
from search.config.loading import check_config, set_values
from search.config.run import RunConfig
from search.config.sections import ConfigError, StagedTrainConfig
from search.data.augment import Augmentation
from search.data.config import DataConfig
from search.data.dataset import DataSet
from search.pipeline.planner.speeds import NOBODY, Teaching, noise
from search.pipeline.planner.survey import Survey
from search.runs.teachers import read_teacher, teacher_problems
from search.training.teachers import can_keep, soft_labels
from search.worker.device import pick_device, pick_precision
from spaces import NasBnnSpace

_IMAGES = 32  # that teachers are timed with


def asked_for(data: DataConfig, overrides: Mapping[str, object], settings: Iterable[str]) -> RunConfig:
    """What a user sets beside a plan, which changes images unless that is told not to. Raises `ConfigError`."""
    images = {**data.model_dump(mode="json", exclude_unset=True), "crop_padding": 1}
    return check_config(set_values({"data": images}, overrides, settings), "the settings of the plan")


def require_teachers(asked: RunConfig, found: Survey, space: NasBnnSpace) -> None:
    """Raise `ConfigError` that lists what is wrong with the teachers, before any time is spent on measuring."""
    if problems := list(teacher_problems(asked, _like(found, space))):
        raise ConfigError("; ".join(problems))


def teaching(training: StagedTrainConfig, data: DataConfig, found: Survey, space: NasBnnSpace) -> Teaching:
    """What the teachers of a training take, with torch's present number of threads."""
    if not training.teachers:
        return NOBODY
    device, like = pick_device("auto"), _like(found, space)
    precision = pick_precision("auto", device, space.image_size)
    read = [read_teacher(teacher, like) for teacher in training.teachers]
    teachers = [Teacher(network, view, like.mean, like.std).to(device) for network, _, view in read]
    images = torch.randn(_IMAGES, space.channels, space.image_size, space.image_size, device=device)
    soft_labels(teachers, images[:2], training.teacher_temperature, precision)  # warms up
    begun = time.perf_counter()
    float(soft_labels(teachers, images, training.teacher_temperature, precision).sum())
    seconds = (time.perf_counter() - begun) / len(images)
    kept = can_keep(Augmentation.of(data), training, found.train * found.classes)
    return Teaching(once=seconds) if kept else Teaching(seconds)


def _like(found: Survey, space: NasBnnSpace) -> DataSet:
    """Images of noise, as large as the space's networks see them, of the classes that there are."""
    images = noise(space, 2, Augmentation())
    mean, std = images.normalisation.mean, images.normalisation.std
    splits = images, images, images
    return DataSet("noise", found.class_names, space.image_size, space.channels, mean, std, *splits, "", "memory")
