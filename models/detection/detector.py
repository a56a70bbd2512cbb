"""The detector as its figure: a searched network, the pyramid over its four scales, proposals, the box head."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from torch import Tensor, nn
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor

from models.detection.parts import make_head, make_proposals, make_pyramid
from models.layers.binary import set_mode
from models.layers.modes import Mode
from models.layers.tail import Tail
from models.network import AnyNetwork, AnySpace
from models.options import Options
from spaces.cost.detector import SCALES, DetectorDesign, Precision, Scale, scales_of
from spaces.errors import SpaceError

_RATIOS = (0.5, 1.0, 2.0)


class BackboneNorms(StrEnum):
    """Whether the batch norms of the backbone are trained: TRAINED as all layers, FROZEN as they came."""

    TRAINED = "trained"
    FROZEN = "frozen"


@dataclass(frozen=True)
class DetectorOptions(Options):
    """What the weights of a detector depend on beside its backbone and classes; kept with its checkpoint.

    The first four are those of `DetectorDesign`. Images are resized so that their shorter side has `image_size` pixels,
    and the longer one at most `largest_size`. The anchors of a level have the sides of its stride times `anchor_scale`.
    `boxes` are the proposals that the box head sees per image in use, `boxes_trained` in training.
    """

    backbone: Precision = Precision.BINARY
    pyramid: Precision = Precision.BINARY
    proposals: Precision = Precision.FLOAT
    head: Precision = Precision.FLOAT
    channels: int = 256
    hidden: int = 1024
    image_size: int = 320
    largest_size: int = 640
    anchor_scale: float = 8.0
    boxes: int = 1000
    boxes_trained: int = 2000
    boxes_sampled: int = 512

    def design(self, classes: int) -> DetectorDesign:
        """These choices as what `spaces.detector_cost` counts."""
        names = ("pyramid", "proposals", "head", "backbone", "channels", "hidden", "boxes")
        return DetectorDesign(classes, **{name: getattr(self, name) for name in names}, anchors=len(_RATIOS))


@dataclass(frozen=True)
class Seen:
    """What a detector was made to see: the names of its classes (1, 2, ... in its outputs), and the mean and deviation
    of every channel, for pixels scaled to 0..1."""

    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def require_channels(space: AnySpace, seen: Seen) -> None:
    """Raise `SpaceError` where networks of a space do not read such images."""
    if len(seen.mean) != space.channels:
        raise SpaceError(
            f"the images have {len(seen.mean)} channels, networks of space {space.name!r} read {space.channels}"
        )


class Backbone(nn.Module):
    """A network without its classifier, and the pyramid over its four coarsest scales."""

    def __init__(self, network: AnyNetwork, design: DetectorDesign) -> None:
        super().__init__()
        space = network.space
        network.parts()  # raises where there is no pyramid to build
        self.scales = scales_of(space.cost(network.architecture), space.image_size, f"space {space.name!r}")
        network.add_module("classifier", nn.Identity())
        self.network = network
        self.pyramid = make_pyramid([scale.channels for scale in self.scales], design)
        self.out_channels = design.channels
        set_mode(network, Mode.FWFA if design.backbone is Precision.FLOAT else Mode.BWBA)

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """(N, channels, H, W) -> five maps (N, out_channels, H / stride, W / stride), the finest first."""
        return self.pyramid(self.maps(images))

    def maps(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """What the network puts out at each scale: "0" is the finest."""
        levels = {scale.layer: str(level) for level, scale in enumerate(self.scales)}
        found = ((levels[name], x) for name, x in self.network.maps(images) if name in levels)
        return OrderedDict(found)


class RegionDetector(FasterRCNN):
    """Faster R-CNN on what turns images into the maps of a pyramid: torchvision's anchors, matching, losses and
    suppression. `strides` are those of its maps, without the coarsest one, which is half as large as the one before.

    It takes and gives what torchvision's detectors do: a list of float images (channels, H, W), pixels 0..1, and in
    training a list of targets.
    """

    def __init__(self, backbone: nn.Module, strides: Sequence[int], seen: Seen, options: DetectorOptions) -> None:
        design = options.design(len(seen.class_names))
        sides = [round(stride * options.anchor_scale) for stride in (*strides, 2 * strides[-1])]
        super().__init__(
            backbone,
            min_size=options.image_size,
            max_size=options.largest_size,
            image_mean=list(seen.mean),
            image_std=list(seen.std),
            size_divisible=strides[-1],
            rpn_anchor_generator=AnchorGenerator(tuple((side,) for side in sides), (_RATIOS,) * len(sides)),
            rpn_head=make_proposals(design),
            rpn_pre_nms_top_n_train=options.boxes_trained,
            rpn_pre_nms_top_n_test=options.boxes,
            rpn_post_nms_top_n_train=options.boxes_trained,
            rpn_post_nms_top_n_test=options.boxes,
            box_head=make_head(design),
            box_predictor=FastRCNNPredictor(design.hidden, design.classes + 1),
            box_batch_size_per_image=options.boxes_sampled,
        )
        self.seen = seen
        self.options = options


class Detector(RegionDetector):
    """A `RegionDetector` on a searched network.

    The network's weights are those of the given one, which becomes a part of the detector and loses its classifier.
    Raises `SpaceError` for a network whose maps do not have four sizes.
    """

    def __init__(self, network: AnyNetwork, seen: Seen, options: DetectorOptions | None = None) -> None:
        chosen = options or DetectorOptions()
        require_channels(network.space, seen)
        backbone = Backbone(network, chosen.design(len(seen.class_names)))
        super().__init__(backbone, [scale.stride for scale in backbone.scales], seen, chosen)
        self._frozen: tuple[nn.Module, ...] = ()

    @property
    def network(self) -> AnyNetwork:
        """The searched network."""
        return self.body.network

    @property
    def body(self) -> Backbone:
        """The network and its pyramid."""
        assert isinstance(self.backbone, Backbone)
        return self.backbone

    @property
    def scales(self) -> tuple[Scale, ...]:
        """The maps that the pyramid reads."""
        return self.body.scales

    def freeze(self, scales: int, norms: BackboneNorms) -> None:
        """Keep the network as it is up to its first `scales` scales (0: train all of it), and its batch norms where
        `norms` says so; they stay in evaluation mode in training, too."""
        if not 0 <= scales <= SCALES:
            raise ValueError(f"from 0 to {SCALES} scales of the backbone can be frozen, not {scales}")
        frozen: list[nn.Module] = []
        if scales:
            last = self.scales[scales - 1].layer
            for name, part in self.network.parts().items():
                frozen.append(part)
                if name == last:
                    break
        if norms is BackboneNorms.FROZEN:
            frozen += [each for each in self.network.modules() if isinstance(each, Tail | nn.BatchNorm2d)]
        for part in frozen:
            part.requires_grad_(requires_grad=False)
        self._frozen = tuple(frozen)

    def train(self, mode: bool = True) -> "Detector":  # noqa: FBT001, FBT002 - torch's own signature
        """As torch's; frozen parts stay in evaluation mode."""
        super().train(mode)
        for part in self.__dict__.get("_frozen", ()):
            part.eval()
        return self
