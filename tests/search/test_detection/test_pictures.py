"""Pictures with boxes: what is refused, what is left out and counted, and that a split gives what the files hold."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from search.data.detection.config import PicturesConfig, recognise_pictures
from search.data.detection.digits import make_digits
from search.data.detection.opening import open_pictures
from search.data.errors import DataError
from search.data.order import in_order, shuffled

_spec = importlib.util.spec_from_file_location("detection_folders", Path(__file__).with_name("conftest.py"))
_shared = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_shared)
coco = _shared.coco


def opened(folder, seed=0, **settings):
    return open_pictures(PicturesConfig(name="coco", path=folder, **settings), 3, seed)


def box(number, image=0, category=3, values=(4, 4, 20, 24), **more):
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(values), **more}


def test_a_folder_in_cocos_format_is_cut_and_read(tmp_path):
    found = opened(coco(tmp_path))
    assert found.class_names == ("cat", "dog")
    splits = [found.train, found.validation, found.test]
    places = sorted(place for split in splits for place in split.places.tolist())
    assert places == list(range(8))
    assert all(len(split) for split in splits)
    assert opened(tmp_path).test.places.tolist() == found.test.places.tolist()
    assert any(opened(tmp_path, seed).test.places.tolist() != found.test.places.tolist() for seed in (1, 2, 3))
    target = found.train.pictures.target(0)
    assert (target.boxes.tolist(), target.classes.tolist()) == ([[4, 4, 24, 28]], [1])
    assert any("gaps in the numbers of categories" in note for note in found.notes)
    for images, chosen in found.train.batches(4, order=in_order(), device=torch.device("cpu")):
        for image, place in zip(images, chosen.tolist(), strict=True):
            height, width = found.train.pictures.size(place)
            exact = found.train.pictures.image(place) / 255
            torch.testing.assert_close(image[:, :height, :width], exact)
            assert image[:, height:].abs().sum() == 0
    batches = [places for _, places in found.train.batches(2, order=shuffled(1), device=torch.device("cpu"))]
    assert len(torch.cat(batches).unique()) == sum(map(len, batches))


def test_what_is_left_out_is_counted(tmp_path):
    rows = [
        box(1), box(2, values=(60, 40, 20, 20)), box(3, values=(0, 0, 0, 5)), box(4, values=(80, 90, 5, 5)),
        box(5, iscrowd=1), box(6, 10),
    ]  # fmt: skip
    folder = coco(tmp_path, annotations=rows)
    (folder / "images" / "7.png").unlink()
    found = opened(folder)
    told = " | ".join(found.notes)
    for words in (
        "1 boxes that reach out", "1 boxes of no size", "1 boxes outside", "1 crowds", "1 pictures without a file",
        "5 pictures without an object",
    ):  # fmt: skip
        assert words in told
    target = found.train.pictures.target(0)
    assert target.crowd.tolist() == [False, False, True]
    assert target.boxes[1].tolist() == [60, 40, 64, 48]
    assert len(found.train.pictures) == 7


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"annotations": [box(1), box(1)]}, "annotation id 1 is there twice"),
        (
            {"images": 2 * [{"id": 0, "file_name": "0.png", "height": 48, "width": 64}], "annotations": []},
            "image id 0 is there twice",
        ),
        ({"categories": 2 * [{"id": 3, "name": "cat"}]}, "category id 3 is there twice"),
        ({"annotations": [box(1, image=5)]}, "image_id 5, which is none"),
        ({"annotations": [box(1, category=4)]}, "category_id 4, which is none"),
        ({"annotations": [box(1, values=(1, 2, 3))]}, r"write \[x, y, width, height\]"),
        ({"annotations": [{"id": 1}]}, "annotation 1 has no image_id, category_id, bbox"),
        ({"categories": []}, "has no categories"),
        ({"images": [{"id": 0, "file_name": "0.png", "height": 90000, "width": 90000}]}, "90000×90000 pixels, more"),
        ({"images": [{"id": 0, "file_name": "0.png", "height": "a", "width": 3}]}, "write whole numbers"),
        ({"images": [{"id": 0, "file_name": "none.png", "height": 4, "width": 3}], "annotations": []}, "none of its 1"),
        ({"images": {}}, "no list of images: it is of another format"),
    ],
)
def test_annotations_that_cannot_be_used(tmp_path, changes, words):
    with pytest.raises(DataError, match=words):
        opened(coco(tmp_path, **changes))


def test_files_that_cannot_be_used(tmp_path):
    folder = coco(tmp_path / "a")
    file = folder / "annotations" / "instances_all.json"
    text = file.read_text()
    file.write_text(text[: len(text) // 2])
    with pytest.raises(DataError, match="is not JSON, or was cut off"):
        opened(folder)
    file.unlink()
    with pytest.raises(DataError, match="files found are: none"):
        opened(folder)
    for count, words in ((1, "1 picture"), (2, "2 pictures")):
        with pytest.raises(DataError, match=f"has {words} that can be used, too few to cut"):
            opened(coco(tmp_path / f"of-{count}", pictures=count))
    wrong = coco(tmp_path / "c")
    (wrong / "images" / "0.png").write_bytes((wrong / "images" / "1.png").read_bytes())
    pictures = opened(wrong).train.pictures
    with pytest.raises(DataError, match="its boxes would lie elsewhere"):
        pictures.image(0)
    (wrong / "images" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"0\.png cannot be decoded"):
        pictures.image(0)
    for given in (tmp_path / "nowhere", "digit"):
        with pytest.raises(DataError, match="give digits, or a folder in COCO's format"):
            recognise_pictures(str(given))


def test_two_files_are_training_and_test(tmp_path):
    folder = coco(tmp_path)
    file = folder / "annotations" / "instances_all.json"
    data = json.loads(file.read_text())
    for part, images in (("train2017", data["images"][:6]), ("val2017", data["images"][6:])):
        (folder / part).symlink_to(folder / "images")
        ids = {image["id"] for image in images}
        kept = [row for row in data["annotations"] if row["image_id"] in ids]
        target = folder / "annotations" / f"instances_{part}.json"
        target.write_text(json.dumps({**data, "images": images, "annotations": kept}))
    file.unlink()
    found = opened(folder)
    assert (len(found.train), len(found.validation), len(found.test)) == (5, 1, 2)


def test_the_built_in_pictures_are_the_same_each_time_and_their_boxes_hold_ink():
    pictures, again = (make_digits((6, 2, 2), 96, 1) for _ in range(2))
    assert torch.equal(pictures.images, again.images)
    for place in range(len(pictures)):
        target = pictures.target(place)
        assert len(target.boxes)
        assert target.classes.min() >= 1
        assert target.classes.max() <= 10
        for left, top, right, bottom in target.boxes.int().tolist():
            assert 0 <= left < right <= 96
            assert 0 <= top < bottom <= 96
            assert pictures.image(place)[0, top:bottom, left:right].float().mean() > 60
