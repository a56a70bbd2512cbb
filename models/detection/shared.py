"""One detector for all networks of a supernet: it is trained once, and every member is measured as its backbone."""

# torch annotates its functions only in part
# pyright: reportUnknownMemberType=false

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork

from models.detection.detector import Detector, DetectorOptions, RegionDetector, Seen, require_channels
from models.detection.parts import make_pyramid
from models.nasbnn.supernet import NasBnnSupernet
from spaces import Architecture
from spaces.cost.detector import DetectorDesign, scales_of

_NETWORK = "backbone.network."  # names of a detector's tensors that a supernet gives in its own way


class SharedBackbone(nn.Module):
    """A supernet and one pyramid over the maps of each of its members, of which `member` is in use.

    The pyramid is that of the largest member; maps with fewer channels use the first inputs of its 1x1 convolutions.
    """

    def __init__(self, supernet: NasBnnSupernet, design: DetectorDesign) -> None:
        super().__init__()
        self.supernet = supernet
        self.design = design
        self.member = supernet.space.largest()
        scales = self._scales(self.member)
        self.strides = list(scales.values())
        costs = supernet.space.cost(self.member)
        self.pyramid = make_pyramid([scale.channels for scale in scales_of(costs, supernet.space.image_size)], design)
        self.out_channels = design.channels
        self._cut: dict[tuple[int, ...], FeaturePyramidNetwork] = {}  # without tensors of their own

    def _scales(self, member: Architecture) -> dict[str, int]:
        """The layers of a member whose maps the pyramid reads, with their strides."""
        space = self.supernet.space
        scales = scales_of(space.cost(member), space.image_size, f"space {space.name!r}")
        return {scale.layer: scale.stride for scale in scales}

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """(N, channels, H, W) -> five maps (N, out_channels, H / stride, W / stride), the finest first."""
        layers = list(self._scales(self.member))
        maps = OrderedDict(
            (str(layers.index(name)), x) for name, x in self.supernet.maps(images, self.member) if name in layers
        )
        return self._pyramid(maps)

    def _pyramid(self, maps: "OrderedDict[str, Tensor]") -> "OrderedDict[str, Tensor]":
        """The pyramid for maps of these channels; running statistics move in the shared one."""
        channels = tuple(x.shape[1] for x in maps.values())
        if channels not in self._cut:
            with torch.device("meta"):
                self._cut[channels] = make_pyramid(channels, self.design)
        cut = self._cut[channels].train(self.training)
        own = {**dict(self.pyramid.named_parameters()), **dict(self.pyramid.named_buffers())}
        return functional_call(cut, {name: first(own[name], tensor) for name, tensor in cut.state_dict().items()}, maps)


class SharedDetector(RegionDetector):
    """A detector whose backbone is any member of a supernet: `choose` says which.

    Raises `SpaceError` for a space whose networks' maps do not have four sizes.
    """

    def __init__(self, supernet: NasBnnSupernet, seen: Seen, options: DetectorOptions) -> None:
        require_channels(supernet.space, seen)
        shared = SharedBackbone(supernet, options.design(len(seen.class_names)))
        super().__init__(shared, shared.strides, seen, options)

    @property
    def supernet(self) -> NasBnnSupernet:
        """The weights of all backbones."""
        return self._shared.supernet

    @property
    def _shared(self) -> SharedBackbone:
        assert isinstance(self.backbone, SharedBackbone)
        return self.backbone

    def choose(self, member: Architecture) -> None:
        """Use this member from now on. Raises `SpaceError` for one that is not in the space."""
        self._shared.member = self.supernet.space.require(member)

    @torch.no_grad()
    def extract(self, member: Architecture) -> Detector:
        """The detector of a member, with copies of its weights and batch norm statistics.

        It gives what this one gives with that member chosen. Raises `SpaceError` for one that is not in the space.
        """
        with torch.random.fork_rng():  # its first weights are replaced
            detector = Detector(self.supernet.extract(member), self.seen, self.options)
        theirs = self.state_dict()
        for name, tensor in detector.to(next(self.parameters()).device).state_dict().items():
            if not name.startswith(_NETWORK):
                tensor.copy_(first(theirs[name], tensor))
        return detector.train(self.training)


def first(tensor: Tensor, like: Tensor) -> Tensor:
    """The first entries along every axis, as many as another tensor has: a view."""
    return tensor[tuple(slice(length) for length in like.shape)]
