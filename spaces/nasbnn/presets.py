"""The named NAS-BNN spaces: Table 1, its versions for small images and for the digits; around ReActNet and BNext."""

import dataclasses

from spaces.errors import SpaceError
from spaces.nasbnn import NasBnnSpace, Stage
from spaces.nasbnn.declaration import Blocks
from spaces.space import halvings_kept, nearest_multiple
from spaces.tools.named import NamedNetwork

_TABLE_1 = (
    Stage(depths=(2, 3), widths=(48, 64, 96), kernel_sizes=(3,), groups=(1,), stride=1),
    Stage(depths=(2, 3), widths=(96, 128, 192), kernel_sizes=(3, 5), groups=(1, 2), stride=2),
    Stage(depths=(2, 3), widths=(192, 256, 384), kernel_sizes=(3, 5), groups=(2, 4), stride=2),
    Stage(depths=(8, 9), widths=(384, 512, 768), kernel_sizes=(3, 5), groups=(4, 8), stride=2),
    Stage(depths=(2, 3), widths=(768, 1024, 1536), kernel_sizes=(3, 5), groups=(8, 16), stride=2),
)


def _with_strides(stages: tuple[Stage, ...], *strides: int) -> tuple[Stage, ...]:
    return tuple(dataclasses.replace(stage, stride=stride) for stage, stride in zip(stages, strides, strict=True))


def narrowed(space: NasBnnSpace, divisor: int, name: str) -> NasBnnSpace:
    """The same space with every width divided by a whole number; groups stay."""
    if divisor == 1:
        return dataclasses.replace(space, name=name)
    widths = {*space.stem_widths, *(width for stage in space.stages for width in stage.widths)}
    rests = sorted(width for width in widths if width % divisor)
    if rests:
        raise SpaceError(f"space {space.name!r} cannot be narrowed by {divisor}: it does not divide width {rests[0]}")
    return dataclasses.replace(
        space,
        name=name,
        stem_widths=tuple(width // divisor for width in space.stem_widths),
        stages=tuple(
            dataclasses.replace(stage, widths=tuple(width // divisor for width in stage.widths))
            for stage in space.stages
        ),
    )


def sized(space: NasBnnSpace, image_size: int) -> NasBnnSpace:
    """The space at another image size by the rule of `spaces.catalogue`: the stem's halving is dropped first, then
    those of the stages, from the last one on."""
    strides = [space.stem_stride, *(stage.stride for stage in space.stages)]
    surplus = strides.count(2) - halvings_kept(image_size, space.image_size, strides.count(2))
    for place in (0, *range(len(strides) - 1, 0, -1)):
        if surplus and strides[place] == 2:
            strides[place], surplus = 1, surplus - 1
    stem_stride, *others = strides
    return dataclasses.replace(
        space,
        stem_stride=stem_stride,
        stages=_with_strides(space.stages, *others),
        image_size=nearest_multiple(image_size, 2 ** strides.count(2)),
    )


NASBNN = NasBnnSpace("nasbnn", stem_widths=(24, 32, 48), stem_stride=2, stages=_TABLE_1, image_size=224, classes=1000)
NASBNN_32 = dataclasses.replace(
    NASBNN,
    name="nasbnn-32",
    stem_stride=1,
    stages=_with_strides(_TABLE_1, 1, 2, 2, 2, 1),
    image_size=32,
    classes=10,
)

NASBNN_DIGITS = NasBnnSpace(
    "nasbnn-digits",
    stem_widths=(8, 12, 16),
    stem_stride=1,
    stages=(
        Stage(depths=(1, 2), widths=(16, 24, 32), kernel_sizes=(3,), groups=(1,), stride=1),
        Stage(depths=(1, 2, 3), widths=(32, 48, 64), kernel_sizes=(3, 5), groups=(1, 2), stride=2),
        Stage(depths=(1, 2, 3), widths=(64, 96, 128), kernel_sizes=(3, 5), groups=(2, 4), stride=2),
    ),
    image_size=8,
    classes=10,
    channels=1,
)

_REACTNET_STAGES = (
    Stage(depths=(1,), widths=(32, 48, 64), kernel_sizes=(3,), groups=(1,), stride=1),
    Stage(depths=(1, 2), widths=(64, 96, 128), kernel_sizes=(3,), groups=(1,), stride=2),
    Stage(depths=(1, 2), widths=(128, 192, 256), kernel_sizes=(3,), groups=(1,), stride=2),
    Stage(depths=(4, 5, 6), widths=(256, 384, 512), kernel_sizes=(3,), groups=(1,), stride=2),
    Stage(depths=(1, 2), widths=(512, 768, 1024), kernel_sizes=(3,), groups=(1,), stride=2),
)
REACTNET = NasBnnSpace(  # its largest member is ReActNet-A
    "reactnet", (16, 24, 32), 2, _REACTNET_STAGES, image_size=224, classes=1000, blocks=Blocks.REACTNET
)

_EXCITES = (0, 8, 32)
_BNEXT_STAGES = (
    Stage((1, 2), (64, 96), (3,), (1,), 1, _EXCITES),
    Stage((2, 3, 4), (128, 192), (3, 5), (1, 2), 2, _EXCITES),
    Stage((2, 3, 4), (256, 384), (3, 5), (1, 2), 2, _EXCITES),
    Stage((6, 7, 8), (512, 768), (3, 5), (1, 2), 2, _EXCITES),
    Stage((2, 3, 4), (1024, 1536), (3, 5), (1, 2), 2, _EXCITES),
)
BNEXT = NasBnnSpace(  # around BNext-T, BNext-S and BNext-M, which it holds
    "bnext", (32, 48), 2, _BNEXT_STAGES, image_size=224, classes=1000, blocks=Blocks.BNEXT
)
BNEXT_DIGITS = dataclasses.replace(
    NASBNN_DIGITS,
    name="bnext-digits",
    stages=tuple(dataclasses.replace(stage, excites=_EXCITES) for stage in NASBNN_DIGITS.stages),
    blocks=Blocks.BNEXT,
)

PRESETS = (
    NASBNN,
    NASBNN_32,
    narrowed(NASBNN_32, 4, "nasbnn-32-quarter"),
    NASBNN_DIGITS,
    REACTNET,
    BNEXT,
    BNEXT_DIGITS,
)


def _bnext(stem: int, *depths: int) -> str:
    """The text form of a BNext: the stem's width, which every stage doubles, and the stages' depths."""
    stages = (" ".join([f"c{stem * 2**number}k3g1e8"] * depth) for number, depth in enumerate(depths, 1))
    return " | ".join([f"c{stem}k3g1", *stages])


_TABLE_6 = "NAS-BNN (Lin et al., 2024), Table 6"
_FROM_MEMORY = "BNext (Guo et al., 2022), figure from memory"
NETWORKS = (
    NamedNetwork(
        "react-net-a",
        "reactnet",
        "c32k3g1 | c64k3g1 | c128k3g1 c128k3g1 | c256k3g1 c256k3g1 | "
        "c512k3g1 c512k3g1 c512k3g1 c512k3g1 c512k3g1 c512k3g1 | c1024k3g1 c1024k3g1",
        0.87e8,
        "ReActNet (Liu et al., 2020), Table 1",
    ),
    NamedNetwork(
        "nas-bnn-a",
        "nasbnn",
        "c24k3g1 | c48k3g1 c48k3g1 | c96k3g2 c96k3g2 | c192k3g4 c192k3g4 | "
        "c384k3g8 c384k3g8 c384k3g8 c384k3g8 c384k3g8 c384k3g8 c384k3g8 c384k3g8 | c768k3g16 c768k3g16",
        21e6,
        _TABLE_6,
    ),
    NamedNetwork(
        "nas-bnn-d",
        "nasbnn",
        "c48k3g1 | c48k3g1 c96k3g1 | c192k5g2 c192k3g2 | c384k3g2 c384k3g4 c384k3g4 | "
        "c768k3g4 c768k3g4 c768k3g4 c768k5g8 c768k5g4 c768k5g4 c768k5g4 c768k3g4 | c1536k5g8 c1536k5g8 c1536k3g8",
        124e6,
        _TABLE_6,
    ),
    NamedNetwork("bnext-t", "bnext", _bnext(32, 1, 2, 2, 6, 2), 77e6, _FROM_MEMORY),
    NamedNetwork("bnext-s", "bnext", _bnext(48, 1, 2, 2, 6, 2), 172e6, _FROM_MEMORY),
    NamedNetwork("bnext-m", "bnext", _bnext(48, 1, 4, 4, 8, 4), 317e6, _FROM_MEMORY),
)
