"""What all sections of a configuration share: how a section is read, and how a training is described."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field

from spaces.errors import BinarynasError


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

    def with_values(self, values: Mapping[str, object]) -> Self:
        """These settings with hyperparameters in their place, and checked; other hyperparameters are left out."""
        known = {name: value for name, value in values.items() if name in type(self).model_fields}
        return self.model_validate({**self.model_dump(), **known})


class PlainTrainConfig(TrainConfig):
    """How one network is trained by a loss of its logits; see `search.training.own`."""

    loss: str | None = Field(default=None, description="your own, as package.module:name; else cross entropy")
    step: str | None = Field(default=None, description="your own whole training step, as package.module:name")
