"""A detector whose backbone and pyramid the 1-bit engine runs finds what it finds in torch."""

import copy
from dataclasses import replace

import pytest
import torch

from models.detection.detector import Detector, DetectorOptions, Seen
from models.detection.lowered import lower_body, part_times, use_engine
from models.families import build_network
from models.onebit.file import read_model
from models.onebit.header import BnnFileError
from models.onebit.operations import ProgramError
from models.onebit.pieces import read_pieces, write_pieces
from models.onebit.program import MapProgram, Program
from spaces import NasBnnSpace, Precision, Stage, get_space

SEEN = Seen(tuple("0123456789"), (0.3,), (0.25,))


def space() -> NasBnnSpace:
    stages = [Stage((1, 2), widths, (3, 5), (1,), 2) for widths in ((8, 16), (16,), (16, 24), (24,))]
    return NasBnnSpace("tiny", (8,), 2, stages, 64, 10, channels=1)


def gated() -> NasBnnSpace:
    """The same with blocks of BNext."""
    stages = tuple(replace(stage, excites=(0, 8)) for stage in space().stages)
    return replace(space(), stages=stages, blocks="bnext")


def trained(member, pyramid=Precision.BINARY, space=space) -> Detector:
    """A detector whose batch norms have seen something."""
    torch.manual_seed(0)
    options = DetectorOptions(pyramid=pyramid, channels=16, hidden=16, image_size=64, largest_size=96, boxes=20)
    detector = Detector(build_network(space(), member), SEEN, options)
    target = {"boxes": torch.tensor([[4.0, 4, 30, 30]]), "labels": torch.tensor([1])}
    optimiser = torch.optim.Adam(detector.parameters(), 0.01)
    for _ in range(3):
        sum(detector([torch.rand(1, 64, 64)] * 2, [target] * 2).values()).backward()
        optimiser.step()
    detector.roi_heads.score_thresh = 0.0
    return detector.eval()


@pytest.mark.parametrize(
    ("make", "end", "pyramid"),
    [
        *((space, end, pyramid) for end in ("smallest", "largest") for pyramid in Precision),
        (gated, "largest", Precision.BINARY),
    ],
)
def test_boxes_and_scores_are_those_of_torch(make, end, pyramid, tmp_path):
    """On images of two sizes, from a file; with a binary pyramid even to the bit. A map with as many channels as the
    pyramid has a shortcut around its 1x1 convolution."""
    detector = trained(getattr(make(), end)(), pyramid, make)
    engine = copy.deepcopy(detector)
    size = write_pieces(tmp_path / "body.bnn", lower_body(detector.body))
    assert size == (tmp_path / "body.bnn").stat().st_size
    use_engine(engine, read_pieces(tmp_path / "body.bnn"))
    images = [torch.rand(1, 64, 64), torch.rand(1, 60, 90)]
    with torch.no_grad(), part_times(engine) as parts:
        both = list(zip(detector(images), engine(images), strict=True))
    for one, other in both:
        assert len(one["boxes"])
        assert torch.equal(one["labels"], other["labels"])
        torch.testing.assert_close(one["boxes"], other["boxes"], atol=1e-3, rtol=0)
        torch.testing.assert_close(one["scores"], other["scores"], atol=1e-4, rtol=0)
        if pyramid is Precision.BINARY:
            assert torch.equal(one["boxes"], other["boxes"])
    assert set(parts) == {"resize", "backbone", "pyramid", "proposals", "box head"}
    assert min(parts.values()) > 0


def test_files_that_hold_something_else(tmp_path):
    pieces, file = lower_body(trained(space().smallest()).body), tmp_path / "body.bnn"
    write_pieces(file, pieces)
    with pytest.raises(BnnFileError):
        read_model(file)
    whole = file.read_bytes()
    file.write_bytes(whole[:-5])
    with pytest.raises(BnnFileError, match=r"body\.bnn"):
        read_pieces(file)
    with pytest.raises(BnnFileError, match="cannot read"):
        read_pieces(tmp_path / "none.bnn")
    stage = pieces["stage.0"]
    assert MapProgram(stage.image, stage.operations).shapes == stage.shapes
    with pytest.raises(ProgramError, match="one number per class"):
        Program(stage.image, stage.operations)


def test_backbones_that_the_engine_does_not_run():
    widths = get_space("resnet-18").for_data(image_size=64, channels=1)
    detector = Detector(build_network(widths, widths.uniform(0.25)), SEEN, DetectorOptions(channels=16, hidden=16))
    with pytest.raises(TypeError, match="use the detector in torch"):
        lower_body(detector.body)
