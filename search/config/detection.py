"""What detectors are made of, and how they are trained: a section of its own."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from search.config.sections import Optimiser, TrainConfig
from search.data.detection.config import PicturesConfig
from spaces.cost.detector import Precision


class DetectionConfig(TrainConfig):
    """Detectors on networks of another run (`binarynas detect`).

    The defaults are NAS-BNN's design (section 4.3): binary backbone and pyramid, float heads, 320 pixels.
    """

    source: Path | None = Field(default=None, description="the run whose networks are the backbones")
    architectures: tuple[str, ...] = Field(default=(), description="their text forms, as they were chosen")
    networks: int = Field(default=6, ge=1, description="how many of the source's front, spread over its cost")
    start: Literal["inherited", "random"] = Field(
        default="inherited", description="the backbone's first weights: those of the source, or random ones"
    )
    data: PicturesConfig = PicturesConfig()

    backbone: Precision = Field(default=Precision.BINARY, description="float is a twin to compare with")
    pyramid: Precision = Precision.BINARY
    proposals: Precision = Field(default=Precision.FLOAT, description="the proposals' 3x3 convolution")
    head: Precision = Field(default=Precision.FLOAT, description="the two layers of the box head")
    channels: int = Field(default=256, ge=8, description="of the pyramid")
    hidden: int = Field(default=1024, ge=8, description="width of the box head")
    anchor_scale: float = Field(default=8.0, gt=0, description="side of a level's anchors, in strides")
    boxes: int = Field(default=1000, ge=1, description="proposals that the box head sees per image")
    boxes_trained: int = Field(default=2000, ge=1, description="the same in training, before some are drawn")
    boxes_sampled: int = Field(default=512, ge=4, description="proposals of an image that the box head learns from")
    image_size: int = Field(default=320, ge=32, description="pixels of an image's shorter side")
    largest_size: int = Field(default=640, ge=32, description="pixels of its longer side, at most")
    training_sizes: tuple[int, ...] = Field(
        default=(), description="more sizes of the shorter side, of which every batch of a training draws one"
    )
    counted_size: int = Field(default=320, ge=32, description="the size of images for which a trial's OPs are counted")
    flip: bool = Field(default=True, description="mirror half of the training pictures")

    norms: Literal["trained", "frozen"] = Field(default="trained", description="the backbone's batch norms")
    frozen_scales: int = Field(default=0, ge=0, le=4, description="scales of the backbone that are not trained")
    teacher_weight: float = Field(
        default=0.0, ge=0, description="of the difference to the maps of a float twin, which is trained before; 0: none"
    )

    members: int = Field(
        default=1, ge=1, description="networks, drawn for every batch, on which a detector that they share is trained"
    )

    epochs: int = Field(default=12, ge=1)
    batch_size: int = Field(default=16, ge=1)
    optimiser: Optimiser = Optimiser.SGD
    learning_rate: float = Field(default=0.02, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    warmup_epochs: float = Field(default=0.1, ge=0)
    eval_batch_size: int = Field(default=16, ge=1)
