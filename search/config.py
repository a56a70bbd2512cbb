"""What a run is asked to do: one configuration, checked whole before anything starts."""

import dataclasses
from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from search.data.config import DataConfig
from spaces import SPACES, NasBnnSpace, Stage, get_space
from spaces.limits import Limits

FORMAT_VERSION = 1
COST_OBJECTIVES = ("ops", "params", "bytes")


class ConfigError(ValueError):
    """A configuration that cannot be: lists every problem, each with what is allowed."""


def nearest(given: str, known: Iterable[str]) -> str:
    """A hint at the known word that is most like the one given, to be put behind a refusal; empty where none is."""
    near = get_close_matches(given, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


class Section(BaseModel):
    """A part of the configuration: immutable, and an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class StageConfig(Section):
    """A stage of a declared space: its choices, in rising order; its first layer has the stride."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    groups: tuple[int, ...]
    stride: int


class SpaceConfig(Section):
    """A named space and what is changed about it; or, with `stages`, a space of one's own under a new name, which then
    stands in the run's configuration whole. Classes and channels follow the data."""

    # before the name, whose check depends on them
    stages: tuple[StageConfig, ...] | None = Field(default=None, description="declares a space, stage by stage")
    stem_widths: tuple[int, ...] | None = Field(default=None, description="of a declared space")
    stem_stride: int | None = Field(default=None, description="of a declared space")
    name: str = Field(
        default="nasbnn-digits",
        validate_default=True,
        description="a space of `binarynas spaces`, or a new name for a declared one",
    )
    image_size: int | None = Field(default=None, ge=1, description="pixels; the named space's own where left out")
    non_decreasing: bool = Field(
        default=True, description="the constraint of equation 3; false is the paper's ablation"
    )

    @field_validator("name")
    @classmethod
    def _named(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("stages") is None:
            get_space(name)
        elif name in SPACES:
            raise ValueError("is a space already: give a declared one another name")
        return name

    @model_validator(mode="after")
    def _declared(self) -> "SpaceConfig":
        needed = {"stem_widths": self.stem_widths, "stem_stride": self.stem_stride}
        if self.stages is None:
            known = [key for key, value in needed.items() if value is not None]
            if known:
                raise ValueError(
                    f"{' and '.join(known)} without stages declare no space: give stages, too, or leave them out"
                )
            return self
        missing = [key for key, value in {**needed, "image_size": self.image_size}.items() if value is None]
        if missing:
            raise ValueError(f"a declared space needs {', '.join(missing)}, too")
        self.build()
        return self

    @classmethod
    def of(cls, space: NasBnnSpace) -> "SpaceConfig":
        """The section that declares a space made in Python; raises `ValidationError` where a named one is called so."""
        declared = dataclasses.asdict(space)
        return cls.model_validate({name: value for name, value in declared.items() if name in cls.model_fields})

    def build(self, classes: int | None = None, channels: int | None = None) -> NasBnnSpace:
        """The space itself, for data with so many classes and channels."""
        if self.stages is None:
            space = get_space(self.name)
        else:
            stages = tuple(Stage(**stage.model_dump()) for stage in self.stages)
            # the validator let no part be missing; a zero, as any other impossible value, is refused by the space
            size, stride = self.image_size or 0, self.stem_stride or 0
            space = NasBnnSpace(self.name, self.stem_widths or (), stride, stages, size, classes=10)
        return dataclasses.replace(
            space,
            image_size=self.image_size or space.image_size,
            classes=classes or space.classes,
            channels=channels or space.channels,
            non_decreasing=self.non_decreasing,
        )


class Teacher(StrEnum):
    """Which largest network teaches in the sandwich rule (section 3.3.1): F or B weights (W) and activations (A)."""

    FWBA = "fwba"
    BWBA = "bwba"
    FWFA = "fwfa"


class Optimiser(StrEnum):
    """How gradients move weights."""

    ADAM = "adam"
    ADAMW = "adamw"
    SGD = "sgd"


class Schedule(StrEnum):
    """How the learning rate goes over a training; see `search.training.learning_rate`."""

    COSINE = "cosine"
    STEPS = "steps"
    ONE_CYCLE = "one-cycle"
    CONSTANT = "constant"


class TrainConfig(Section):
    """How a network is trained."""

    epochs: int = Field(ge=0)
    batch_size: int = Field(ge=1)
    optimiser: Optimiser = Optimiser.ADAM
    learning_rate: float = Field(gt=0)
    final_learning_rate: float = Field(default=0.0, ge=0, description="where the cosine and the cycle end")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD")
    weight_decay: float = Field(default=0.0, ge=0, description="on convolution and linear weights only")
    schedule: Schedule = Schedule.COSINE
    milestones: tuple[float, ...] = Field(
        default=(), description="epochs behind which the schedule `steps` divides by 10; else 0.3, 0.6, 0.9 of them"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    warmup_epochs: float = Field(default=0.0, ge=0, description="epochs of linear rise before the schedule")


class SupernetConfig(TrainConfig):
    """Training of the supernet: the sandwich rule with Bi-Teacher; each of the paper's ablations is a setting."""

    epochs: int = Field(default=40, ge=0)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=2.5e-3, gt=0)
    weight_decay: float = Field(default=5e-6, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    teacher: Teacher = Teacher.FWBA
    distillation: bool = Field(
        default=True, description="false: every subnet learns from the labels (the paper's w/o KD)"
    )
    random_subnets: int = Field(default=2, ge=0)
    bi_transformation: bool = True
    weight_normalisation: Literal["none", "paper", "authors"] = "paper"
    checkpoint: str | None = Field(
        default=None, description="folder of a trained supernet (binarynas import-nasbnn); trains none"
    )


class EvaluationConfig(Section):
    """How a candidate's accuracy is measured: batch norm statistics anew, then the validation split."""

    recalibration_batches: int = Field(default=10, ge=1)
    recalibration_batch_size: int = Field(default=256, ge=2)
    batch_size: int = Field(default=512, ge=1)


class SearchConfig(Section):
    """Which candidates are tried."""

    proposer: str = "evolution"
    seed: int | None = Field(
        default=None, ge=0, description="of the proposals alone, to repeat a search on the same data; else the run's"
    )
    trials: int = Field(default=512, ge=1)
    first_generation: int | None = Field(
        default=None, ge=1, description="candidates of the first generation; `generation` otherwise"
    )
    generation: int = Field(
        default=64, ge=1, description="candidates proposed at once, from finished generations alone"
    )
    objectives: tuple[str, ...] = ("accuracy", "ops")
    ops_min: float | None = Field(default=None, ge=0)
    ops_max: float | None = Field(default=None, gt=0)
    mutation_probability: float = Field(default=0.2, gt=0, le=1)
    bins: int = Field(default=80, ge=1, description="bins of the cost objective in which evolution keeps its best")

    @field_validator("objectives")
    @classmethod
    def _objectives(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        known = ("accuracy", *COST_OBJECTIVES)
        if (
            objectives[:1] != ("accuracy",)
            or len(set(objectives)) < len(objectives)
            or not set(objectives) <= set(known)
        ):
            raise ValueError(f"must begin with accuracy and hold each of {', '.join(known)} at most once")
        return objectives

    @field_validator("proposer")
    @classmethod
    def _proposer(cls, name: str) -> str:
        from search.proposers.names import PROPOSER_NAMES

        if name not in PROPOSER_NAMES:
            raise ValueError(f"there is no proposer {name!r}{nearest(name, PROPOSER_NAMES)}")
        return name

    @model_validator(mode="after")
    def _limits(self) -> "SearchConfig":
        _ = self.limits
        return self

    @property
    def limits(self) -> Limits:
        """The range of OPs in which candidates are proposed."""
        return Limits(self.ops_min, self.ops_max)


class FinetuneConfig(TrainConfig):
    """Pipeline 2: the frontier's networks trained on from the supernet's weights."""

    networks: int = Field(
        default=0, ge=0, description="how many of the front, spread over its cost; 0 leaves pipeline 2 out"
    )
    epochs: int = Field(default=25, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-5, gt=0)


class ExecutionConfig(Section):
    """Where and how trials run. None of it changes what is proposed or measured on the CPU, but for `threads`."""

    executor: Literal["tune", "inline"] = Field(
        default="tune", description="Ray Tune, or one after another in this process"
    )
    workers: int | None = Field(
        default=None, ge=1, description="candidates in flight; the machine's cores where left out"
    )
    address: str | None = Field(default=None, description="a Ray cluster; this machine where left out")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, ge=1, description="torch threads of a candidate's evaluation")
    training_threads: int = Field(default=2, ge=1, description="torch threads of supernet training")
    candidates_per_task: int = Field(default=4, ge=1, description="cheap candidates travel several to a Tune trial")
    ray_output: bool = Field(default=False, description="let Ray and Tune print what they do, for finding faults")
    retries: int = Field(default=1, ge=0, description="how often a candidate that failed is tried again")


class RunConfig(Section):
    """Everything about a run."""

    seed: int = Field(default=0, ge=0)
    space: SpaceConfig = SpaceConfig()
    data: DataConfig = DataConfig()
    supernet: SupernetConfig = SupernetConfig()
    search: SearchConfig = SearchConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    execution: ExecutionConfig = ExecutionConfig()

    def to_yaml(self) -> str:
        """The configuration as it is stored with a run, complete."""
        return yaml.safe_dump({"version": FORMAT_VERSION, **self.model_dump(mode="json")}, sort_keys=False)
