"""The named width spaces."""

import dataclasses

from spaces.space import nearest_multiple
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
)
