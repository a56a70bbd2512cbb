"""How supernets, candidates and the networks of the front are trained: one section for each."""

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from models.layers.modes import Mode
from search.config.sections import Optimiser, PlainTrainConfig, StagedTrainConfig, TeacherConfig, TrainConfig, as_list

Beta = Annotated[float, Field(ge=0, lt=1)]


class DifferentiableConfig(TrainConfig):
    """One bilevel search (BNAS, section 2.3): how network weights and architecture weights are trained in turn.

    The fields of `TrainConfig` are about the weights of the network.
    """

    epochs: int = Field(default=50, ge=1)
    batch_size: int = Field(default=64, ge=2, description="images of each half in one step")
    optimiser: Optimiser = Optimiser.SGD
    learning_rate: float = Field(default=0.025, gt=0)
    final_learning_rate: float = Field(default=0.001, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=3e-4, ge=0)
    cells: int = Field(default=8, ge=1, description="of the network that searches; the space has its own number")
    width: int = Field(default=16, ge=1, description="channels of the network that searches")
    entropy_weight: float = Field(
        default=1.0, ge=0, description="lambda of equation 2: how much early layer types are kept diverse; 0 is DARTS"
    )
    entropy_decay: float = Field(
        default=7.7, gt=0, description="tau of equation 2: epochs in which diversity falls to 37 %"
    )
    zeroise_discount: float = Field(
        default=3.0, gt=0, description="gamma: divides the weight of Zeroise where a genotype is read for larger images"
    )
    architecture_learning_rate: float = Field(default=3e-4, gt=0, description="of Adam, constant")
    architecture_betas: tuple[Beta, Beta] = (0.5, 0.999)
    architecture_weight_decay: float = Field(default=1e-3, ge=0)
    architecture_fraction: float = Field(
        default=0.5, gt=0, lt=1, description="share of the training images that move the architecture weights alone"
    )


def _as_teachers(given: object) -> tuple[object, ...]:
    """Modes of the largest subnet by name, and other networks."""
    return tuple(
        Mode(each) if isinstance(each, str) and each in set(Mode) else TeacherConfig.model_validate(each)
        for each in as_list(given)
    )


class SupernetConfig(StagedTrainConfig):
    """Training of the supernet: the sandwich rule with Bi-Teacher; each of the paper's ablations is a setting."""

    epochs: int = Field(default=40, ge=0)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=2.5e-3, gt=0)
    weight_decay: float = Field(default=5e-6, ge=0)
    label_smoothing: float = Field(default=0.1, ge=0, lt=1)
    teacher: Annotated[  # pyright: ignore[reportIncompatibleVariableOverride, reportGeneralTypeIssues]
        tuple[Mode | TeacherConfig, ...], BeforeValidator(_as_teachers)
    ] = Field(
        default=(Mode.FWBA,),
        description="fwba, bwba or fwfa: the largest subnet with such weights and activations (section 3.3.1); and, "
        "or instead, other networks, from which the largest subnet learns as well",
    )
    distillation: bool = Field(
        default=True,
        description="false: every subnet learns from the labels (the paper's w/o KD), the largest in the teacher's"
        " mode",
    )
    random_subnets: int = Field(default=2, ge=0)
    sampling: Literal["uniform", "genes"] = Field(
        default="uniform",
        description="how random subnets are drawn: every member as likely as any other, or gene by gene, as the "
        "authors' public code does",
    )
    bi_transformation: bool = True
    weight_normalisation: Literal["none", "paper", "authors"] = "paper"
    checkpoint: str | None = Field(
        default=None, description="a run, or the folder of a trained supernet (binarynas import-nasbnn); trains none"
    )
    start: str | None = Field(
        default=None,
        description="a run, or the folder of a trained supernet, whose weights the training starts from where they "
        "have the same shapes; classes and image size may be others",
    )

    @model_validator(mode="after")
    def _one_mode(self) -> "SupernetConfig":
        modes = [each for each in self.teacher if isinstance(each, Mode)]
        if len(modes) > 1:
            raise ValueError(f"teacher has {' and '.join(modes)}: the largest subnet teaches in one mode")
        if not self.distillation and self.teachers:
            raise ValueError("distillation is false, so nobody teaches: leave the other teachers out, or distillation")
        return self

    @property
    def teachers(self) -> tuple[TeacherConfig, ...]:
        """The networks of elsewhere that teach."""
        return tuple(each for each in self.teacher if isinstance(each, TeacherConfig))

    @property
    def teacher_mode(self) -> Mode | None:
        """The mode in which the largest subnet teaches; None where it is a student like the others."""
        return next((each for each in self.teacher if isinstance(each, Mode)), None)


class FinetuneConfig(PlainTrainConfig):
    """Pipeline 2: the frontier's networks trained on from the supernet's weights."""

    networks: int = Field(
        default=0, ge=0, description="how many of the front, spread over its cost; 0 leaves pipeline 2 out"
    )
    epochs: int = Field(default=25, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-5, gt=0)


class ParentConfig(PlainTrainConfig):
    """Training of the space's largest network (uniform 4x), from whose leading channels candidates start."""

    epochs: int = Field(default=0, ge=0, description="0: no parent; candidates start from random weights")
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    checkpoint: str | None = Field(
        default=None, description="folder of a trained parent (reference/parent/network of a run); trains none"
    )

    @property
    def used(self) -> bool:
        """Whether candidates start from a parent."""
        return self.epochs > 0 or self.checkpoint is not None


class NetworkTrainConfig(PlainTrainConfig):
    """Training of a network from its first weights to those that are kept."""

    drop_path: float = Field(default=0.0, ge=0, lt=1, description="chance to drop an edge of a cell while training")
    drop_path_schedule: Literal["constant", "linear"] = Field(
        default="constant", description="linear: the chance rises with every epoch, from none (BNAS's public code)"
    )


class CandidateConfig(NetworkTrainConfig):
    """Training of one candidate, and when it is stopped early: see `search.pipeline.stopping.halving`."""

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=128, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0)
    images_per_class: int | None = Field(
        default=None, ge=1, description="what candidates and their parent see; final training sees all"
    )
    early_stopping: bool = Field(default=True, description="successive halving on the non-dominated rank")
    first_rung: int = Field(default=1, ge=1, description="epochs after which candidates are compared first")
    reduction: float = Field(
        default=2.0,
        ge=1,
        description="r: one candidate in r is trained on, to r times the number of epochs; 1 stops none, and measures "
        "all of them after every epoch",
    )

    @property
    def rungs(self) -> tuple[int, ...]:
        """The epochs of the last stage after which candidates are compared; the last one is the end of training."""
        return self._until(self.last_epochs) if self.early_stopping else (self.last_epochs,)

    def rungs_among(self, measured: Sequence[int]) -> tuple[int, ...]:
        """The rungs of a training whose networks were measured after these epochs and no others."""
        return tuple(rung for rung in self._until(measured[-1]) if rung in measured)

    def _until(self, last: int) -> tuple[int, ...]:
        found: list[int] = []
        rung = float(self.first_rung)
        while round(rung) < last:
            found.append(round(rung))
            rung = max(rung * self.reduction, rung + 1)
        return (*found, last)


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
    full_precision: bool = Field(
        default=False,
        description="train a full-precision twin to compare with: of the uniform 1x network, or of each given network",
    )
