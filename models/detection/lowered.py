"""A detector whose backbone and pyramid are 1-bit programs: run by the engine, with the heads in torch.

The pieces are the stages of the backbone, each from one scale to the next, and the blocks of the pyramid. Between them
torch enlarges and adds the maps, as the pyramid does, so images may have any size.
"""

import time
from collections import OrderedDict
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.ops.feature_pyramid_network import FeaturePyramidNetwork, LastLevelMaxPool

from models.detection.detector import Backbone, Detector
from models.detection.parts import BinaryBlock
from models.families import family_of
from models.onebit import operations as op
from models.onebit.engine import Engine
from models.onebit.lowering.folding import Builder, fold_norm, scale_of
from models.onebit.pieces import write_pieces
from models.onebit.program import MapProgram
from spaces import Precision

BODY_FILE = "body.bnn"
"""The pieces of a detector, in its folder."""

STAGE, INNER, OUTER = "stage", "inner", "outer"


@torch.no_grad()
def lower_body(body: Backbone) -> dict[str, MapProgram]:
    """The pieces of a backbone and its pyramid as they are in evaluation mode: `stage.0` to `stage.3`, whose maps are
    those of the scales, then `inner.0` ... and `outer.0` ..., the 1x1 and 3x3 convolutions of the pyramid.

    Raises `TypeError` for a backbone that the engine does not run: one of widths, or in float.
    """
    network = body.network
    space, lower_part = network.space, family_of(network.space).lower_part
    if lower_part is None:
        raise TypeError(
            f"the 1-bit engine runs detectors on networks of NAS-BNN; space {space.name!r} is of another family: use "
            "the detector in torch"
        )
    pieces: dict[str, MapProgram] = {}
    shape = op.Shape(space.channels, space.image_size, space.image_size)
    ends, builder, tensor = {scale.layer: number for number, scale in enumerate(body.scales)}, Builder(), 0
    for name, part in network.parts().items():
        tensor = lower_part(part, tensor, builder)
        if name in ends:
            pieces[f"{STAGE}.{ends[name]}"] = program = MapProgram(shape, tuple(builder.operations))
            shape, builder, tensor = program.shapes[-1], Builder(), 0
    for kind, blocks in ((INNER, body.pyramid.inner_blocks), (OUTER, body.pyramid.layer_blocks)):
        for number, block in enumerate(blocks):
            before = pieces[f"{STAGE if kind == INNER else INNER}.{number}"].shapes[-1]
            pieces[f"{kind}.{number}"] = MapProgram(before, _lower_block(block))
    return pieces


def write_body(folder: Path, detector: Detector) -> None:
    """Write what the engine runs of a detector into its folder; nothing where it runs none of it."""
    if family_of(detector.network.space).lower_part is not None and detector.options.backbone is Precision.BINARY:
        write_pieces(folder / BODY_FILE, lower_body(detector.body))


def _lower_block(block: nn.Module) -> tuple[op.Operation, ...]:
    """A block of the pyramid: a convolution, its norm and, in a binary one that keeps the channels, the shortcut."""
    builder = Builder()
    convolution, norm = (block.convolution, block.norm) if isinstance(block, BinaryBlock) else tuple(block.children())
    assert isinstance(norm, nn.BatchNorm2d)
    epilogue = fold_norm(norm, scale_of(convolution))
    if isinstance(block, BinaryBlock) and len({*block.convolution.weight.shape[:2]}) == 1:
        epilogue = op.Epilogue(epilogue.factor, epilogue.constant, shortcut=0)
    builder.add_convolution(convolution, 0, epilogue)
    return tuple(builder.operations)


class Piece(nn.Module):
    """A piece as a module: (N, in, H, W) -> (N, out, H', W'), of any size that its operations take."""

    def __init__(self, program: MapProgram, threads: int = 1) -> None:
        super().__init__()
        self.operations = program.operations
        self.threads = threads
        self._engines: dict[op.Shape, Engine] = {}

    def forward(self, x: Tensor) -> Tensor:
        """Runs the engine on the CPU."""
        given = op.Shape(*x.shape[1:])
        if given not in self._engines:
            self._engines[given] = Engine(MapProgram(given, self.operations))
        engine = self._engines[given]
        channels, height, width = engine.program.shapes[-1]
        return engine(x, threads=self.threads).view(-1, height, width, channels).permute(0, 3, 1, 2)


class EngineBody(nn.Module):
    """What a `Backbone` computes, by the pieces of `lower_body`."""

    def __init__(self, pieces: Mapping[str, MapProgram], threads: int = 1) -> None:
        super().__init__()
        made = {name: Piece(program, threads) for name, program in pieces.items()}
        count = sum(name.startswith(STAGE) for name in made)
        inner, outer = ([made[f"{kind}.{number}"] for number in range(count)] for kind in (INNER, OUTER))
        self.stages = nn.ModuleList(made[f"{STAGE}.{number}"] for number in range(count))
        self.out_channels = pieces[f"{OUTER}.0"].shapes[-1].channels
        self.pyramid = FeaturePyramidNetwork([1] * count, 1, LastLevelMaxPool())
        self.pyramid.inner_blocks, self.pyramid.layer_blocks = nn.ModuleList(inner), nn.ModuleList(outer)

    def forward(self, images: Tensor) -> "OrderedDict[str, Tensor]":
        """(N, channels, H, W) -> five maps (N, out_channels, H / stride, W / stride), the finest first."""
        maps: OrderedDict[str, Tensor] = OrderedDict()
        x = images
        for number, stage in enumerate(self.stages):
            maps[str(number)] = x = stage(x)
        return self.pyramid(maps)


def use_engine(detector: Detector, pieces: Mapping[str, MapProgram], threads: int = 1) -> None:
    """Let the engine run a detector's backbone and pyramid from now on; its heads stay in torch."""
    detector.backbone = EngineBody(pieces, threads)


@contextmanager
def part_times(detector: Detector) -> Generator[dict[str, float]]:
    """Milliseconds of each part of a detector, filled in by every call within the block (the last one counts)."""
    parts = {
        "resize": detector.transform,
        "backbone and pyramid": detector.backbone,
        "pyramid": detector.backbone.pyramid,
        "proposals": detector.rpn,
        "box head": detector.roi_heads,
    }
    found: dict[str, float] = {}
    begun: dict[str, float] = {}
    handles: list[torch.utils.hooks.RemovableHandle] = []
    for name, part in parts.items():

        def before(_module: nn.Module, _given: object, name: str = name) -> None:
            begun[name] = time.perf_counter()

        def after(_module: nn.Module, _given: object, _out: object, name: str = name) -> None:
            found[name] = 1000 * (time.perf_counter() - begun[name])
            if name == "backbone and pyramid":
                found["backbone"] = found.pop(name) - found["pyramid"]

        handles += [part.register_forward_pre_hook(before), part.register_forward_hook(after)]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()
