"""The named width spaces."""

import dataclasses

from spaces.space import nearest_multiple
from spaces.tools.named import NamedNetwork
from spaces.width.space import WidthSpace


def sized(space: WidthSpace, image_size: int) -> WidthSpace:
    """The space at another image size by the rule of `spaces.catalogue`: the base network's halvings stay."""
    return dataclasses.replace(space, image_size=nearest_multiple(image_size, space.network.stride))


def narrowed(space: WidthSpace, factor: int, name: str) -> WidthSpace:
    """The same space with every ratio divided by a whole number."""
    ratios = tuple(ratio / factor for ratio in space.ratios)
    return dataclasses.replace(space, name=name, ratios=ratios)


PRESETS = (
    WidthSpace("vgg-small", "vgg-small"),
    WidthSpace("resnet-18", "resnet-18", image_size=224, classes=1000),
    WidthSpace("resnet-20", "resnet-20"),
    WidthSpace("vgg-digits", "vgg-digits", image_size=8, channels=1),
    WidthSpace("xnor-resnet-18", "xnor-resnet-18", binariser="xnor", image_size=224, classes=1000),
    WidthSpace("bi-real-18", "bi-real-18", binariser="bireal", image_size=224, classes=1000),
    WidthSpace("bi-real-34", "bi-real-34", binariser="bireal", image_size=224, classes=1000),
    WidthSpace("real-to-binary-18", "real-to-binary-18", binariser="bireal", image_size=224, classes=1000),
)

_BI_REAL, _WIDTH_SEARCH = "Bi-Real Net (Liu et al., 2018), Table 3", "width search (Shen et al., 2019)"
_REAL_TO_BINARY = "Real-to-Binary (Martinez et al., 2020), with operations number by number"
NETWORKS = (
    NamedNetwork("xnor-resnet-18", "xnor-resnet-18", "1-1-1-1-1-1-1-1-1-1-1-1", 1.67e8, _BI_REAL),
    NamedNetwork("bi-real-18", "bi-real-18", "1-1-1-1", 1.63e8, _BI_REAL),
    NamedNetwork("bi-real-34", "bi-real-34", "1-1-1-1", 1.93e8, _BI_REAL),
    NamedNetwork("real-to-binary-18", "real-to-binary-18", "1-1-1-1", 1.83e8, _REAL_TO_BINARY),
    NamedNetwork("dorefa-resnet-18", "resnet-18", "1-1-1-1-1-1-1-1-1-1-1-1", 1.49e8, f"{_WIDTH_SEARCH}, Table 2"),
    NamedNetwork("dorefa-vgg-small", "vgg-small", "1-1-1-1-1-1", 1.32e7, f"{_WIDTH_SEARCH}, Table 1"),
)
