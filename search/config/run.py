"""What a run is asked to do: one configuration, checked whole before anything starts."""

from enum import StrEnum

import yaml
from pydantic import Field

from search.config.detection import DetectionConfig
from search.config.execution import ExecutionConfig
from search.config.plan import PlanConfig
from search.config.search import EvaluationConfig, SearchConfig, TableConfig
from search.config.sections import Section
from search.config.space import AnySpace, SpaceConfig
from search.config.trainings import (
    CandidateConfig,
    DifferentiableConfig,
    FinalConfig,
    FinetuneConfig,
    ParentConfig,
    SupernetConfig,
)
from search.data.config import DataConfig
from spaces import HyperparameterSpace, Listed

FORMAT_VERSION = 1


class Method(StrEnum):
    """How the accuracy of a candidate is found.

    ONE_SHOT: a supernet is trained once, and candidates are measured with its weights (NAS-BNN; cells as well).
    TRAINING: every candidate is trained for some epochs (the width search, hyperparameters).
    DIFFERENTIABLE: every trial is a whole bilevel search, and its genotype is what counts (BNAS).
    DETECTION: a detector is trained on every one of some given networks (`binarynas detect`).
    SHARED_DETECTOR: one detector is trained on a whole supernet, and candidates are measured as its backbones.
    NETWORKS: every one of some given networks is trained to its end, by the section `final` (`binarynas train`).
    TABLE: it is looked up in a table of networks that were measured before; nothing is trained.
    """

    ONE_SHOT = "one-shot"
    TRAINING = "training"
    DIFFERENTIABLE = "differentiable"
    DETECTION = "detection"
    SHARED_DETECTOR = "shared-detector"
    NETWORKS = "networks"
    TABLE = "table"

    @property
    def detects(self) -> bool:
        """Whether the trials are detectors, on pictures with boxes."""
        return self in (Method.DETECTION, Method.SHARED_DETECTOR)


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
    detection: DetectionConfig = DetectionConfig()
    execution: ExecutionConfig = ExecutionConfig()
    plan: PlanConfig = PlanConfig()
    table: TableConfig = TableConfig()

    def searched_space(self, architectures: AnySpace) -> AnySpace:
        """The space of the candidates: settings of differentiable searches, else architectures."""
        if self.method is not Method.DIFFERENTIABLE:
            return self.space.searched(architectures)
        alone = HyperparameterSpace(f"{self.space.name} searches", (Listed("seed", (self.seed,)),))
        return self.space.hyperparameter_space() or alone

    def to_short_yaml(self) -> str:
        """The configuration without what is left at its default, to be kept and edited."""
        return yaml.safe_dump(
            {"version": FORMAT_VERSION, **self.model_dump(mode="json", exclude_defaults=True)}, sort_keys=False
        )

    def to_yaml(self) -> str:
        """The configuration as it is stored with a run, complete."""
        return yaml.safe_dump({"version": FORMAT_VERSION, **self.model_dump(mode="json")}, sort_keys=False)
