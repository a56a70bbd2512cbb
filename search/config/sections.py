"""What all sections of a configuration share: how a section is read, and how a training is described."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, Self, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from models.layers.modes import Mode
from spaces.errors import BinarynasError, listed

T = TypeVar("T")


class ConfigError(BinarynasError, ValueError):
    """An impossible configuration: lists every problem, each with what is allowed."""


class Section(BaseModel):
    """A part of the configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Optimiser(StrEnum):
    """How gradients move weights."""

    ADAM = "adam"
    ADAMW = "adamw"
    SGD = "sgd"


class Schedule(StrEnum):
    """How the learning rate changes during a training; see `search.training.schedules.learning_rate`."""

    COSINE = "cosine"
    STEPS = "steps"
    ONE_CYCLE = "one-cycle"
    LINEAR_ONE_CYCLE = "linear-one-cycle"
    LINEAR = "linear"
    CONSTANT = "constant"


class TrainConfig(Section):
    """How a network is trained."""

    epochs: int = Field(ge=0)
    batch_size: int = Field(ge=1)
    optimiser: Optimiser = Optimiser.ADAM
    learning_rate: float = Field(gt=0)
    final_learning_rate: float = Field(default=0.0, ge=0, description="where the cosine and the cycle end")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD; linear-one-cycle has its own")
    weight_decay: float = Field(default=0.0, ge=0, description="on convolution and linear weights only")
    schedule: Schedule = Schedule.COSINE
    milestones: tuple[float, ...] = Field(
        default=(), description="epochs after which the schedule `steps` divides by 10; else 0.3, 0.6, 0.9 of them"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    class_weights: Literal["none", "balanced"] = Field(
        default="none", description="balanced: images of a class count as much as those of any other class in all"
    )
    mix: Literal["none", "mixup", "cutmix"] = Field(
        default="none", description="images of a batch blended with others of it, or parts exchanged; labels likewise"
    )
    warmup_epochs: float = Field(default=0.0, ge=0, description="epochs of linear rise before the schedule")
    activation_bound: float | None = Field(
        default=None,
        gt=0,
        description="where an activation is further from its threshold, it has no gradient; else the binariser's own",
    )

    def with_values(self, values: Mapping[str, object]) -> Self:
        """These settings with hyperparameters in their place, and checked; other hyperparameters are left out."""
        known = {name: value for name, value in values.items() if name in type(self).model_fields.keys() - NO_VALUES}
        return self.model_validate({**self.model_dump(), **known})


NO_VALUES = {"teacher", "multi_stage"}
"""Settings that are no hyperparameters: those of these names are a user's own."""


def _mapping(given: object, short: str) -> object:
    """What is given, where that is a section; raises `ValueError` that names the short form as well."""
    if not isinstance(given, Mapping | Section):
        raise ValueError(f"give {short}, or a mapping")
    return cast("object", given)


class TeacherConfig(Section):
    """A trained network whose predictions another one learns from.

    Short forms are texts: `FOLDER` for a network that binarynas saved, `NAME@FILE` for one of torchvision.
    """

    file: str = Field(min_length=1, description="the folder of a network of a run, or a file of weights for `model`")
    model: str | None = Field(
        default=None, description="torchvision's name of a classifier, or timm/NAME; none: a network of binarynas"
    )
    image_size: int | None = Field(
        default=None, ge=1, description="pixels that it sees; else those that it was made for, or the run's own"
    )
    mean: tuple[float, ...] | None = Field(
        default=None, description="of its normalisation, a number per channel; else as it was saved, or the run's own"
    )
    std: tuple[float, ...] | None = Field(default=None, description="as mean")

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, given: object) -> object:
        if not isinstance(given, str):
            return _mapping(given, "the folder of a network, or NAME@FILE")
        named = _NAMED_FILE.fullmatch(given)
        return {"model": named[1], "file": named[2]} if named else {"file": given}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.mean is None) != (self.std is None) or len(self.mean or ()) != len(self.std or ()):
            raise ValueError("mean and std belong together, one number of each per channel: give both or none")
        if self.std is not None and min(self.std) <= 0:
            raise ValueError(f"std must be above 0, got {min(self.std):g}")
        return self

    def __str__(self) -> str:
        return f"{self.model}@{self.file}" if self.model else self.file

    @property
    def id(self) -> str:
        """A name for it in a run's folder."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


_NAMED_FILE = re.compile(r"((?:timm/)?[A-Za-z][\w.-]*)@(.+)")


class TrainingStageConfig(Section):
    """One stage of a training: what is binary in it, and what differs from the section's settings.

    The short form is the mode alone.
    """

    mode: Mode = Field(description="fwba: binary activations, float weights; bwba: both binary; fwfa: neither")
    epochs: int | None = Field(default=None, ge=1, description="of this stage: of all or of none")
    learning_rate: float | None = Field(default=None, gt=0)
    weight_decay: float | None = Field(default=None, ge=0)
    start: str | None = Field(
        default=None,
        description="the folder of a network, or supernet, whose tensors of the same shapes this stage starts from; "
        "else it starts from the end of the one before",
    )

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, given: object) -> object:
        return {"mode": given} if isinstance(given, str) else _mapping(given, listed(Mode))

    @property
    def start_id(self) -> str:
        """A name for what it starts from in a run's folder."""
        return hashlib.sha256(str(self.start).encode()).hexdigest()[:12]


class OneStage(NamedTuple, Generic[T]):
    """A stage as it is carried out: what is binary (None: what is in the network's own mode), all settings of its
    training, and the name in a run's folder of what it starts from, where that is not the end of the one before."""

    mode: Mode | None
    settings: T
    start: str | None = None


def as_list(given: object) -> Sequence[object]:
    """One value as a list of one, none as an empty one."""
    if given is None:
        return ()
    return cast("Sequence[object]", given) if isinstance(given, list | tuple) else (given,)


def _as_stages(given: object) -> object:
    """Yes: binary activations first, then weights as well; no: one stage, in the network's own mode."""
    if isinstance(given, bool):
        return (Mode.FWBA, Mode.BWBA) if given else ()
    if given is not None and not isinstance(given, list | tuple):
        raise ValueError("give true, false or a list of stages, such as [fwba, bwba]")
    return cast("object", given or ())


class StagedTrainConfig(TrainConfig):
    """A training with teachers and in stages; see `search.training.teachers` and `Context.train_in_stages`."""

    teacher: Annotated[tuple[TeacherConfig, ...], BeforeValidator(as_list)] = Field(
        default=(), description="networks whose soft labels are learned, the mean of them where they are several"
    )
    teacher_temperature: float = Field(
        default=1.0, gt=0, description="divides the logits of teacher and student; the loss is times its square"
    )
    teacher_weight: float = Field(
        default=1.0, ge=0, le=1, description="share of the loss that is the teachers'; the rest is the labels'"
    )
    multi_stage: Annotated[tuple[TrainingStageConfig, ...], BeforeValidator(_as_stages)] = Field(
        default=(),
        description="true: binary activations with float weights, then both (BNAS v2), `epochs` each; or a list of "
        "stages, whose epochs together are `epochs`",
    )
    weight_decay_stages: Literal["all", "first"] = Field(
        default="all", description="first: no weight decay after the first stage (AdamBNN)"
    )

    @model_validator(mode="after")
    def _stages_fit(self) -> Self:
        modes, epochs = [stage.mode for stage in self.multi_stage], [stage.epochs for stage in self.multi_stage]
        if not modes:
            return self
        if len(set(modes)) < len(modes) or modes[-1] is not Mode.BWBA:
            raise ValueError(
                f"multi_stage is {', '.join(modes)}: name each mode once, and {Mode.BWBA}, a binary network, last"
            )
        given = [count for count in epochs if count is not None]
        if given and (len(given) < len(epochs) or sum(given) != self.epochs):
            shown = " + ".join("?" if count is None else str(count) for count in epochs)
            raise ValueError(
                f"the stages have {shown} epochs and epochs is {self.epochs}: give all stages epochs whose sum is "
                "epochs, or none, which then have epochs each"
            )
        return self

    @property
    def teachers(self) -> tuple[TeacherConfig, ...]:
        """The networks of elsewhere that teach."""
        return self.teacher

    def stages(self) -> tuple[OneStage[Self], ...]:
        """The stages in order; one in the network's own mode where the section names none."""
        if not self.multi_stage:
            return (OneStage(None, self),)
        return tuple(
            OneStage(stage.mode, self._of_stage(place, stage), None if stage.start is None else stage.start_id)
            for place, stage in enumerate(self.multi_stage)
        )

    def _of_stage(self, place: int, stage: TrainingStageConfig) -> Self:
        changes: dict[str, Any] = stage.model_dump(include={"epochs", "learning_rate", "weight_decay"})
        if place > 0 and self.weight_decay_stages == "first" and stage.weight_decay is None:
            changes["weight_decay"] = 0.0
        return self.model_copy(update={key: value for key, value in changes.items() if value is not None})

    def plain(self) -> Self:
        """The same training without teachers, in one stage."""
        return self.model_copy(update={"teacher": (), "multi_stage": ()})

    @property
    def last_epochs(self) -> int:
        """The epochs of the last stage."""
        return self.stages()[-1].settings.epochs

    @property
    def total_epochs(self) -> int:
        """The epochs of all stages."""
        return sum(stage.settings.epochs for stage in self.stages())

    @property
    def epochs_before(self) -> int:
        """The epochs of all stages before the last one."""
        return self.total_epochs - self.last_epochs


class PlainTrainConfig(StagedTrainConfig):
    """How one network is trained by a loss of its logits; see `search.training.own`."""

    loss: str | None = Field(default=None, description="your own, as package.module:name; else cross entropy")
    step: str | None = Field(default=None, description="your own whole training step, as package.module:name")
    silent_decay: float = Field(
        default=0.0, ge=0, description="of the binariser ovsw: decay of weights that hardly ever change their signs"
    )
