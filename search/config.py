"""What a run is asked to do: one configuration, checked whole before anything starts."""

import dataclasses
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from search.data.config import DataConfig
from spaces import SPACES, NasBnnSpace, SpaceError, Stage, get_space
from spaces.limits import Limits

FORMAT_VERSION = 1
COST_OBJECTIVES = ("ops", "params", "bytes")


class ConfigError(ValueError):
    """A configuration that cannot be: lists every problem, each with what is allowed."""


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


class TrainConfig(Section):
    """How a network is trained: Adam with a cosine schedule."""

    epochs: int = Field(ge=0)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0, description="on convolution and linear weights only")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    warmup_epochs: float = Field(default=0.0, ge=0, description="epochs of linear rise before the cosine")


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
            raise ValueError(f"there is no proposer {name!r}{_nearest(name, PROPOSER_NAMES)}")
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


def presets() -> dict[str, str]:
    """The presets by name, as YAML texts."""
    folder = files("search") / "presets"
    texts = {
        item.name.removesuffix(".yaml"): item.read_text() for item in folder.iterdir() if item.name.endswith(".yaml")
    }
    return dict(sorted(texts.items()))


def load_config(source: str, settings: Iterable[str] = (), overrides: Mapping[str, Any] | None = None) -> RunConfig:
    """The configuration of a preset's name or a YAML file's path, with `key=value` settings on top.

    `overrides` are nested values of options of their own (`--data`, `--trials`), applied before the settings. Raises
    `ConfigError` that lists every problem.
    """
    named = presets()
    if source in named:
        text = named[source]
    elif Path(source).suffix in (".yaml", ".yml"):
        try:
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the configuration {source}: {error}") from error
    else:
        raise ConfigError(
            f"{source!r} is neither a preset nor a .yaml file{_nearest(source, named)}; "
            f"the presets are {', '.join(named)}"
        )
    values = parse_yaml(text, source)
    _merge(values, overrides or {})
    for setting in settings:
        _merge(values, _nested(setting))
    return check_config(values, source)


def parse_yaml(text: str, source: str) -> dict[str, Any]:
    """A YAML text as nested values; raises `ConfigError` where it is none, or of another version."""
    try:
        values = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{source} is not readable as YAML: {' '.join(str(error).split())}") from error
    if values is None:
        values = {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise ConfigError(f"{source} must be a mapping of sections such as space, data, supernet and search")
    version = values.pop("version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise ConfigError(f"{source} has version {version!r}; this binarynas reads version {FORMAT_VERSION}")
    return values


def check_config(values: Mapping[str, Any], source: str) -> RunConfig:
    """The configuration that nested values stand for. Raises `ConfigError` that lists every problem."""
    try:
        return RunConfig.model_validate(values)
    except (ValidationError, SpaceError) as error:
        problems = [str(error)] if isinstance(error, SpaceError) else [_explain(problem) for problem in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(problems)) from error


def _explain(problem: Any) -> str:
    """One problem that pydantic found, in the user's words."""
    where = [str(part) for part in problem["loc"]]
    key = ".".join(where) or "the configuration"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(where[:-1])
        return f"there is no key {key!r}{_nearest(where[-1], known)} (known here: {', '.join(known)})"
    given = repr(problem["input"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key} is {given if len(given) <= 60 else given[:57] + '...'}: {message[:1].lower() + message[1:]}"


def _fields_at(where: list[str]) -> list[str]:
    """The keys of the section at a place."""
    section: Any = RunConfig
    for part in where:
        if part.isdigit():  # a place in a list of sections, as `stages` is
            continue
        annotation = section.model_fields[part].annotation
        section = next((t for t in _types_in(annotation) if hasattr(t, "model_fields")), None)
        if section is None:
            return []
    return list(section.model_fields)


def _types_in(annotation: Any) -> list[Any]:
    """A type and all types within it: `tuple[Stage, ...] | None` holds `Stage`."""
    return [annotation, *(found for inner in get_args(annotation) for found in _types_in(inner))]


def _nested(setting: str) -> dict[str, Any]:
    """`search.trials=50` as nested values."""
    key, equals, value = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"a setting is KEY=VALUE with dots in the key, such as search.trials=50; got {setting!r}")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of setting {setting!r} is not readable as YAML") from error
    for part in reversed(key.split(".")):
        nested = {part: nested}
    return nested


def _merge(values: dict[str, Any], changes: Mapping[str, Any]) -> None:
    for key, change in changes.items():
        if isinstance(change, Mapping) and isinstance(values.get(key), dict):
            _merge(values[key], change)
        else:
            values[key] = dict(change) if isinstance(change, Mapping) else change


def _nearest(given: str, known: Iterable[str]) -> str:
    near = get_close_matches(given, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
