"""Which candidates are tried, and how a candidate is evaluated."""

from typing import Literal, Self

from pydantic import Field, JsonValue, field_validator, model_validator

from analysis.runs.schema import COLUMNS, LATENCY
from search.config.sections import Section
from search.registry import PROPOSERS, is_extension
from spaces.errors import unknown
from spaces.limits import Limits

QUALITIES = ("accuracy", "balanced_accuracy")
COST_OBJECTIVES = ("ops", "params", "bytes", LATENCY)
SHORT_NAMES = {"latency": LATENCY}


class EvaluationConfig(Section):
    """How a candidate's accuracy is measured: new batch norm statistics, then the validation split."""

    recalibration_batches: int = Field(default=10, ge=1)
    recalibration_batch_size: int = Field(default=256, ge=2)
    batch_size: int = Field(default=512, ge=1)
    engine: Literal["auto", "float", "onebit"] = Field(
        default="auto",
        description="of candidates of a supernet: auto is the 1-bit engine where that is faster (NAS-BNN on the CPU), "
        "else the float simulation, with the same class for every image",
    )
    test: bool = Field(
        default=False,
        description="measure every candidate on the test images, too, for a table of all networks; no search sees it",
    )


class ConstraintConfig(Section):
    """The range in which a metric is to be; at least one end is given."""

    min: float | None = None
    max: float | None = None

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if self.min is None and self.max is None:
            raise ValueError("give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min is {self.min:g} and max is {self.max:g}: nothing lies between")
        return self


class PlateauConfig(Section):
    """When a front has stopped growing: see `search.pipeline.stopping.plateau`."""

    generations: int = Field(default=4, ge=2, description="the last ones, whose gains are looked at")
    gain: float = Field(
        default=0.002, gt=0, lt=1, description="share of the hypervolume: a generation that gains less is not worth it"
    )


class TableConfig(Section):
    """A search on a table of networks, in simulated time; see `analysis.tables`."""

    source: str | None = Field(default=None, description="the name of a table, or the .parquet file of one")
    replicate: int = Field(default=0, ge=0, description="which of a network's measurements counts")
    workers: int = Field(default=1, ge=1, description="simulated ones, that share the recorded seconds")
    early_stopping: bool = Field(
        default=False, description="stop candidates by training.first_rung and reduction, at epochs that the table has"
    )


class SearchConfig(Section):
    """Which candidates are tried."""

    proposer: str = Field(
        default="evolution",
        description="a name of ours, optuna:NAME for a sampler of Optuna's, or package.module:Name for any other "
        "sampler or a proposer of yours",
    )
    proposer_options: dict[str, JsonValue] = Field(
        default_factory=dict, description="arguments of the sampler, such as {population_size: 20}"
    )
    constraints: dict[str, ConstraintConfig] = Field(
        default_factory=dict,
        description="metrics and the range that samplers are to keep them in, such as {bytes: {max: 20000}}; "
        "candidates outside are tried, too, and lead the sampler back",
    )
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
    latency_max: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="milliseconds that a candidate may take, as predicted"
    )
    bytes_max: float | None = Field(default=None, gt=0, description="bytes that a deployed network may have")
    stop: Literal["trials", "plateau"] = Field(
        default="trials", description="what ends the search: so many trials, or before them a front that stops growing"
    )
    plateau: PlateauConfig = PlateauConfig()
    mutation_probability: float = Field(default=0.2, gt=0, le=1)
    fitness_weight: float = Field(
        default=4.0, ge=0, description="lambda of the proposer `fitness`: points of accuracy for the OPs of uniform 1x"
    )
    bins: int = Field(default=80, ge=1, description="bins of the cost objective in which evolution keeps its best")

    @field_validator("objectives")
    @classmethod
    def _objectives(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        objectives = tuple(SHORT_NAMES.get(name, name) for name in objectives)
        if (
            objectives[:1] not in {(quality,) for quality in QUALITIES}
            or len(set(objectives)) < len(objectives)
            or not set(objectives[1:]) <= set(COST_OBJECTIVES)
        ):
            raise ValueError(
                "must begin with accuracy (or balanced_accuracy, the mean over the classes) and hold each of "
                f"{', '.join(COST_OBJECTIVES)} at most once"
            )
        return objectives

    @field_validator("proposer")
    @classmethod
    def _proposer(cls, name: str) -> str:
        if name not in PROPOSERS and not is_extension(name):
            words = unknown("proposer", name, PROPOSERS)
            raise ValueError(f"{words}; or optuna:NAME for a sampler, package.module:Name for code of yours")
        return name

    @field_validator("constraints")
    @classmethod
    def _constraints(cls, constraints: dict[str, ConstraintConfig]) -> dict[str, ConstraintConfig]:
        metrics = [column.name for column in COLUMNS if column.direction]
        for name in constraints:
            if SHORT_NAMES.get(name, name) not in metrics:
                raise ValueError(unknown("metric", name, metrics))
        return {SHORT_NAMES.get(name, name): each for name, each in constraints.items()}

    @model_validator(mode="after")
    def _limits(self) -> Self:
        _ = self.limits
        return self

    @property
    def limits(self) -> Limits:
        """The range of OPs in which candidates are proposed."""
        return Limits(self.ops_min, self.ops_max)

    @property
    def needs_latency(self) -> bool:
        """Whether candidates have a latency."""
        return LATENCY in (*self.objectives, *self.constraints) or self.latency_max is not None
