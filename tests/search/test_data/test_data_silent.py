"""What people feed in is not taken wrongly in silence: images, folders, and what is left out of them."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from search.data.config import DataConfig, recognise
from search.data.errors import DataError
from search.data.opening import open_data
from search.data.order import in_order
from search.data.sources.decode import decode, white_of


def encoded(image: Image.Image, kind: str = "png", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_a_path_without_a_name_is_recognised_and_one_that_is_missing_told(tmp_path, files):
    folder = files.image_folder(tmp_path / "mine", splits=())
    assert DataConfig.model_validate({"path": str(folder)}).name == "folder"
    with pytest.raises(DataError, match="not a data set that is recognised"):
        recognise(tmp_path / "absent")


@pytest.mark.parametrize(
    ("splits", "words"), [(("val", "test"), "no train/"), (("train", "val", "valid"), "several mean the validation")]
)
def test_splits_that_cannot_be_meant(splits, words, tmp_path, files):
    with pytest.raises(DataError, match=words):
        open_data(recognise(files.image_folder(tmp_path / "set", splits=splits)))


def test_what_is_left_out_is_counted(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=("train", "dev"), per_class=8)
    (folder / "train" / "cat" / "more").mkdir()
    (folder / "train" / "cat" / "more" / "a.png").write_bytes(files.png(files.pixels(1)))
    (folder / "train" / "cat" / "notes.txt").write_text("")
    (folder / "train" / "cat" / "b.bmp").write_bytes(encoded(Image.fromarray(files.pixels(900)), "bmp"))
    data = open_data(recognise(folder))
    assert len(data.train) + len(data.validation) + len(data.test) == 25
    told = "; ".join(data.describe()["left_out"])
    for words in ("24 files in dev/", "1 file in folders within", "1 file of another kind (.txt)"):
        assert words in told


def test_shapes_in_the_alpha_channel_show_and_marks_turn_images():
    shape = np.zeros((4, 4, 4), np.uint8)
    shape[0, :, 3] = 255
    found = decode(encoded(Image.fromarray(shape, "RGBA")))
    assert found[:, 0].unique().tolist() == [0]
    assert found[:, 1:].unique().tolist() == [128]
    photo = Image.fromarray(np.arange(12, dtype=np.uint8).reshape(3, 4))
    marks = Image.Exif()
    marks[0x0112] = 6
    assert decode(encoded(photo, exif=marks)).shape == (1, 4, 3)


def test_images_of_twelve_bits_and_of_floats_keep_their_range():
    deep = Image.fromarray(np.array([[0, 2048, 4095]], np.uint16))
    assert white_of(4000) == 4095
    assert decode(encoded(deep), 4095.0).flatten().tolist() == [0, 128, 255]
    assert decode(encoded(deep)).flatten().tolist() == [0, 8, 15]
    floats = Image.fromarray(np.array([[0, 0.5, 1]], np.float32))
    assert decode(encoded(floats, "tiff"), 1.0).flatten().tolist() == [0, 128, 255]


def test_images_that_show_nothing_are_an_error(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=())
    for file in folder.rglob("*.png"):
        file.write_bytes(files.png(np.full((8, 8, 3), 7, np.uint8)))
    with pytest.raises(DataError, match="all of one colour"):
        open_data(recognise(folder))


@pytest.mark.parametrize("memory_limit_mb", [0, 100])
def test_damage_may_be_skipped_and_is_else_told_of_all_splits(memory_limit_mb, tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=("train", "val", "test"))
    bad = [folder / split / "cat" / "004.png" for split in ("train", "test")]
    for file in bad:
        file.write_bytes(b"no image")
    config = recognise(folder).model_copy(update={"image_size": 8, "memory_limit_mb": memory_limit_mb})
    with pytest.raises(DataError, match="2 problems") as error:
        open_data(config)
    assert all(str(file) in str(error.value) for file in bad)
    data = open_data(config.model_copy(update={"on_damage": "skip", "loader_workers": 0}), cache=tmp_path)
    images = [images for images, _ in data.train.batches(7, order=in_order(), device=torch.device("cpu"))]
    assert sum(map(len, images)) == 29
    assert "2 damaged images skipped" in data.left_out[-1]


def test_a_name_of_any_bytes_is_a_class(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=())
    (folder / "cat").rename(folder / "caf\udce9 [red]")
    assert open_data(recognise(folder)).class_names[0] == "caf\\xe9 [red]"


def test_images_that_are_seen_in_part_are_told(tmp_path, files):
    folder = files.image_folder(tmp_path / "set", splits=(), per_class=12)
    frames = [Image.fromarray(files.pixels(number)) for number in (1, 2)]
    frames[0].save(folder / "cat" / "moving.gif", save_all=True, append_images=frames[1:])
    Image.fromarray(np.arange(8 * 40 * 3, dtype=np.uint8).reshape(8, 40, 3)).save(folder / "cat" / "long.png")
    for limit in (0, 100):
        config = recognise(folder).model_copy(update={"image_size": 8, "memory_limit_mb": limit, "loader_workers": 0})
        told = open_data(config).left_out
        assert [each.split(" looked at ")[1] for each in told] == [
            "are more than 3 times as long as wide: only the square in their middle is seen",
            "have several frames or pages: only the first is seen",
        ]
