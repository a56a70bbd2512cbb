"""What the tests of detectors share: a small space and a run that has searched it, and a folder in COCO's format."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SPACE = {
    "name": "tiny-backbones",
    "image_size": 32,
    "stem_widths": [8],
    "stem_stride": 2,
    "stages": [
        {"depths": [1], "widths": widths, "kernel_sizes": [3], "groups": [1], "stride": 2}
        for widths in ([8, 16], [16], [16, 24], [24])
    ],
}
SMALL = (
    "data.pictures=24", "data.picture_size=64", "image_size=64", "largest_size=64", "counted_size=64", "channels=16",
    "hidden=16", "boxes=10", "boxes_trained=20", "boxes_sampled=8", "batch_size=4", "epochs=2", "anchor_scale=4",
    "optimiser=adam", "learning_rate=0.003",
)  # fmt: skip


def settings(*more: str) -> list[str]:
    """`--set` options of a small run of detectors."""
    return [word for each in (*SMALL, *more) for word in ("--set", each)]


@pytest.fixture(scope="session")
def backbones(cli, tmp_path_factory) -> Path:
    """A run that has searched backbones."""
    folder = tmp_path_factory.mktemp("detection")
    config = {
        "space": SPACE,
        "data": {"name": "digits", "train_limit": 128, "validation_limit": 64, "test_limit": 64},
        "supernet": {"epochs": 1, "batch_size": 64},
        "search": {"trials": 4, "generation": 4},
        "evaluation": {"recalibration_batches": 1, "recalibration_batch_size": 64},
        "execution": {"executor": "inline", "training_threads": 1},
    }
    file = folder / "backbones.yaml"
    file.write_text(json.dumps(config))
    done = cli("search", file, "--out", folder / "run")
    assert done.returncode == 0, done.stderr
    return folder / "run"


def coco(folder: Path, pictures: int = 8, **changes: object) -> Path:
    """A folder in COCO's format with one annotation file, whose lists may be replaced."""
    rng = np.random.default_rng(0)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number in range(pictures):
        height, width = 48 + 8 * (number % 3), 64
        Image.fromarray(rng.integers(0, 255, (height, width, 3), np.uint8)).save(folder / "images" / f"{number}.png")
        images.append({"id": 10 * number, "file_name": f"{number}.png", "height": height, "width": width})
        box = {"id": number + 1, "image_id": 10 * number, "category_id": 3, "bbox": [4, 4, 20, 24], "area": 480}
        annotations.append({**box, "iscrowd": 0})
    categories = [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}]
    data = {"images": images, "annotations": annotations, "categories": categories, **changes}
    (folder / "annotations").mkdir(exist_ok=True)
    (folder / "annotations" / "instances_all.json").write_text(json.dumps(data))
    return folder
