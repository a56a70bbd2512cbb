"""The spaces of BNAS that have a name, and the genotypes that its authors published."""

import dataclasses

from spaces.cell.architecture import parse
from spaces.cell.space import CellSpace
from spaces.errors import SpaceError
from spaces.space import halvings_kept, nearest_multiple
from spaces.tools.named import NamedNetwork

# nodes in the published order; where nodes may change places, the canonical order differs
PUBLISHED = {
    name: parse(text)
    for name, text in {
        # searched on CIFAR-10, with Zeroise
        "bnas-cifar10": (
            "normal: none@1 dil3@0 ; conv3@1 none@2 ; none@2 none@3 ; none@3 none@4 | "
            "reduce: max@0 none@1 ; max@0 none@2 ; none@3 none@2 ; none@3 none@4"
        ),
        # from the same search, with the weight of Zeroise divided by gamma (3), for ImageNet
        "bnas-imagenet": (
            "normal: conv3@1 dil3@0 ; conv3@1 conv3@2 ; conv3@2 dil3@1 ; dil3@1 conv3@0 | "
            "reduce: max@0 max@1 ; max@0 conv3@2 ; max@0 dil3@3 ; max@0 dil3@4"
        ),
    }.items()
}


def sized(space: CellSpace, image_size: int) -> CellSpace:
    """The space at another image size by the rule of `spaces.catalogue`: the stem of the template `imagenet` halves
    the maps three times, that of `cifar` never; the two reduction cells stay."""
    halvings = {"cifar": 2, "imagenet": 5}
    kept = halvings_kept(image_size, space.image_size, halvings[space.template])
    template = space.template if kept == halvings[space.template] else "cifar"
    size = nearest_multiple(image_size, 2 ** halvings[template])
    return dataclasses.replace(space, template=template, image_size=size)


def narrowed(space: CellSpace, factor: int, name: str) -> CellSpace:
    """The same space with its width divided by a whole number."""
    if space.width % factor:
        raise SpaceError(f"space {space.name!r} cannot be narrowed by {factor}: it does not divide width {space.width}")
    return dataclasses.replace(space, name=name, width=space.width // factor)


BNAS_CIFAR10 = CellSpace("bnas-cifar10", "cifar", cells=20, width=36, image_size=32, classes=10)

BNAS_D = CellSpace("bnas-d", "imagenet", cells=12, width=64, image_size=224, classes=1000)

# v2 has group convolutions but does not give the number of groups. Four divide every width of D, leave a 3x3 filter 144
# weights in the narrowest cells (so that a sum of signs still has many values), and save three quarters of the weights
BNAS_D_V2 = dataclasses.replace(BNAS_D, name="bnas-d-v2", groups=4)

BNAS_DIGITS = CellSpace("bnas-digits", "cifar", cells=5, width=8, image_size=8, classes=10, channels=1)

PRESETS = (
    BNAS_CIFAR10,
    BNAS_D,
    *(
        dataclasses.replace(BNAS_D, name=name, cells=cells, width=width)
        for name, cells, width in (("bnas-e", 12, 68), ("bnas-f", 15, 68), ("bnas-g", 11, 74), ("bnas-h", 16, 128))
    ),
    BNAS_D_V2,
    BNAS_DIGITS,
)

_TRANSFER = str(BNAS_D.parse(str(PUBLISHED["bnas-imagenet"])))
NETWORKS = tuple(
    NamedNetwork(name, name, _TRANSFER, ops, "BNAS (Kim et al., 2020), without the skips' float convolutions")
    for name, ops in (("bnas-d", 1.48e8), ("bnas-e", 1.63e8), ("bnas-f", 1.78e8))
)
