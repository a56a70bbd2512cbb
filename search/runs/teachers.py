"""The networks of elsewhere that a run's trainings use: checked before the first second of training, and copied."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from analysis.runs.layout import RUN_FILE
from models.checkpoints.folder import MANIFEST, CheckpointError, Json, load_checkpoint, save_checkpoint
from models.checkpoints.teachers import Teacher, View, read_model, read_network, save_teacher
from models.layers.modes import Mode
from models.network import Network
from search.config.run import RunConfig
from search.config.sections import StagedTrainConfig, TeacherConfig
from search.data.dataset import DataSet
from search.runs.folder import Run
from spaces import SpaceError
from spaces.errors import listed

SECTIONS = ("supernet", "parent", "training", "finetune", "final")
"""The sections of trainings that may have teachers and stages."""


def staged_sections(config: RunConfig) -> Iterator[tuple[str, StagedTrainConfig]]:
    """The trainings that may have teachers and stages, by name."""
    for name in SECTIONS:
        yield name, getattr(config, name)


def with_absolute_files(training: Any) -> Any:
    """A section whose teachers and starts mean the same wherever a run is resumed from."""

    def absolute(given: Any, key: str) -> Any:
        file = getattr(given, key, None)
        return given if file is None else given.model_copy(update={key: str(Path(file).expanduser().absolute())})

    return training.model_copy(
        update={
            "teacher": tuple(absolute(teacher, "file") for teacher in training.teacher),
            "multi_stage": tuple(absolute(stage, "start") for stage in training.multi_stage),
        }
    )


def teacher_problems(config: RunConfig, data: DataSet) -> Iterator[str]:
    """What is wrong with teachers, each as a sentence."""
    for section, training in staged_sections(config):
        for teacher in training.teachers:
            try:
                read_teacher(teacher, data)
            except (CheckpointError, SpaceError) as error:
                modes = f"; or name {listed(Mode)}" if section == "supernet" and teacher.model is None else ""
                yield f"{section}.teacher: {error}{modes}"


def teacher_notes(config: RunConfig, data: DataSet) -> Iterator[str]:
    """What teachers see that is not what the run's networks see."""
    for section, training in staged_sections(config):
        for teacher in training.teachers:
            _, _, view = read_teacher(teacher, data)
            changes: list[str] = []
            if view.image_size not in (None, data.image_size):
                changes.append(f"{data.image_size} pixels resized to {view.image_size}")
            if view.channels != data.channels:
                changes.append("grey repeated as three colours")
            if changes:
                yield f"the teacher {teacher} of {section} sees images of {' and '.join(changes)}"


def copy_teachers(config: RunConfig, data: DataSet, run: Run) -> None:
    """Keep teachers, and what stages start from, in the run's folder."""
    for _, training in staged_sections(config):
        for teacher in training.teachers:
            network, meta, view = read_teacher(teacher, data)
            save_teacher(run.teacher(teacher.id), network, meta, view)
        for stage in training.multi_stage:
            if stage.start is not None:
                save_checkpoint(run.start(stage.start_id), *load_checkpoint(stage.start))


def read_teacher(teacher: TeacherConfig, data: DataSet) -> tuple[nn.Module, Json, View]:
    """A teacher's network, what it is built from, and the images that it is for. Raises `CheckpointError` where it
    cannot teach a network of these data."""
    if teacher.model is None:
        _require_no_run(Path(teacher.file))
        network, meta = read_network(teacher.file)
        view = _view_of(network, meta, Path(teacher.file), teacher)
        _require_same_classes(network, meta, Path(teacher.file), data)
    else:
        network, meta = read_model(teacher.model, teacher.file, data.classes)
        view = View(teacher.image_size, int(meta["channels"]), teacher.mean, teacher.std)
    if view.channels not in (data.channels, 3 if data.channels == 1 else data.channels):
        raise CheckpointError(
            f"{teacher} reads images of {view.channels} channels, and the data have {data.channels}: take a teacher "
            f"for {data.channels}, or set data.channels"
        )
    if view.mean is not None and len(view.mean) != view.channels:
        raise CheckpointError(
            f"{teacher} reads {view.channels} channels, but mean and std have {len(view.mean)} numbers"
        )
    _rehearse(teacher, network, view, data)
    return network, meta, view


def _require_no_run(folder: Path) -> None:
    """A run has many networks: raise `CheckpointError` that names some."""
    if not (folder / RUN_FILE).is_file():
        return
    places = (f"front/*/{MANIFEST}", f"*/*/network/{MANIFEST}")
    found = [manifest.parent for place in places for manifest in sorted(folder.glob(place))]
    some = f", such as {found[0]}" if found else ""
    raise CheckpointError(f"{folder} is a run, which has many networks: give the folder of one{some}")


def _view_of(network: nn.Module, meta: Json, folder: Path, teacher: TeacherConfig) -> View:
    """The images that a network of ours is for: what is given, else what was saved, else what its run says."""
    assert isinstance(network, Network)
    space = cast("Any", network).space
    if teacher.image_size not in (None, space.image_size):
        raise CheckpointError(
            f"{teacher} is for images of {space.image_size} pixels, which is known: leave image_size out"
        )
    said = cast("Json", meta.get("extra") or {})
    if "mean" not in said:
        said = _data_of_run(folder)
    mean, std = teacher.mean or said.get("mean"), teacher.std or said.get("std")
    return View(space.image_size, space.channels, tuple(mean) if mean else None, tuple(std) if std else None)


def _data_of_run(folder: Path) -> Json:
    """What the run around a folder says of its data; nothing where there is none."""
    for place in list(folder.absolute().parents)[:4]:
        if (place / RUN_FILE).is_file():
            try:
                found: Any = json.loads((place / RUN_FILE).read_text())["data"]
            except (OSError, ValueError, KeyError, TypeError):
                return {}
            return cast("Json", found) if isinstance(found, dict) else {}
    return {}


def _require_same_classes(network: nn.Module, meta: Json, folder: Path, data: DataSet) -> None:
    theirs = int(cast("Any", network).space.classes)
    if theirs != data.classes:
        raise CheckpointError(f"{folder} tells {theirs} classes apart, and the data have {data.classes}")
    said = cast("Json", meta.get("extra") or {})
    names = said.get("class_names") or _data_of_run(folder).get("class_names")
    if names is not None and tuple(names) != data.class_names:
        place = next(n for n, (a, b) in enumerate(zip(names, data.class_names, strict=True)) if a != b)
        raise CheckpointError(
            f"{folder} was trained for other classes, or in another order: the first that differs is {names[place]!r} "
            f"there, {data.class_names[place]!r} here"
        )


def _rehearse(teacher: TeacherConfig, network: nn.Module, view: View, data: DataSet) -> None:
    """Let it see two empty images."""
    images = torch.zeros(2, data.channels, data.image_size, data.image_size)
    try:
        logits: Any = Teacher(network, view, data.mean, data.std)(images)
    except (RuntimeError, ValueError, AssertionError) as error:
        why = str(error).strip().split("\n", 1)[0][:160].rstrip(".")
        raise CheckpointError(
            f"{teacher} cannot see images of {view.image_size or data.image_size} pixels: {why}. Give the teacher's "
            "image_size"
        ) from error
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, data.classes):
        found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise CheckpointError(f"{teacher} gives {found} for 2 images, not logits of {data.classes} classes")
    if not logits.isfinite().all():
        raise CheckpointError(f"{teacher} gives logits that are not finite: its weights are damaged")


def start_problems(config: RunConfig, family: str) -> Iterator[str]:
    """What is wrong with the weights that stages start from, for networks of a family."""
    for section, training in staged_sections(config):
        kind = "supernet" if section == "supernet" else "network"
        for stage in training.multi_stage:
            if stage.start is None:
                continue
            try:
                _, meta = load_checkpoint(stage.start)
            except CheckpointError as error:
                yield f"{section}.multi_stage: {error}"
                continue
            theirs = cast("Json", meta.get("space") or {}).get("family")
            if meta.get("kind") != kind or theirs != family:
                found = f"a {meta.get('kind')}" + (f" of a {theirs} space" if theirs else "")
                yield (
                    f"{section}.multi_stage: {stage.start} holds {found}, and the stage {stage.mode} starts from a "
                    f"{kind} of a {family} space: give the folder of one"
                )
