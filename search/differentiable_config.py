"""What a differentiable search may be told."""

from typing import Annotated

from pydantic import Field

from search.sections import Optimiser, TrainConfig

Beta = Annotated[float, Field(ge=0, lt=1)]


class DifferentiableConfig(TrainConfig):
    """One bilevel search (BNAS, section 2.3): the training of the supernet's weights, and that of the architecture's.

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
