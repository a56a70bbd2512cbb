"""What a run is asked to do: one configuration, checked whole before anything starts."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml
from pydantic import Field, field_validator, model_validator

from analysis.schema import LATENCY
from search.data.config import DataConfig
from search.differentiable_config import DifferentiableConfig
from search.sections import Section, TrainConfig, nearest
from search.space_config import SpaceConfig
from spaces.limits import Limits

if TYPE_CHECKING:
    from spaces import Space

FORMAT_VERSION = 1
COST_OBJECTIVES = ("ops", "params", "bytes", LATENCY)
SHORT_NAMES = {"latency": LATENCY}


class Method(StrEnum):
    """How the accuracy of a candidate is found.

    ONE_SHOT: a supernet is trained once, and candidates are measured with its weights (NAS-BNN; cells as well).
    TRAINING: every candidate is trained for some epochs (the width search, hyperparameters).
    DIFFERENTIABLE: every trial is a whole bilevel search, and its genotype is what counts (BNAS).
    """

    ONE_SHOT = "one-shot"
    TRAINING = "training"
    DIFFERENTIABLE = "differentiable"


class Teacher(StrEnum):
    """Which largest network teaches in the sandwich rule (section 3.3.1): F or B weights (W) and activations (A)."""

    FWBA = "fwba"
    BWBA = "bwba"
    FWFA = "fwfa"


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
    engine: Literal["auto", "float", "onebit"] = Field(
        default="auto",
        description="of candidates of a supernet: auto is the 1-bit engine where that is faster (NAS-BNN on the CPU), "
        "else the float simulation, with the same class for every image",
    )


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
    latency_max: float | None = Field(
        default=None, gt=0, allow_inf_nan=False, description="milliseconds that a candidate may take, as predicted"
    )
    mutation_probability: float = Field(default=0.2, gt=0, le=1)
    fitness_weight: float = Field(
        default=4.0, ge=0, description="lambda of the proposer `fitness`: points of accuracy for the OPs of uniform 1x"
    )
    bins: int = Field(default=80, ge=1, description="bins of the cost objective in which evolution keeps its best")

    @field_validator("objectives")
    @classmethod
    def _objectives(cls, objectives: tuple[str, ...]) -> tuple[str, ...]:
        known = ("accuracy", *COST_OBJECTIVES)
        objectives = tuple(SHORT_NAMES.get(name, name) for name in objectives)
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
        return LATENCY in self.objectives or self.latency_max is not None


class FinetuneConfig(TrainConfig):
    """Pipeline 2: the frontier's networks trained on from the supernet's weights."""

    networks: int = Field(
        default=0, ge=0, description="how many of the front, spread over its cost; 0 leaves pipeline 2 out"
    )
    epochs: int = Field(default=25, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-5, gt=0)


class ParentConfig(TrainConfig):
    """Training of the space's largest network (uniform 4x), from whose leading channels candidates start."""

    epochs: int = Field(default=0, ge=0, description="0: there is no parent, and candidates start from random weights")
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    checkpoint: str | None = Field(
        default=None, description="folder of a trained parent (reference/parent/network of a run); trains none"
    )

    @property
    def used(self) -> bool:
        """Whether candidates start from a parent."""
        return self.epochs > 0 or self.checkpoint is not None


class NetworkTrainConfig(TrainConfig):
    """Training of a network from its first weights to those that are kept."""

    multi_stage: bool = Field(
        default=False, description="first binary activations with float weights, then both (BNAS v2); epochs each"
    )
    drop_path: float = Field(default=0.0, ge=0, lt=1, description="chance to drop an edge of a cell while training")


class CandidateConfig(NetworkTrainConfig):
    """Training of one candidate, and when it is stopped early: see `search.halving`."""

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    images_per_class: int | None = Field(
        default=None, ge=1, description="candidates and their parent see so many; final training sees all"
    )
    early_stopping: bool = Field(default=True, description="successive halving on the non-dominated rank")
    first_rung: int = Field(default=1, ge=1, description="epochs behind which candidates are compared first")
    reduction: float = Field(default=2.0, gt=1, description="one in so many goes on, for so many times the epochs")

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs behind which candidates are compared; the last one is the end of training."""
        if not self.early_stopping:
            return (self.epochs,)
        found, rung = [], float(self.first_rung)
        while round(rung) < self.epochs:
            found.append(round(rung))
            rung = max(rung * self.reduction, rung + 1)
        return (*found, self.epochs)


class FinalConfig(NetworkTrainConfig):
    """Final training of networks of the front, and of networks to compare them with."""

    networks: int = Field(default=0, ge=0, description="how many of the front, spread over its cost; 0 trains none")
    choice: Literal["front", "all"] = Field(
        default="front", description="of the front, or of all candidates: to see how well the search ranks them"
    )
    epochs: int = Field(default=200, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    start: Literal["scratch", "inherited"] = Field(
        default="scratch", description="random weights, or those that the candidate was measured with"
    )
    genotype: Literal["genotype", "transfer"] = Field(
        default="genotype", description="which of a search's genotypes: as it is, or with less Zeroise for transfer"
    )
    uniform: tuple[float, ...] = Field(default=(), description="uniform ratios to compare with (width spaces)")
    full_precision: bool = Field(default=False, description="train a full-precision twin to compare with")


class ExecutionConfig(Section):
    """Where and how trials run. None of it changes what is proposed or measured on the CPU, but for `threads` and how
    latencies are found."""

    executor: Literal["tune", "inline"] = Field(
        default="tune", description="Ray Tune, or one after another in this process"
    )
    workers: int | None = Field(
        default=None, ge=1, description="candidates in flight; the machine's cores where left out"
    )
    address: str | None = Field(
        default=None, description="a Ray cluster, auto or HOST:PORT; this machine where left out"
    )
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = Field(default=1, ge=1, description="torch threads of a candidate's evaluation")
    training_threads: int = Field(default=2, ge=1, description="torch threads of supernet training")
    candidates_per_task: int = Field(default=4, ge=1, description="cheap candidates travel several to a Tune trial")
    ray_output: bool = Field(default=False, description="let Ray and Tune print what they do, for finding faults")
    latency: Literal["table", "measured"] = Field(
        default="table", description="predicted from a table of operations, or each candidate measured by itself"
    )
    latency_table: Path | None = Field(
        default=None, description="a table that `binarynas latency-table` made here; measured anew where left out"
    )
    retries: int = Field(default=1, ge=0, description="how often a candidate that failed is tried again")
    timeout: float | None = Field(
        default=None, gt=0, description="seconds for one candidate's evaluation or one epoch; its worker is then killed"
    )
    gpu_share: float | None = Field(
        default=None, gt=0, le=1, description="of a GPU, for a candidate; 1/workers on one machine, 1 on a cluster"
    )


class RunConfig(Section):
    """Everything about a run."""

    seed: int = Field(default=0, ge=0)
    method: Method = Method.ONE_SHOT
    space: SpaceConfig = SpaceConfig()
    data: DataConfig = DataConfig()
    supernet: SupernetConfig = SupernetConfig()
    parent: ParentConfig = ParentConfig()
    training: CandidateConfig = CandidateConfig()
    differentiable: DifferentiableConfig = DifferentiableConfig()
    search: SearchConfig = SearchConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    finetune: FinetuneConfig = FinetuneConfig()
    final: FinalConfig = FinalConfig()
    execution: ExecutionConfig = ExecutionConfig()

    def searched_space(self, classes: int | None = None, channels: int | None = None) -> "Space[Any]":
        """What the proposers walk over: of differentiable searches their settings, else architectures."""
        if self.method is not Method.DIFFERENTIABLE:
            return self.space.build(classes, channels)
        from spaces.hyperparameters import HyperparameterSpace, Listed

        alone = HyperparameterSpace(f"{self.space.name} searches", (Listed("seed", (self.seed,)),))
        return self.space.hyperparameter_space() or alone

    def to_yaml(self) -> str:
        """The configuration as it is stored with a run, complete."""
        return yaml.safe_dump({"version": FORMAT_VERSION, **self.model_dump(mode="json")}, sort_keys=False)
