"""Small data sets in the formats of the field, made where a test needs them."""

import gzip
import io
import json
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

NAMES = ("cat", "dog", "owl")


def pixels(number: int, size: int | tuple[int, int] = 8, channels: int = 3) -> np.ndarray:
    """An image of its own for every number: uint8 (H, W, 3) or (H, W)."""
    height, width = (size, size) if isinstance(size, int) else size
    shape = (height, width, 3) if channels == 3 else (height, width)
    return np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)


def png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "png")
    return buffer.getvalue()


def image_folder(root: Path, *, splits=("train",), per_class: int = 10, size=8, channels: int = 3) -> Path:
    """train/CLASS/*.png and so on; with no splits CLASS/*.png."""
    number = 0
    for split in splits or (".",):
        for name in NAMES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for one in range(per_class):
                (folder / f"{one:03}.png").write_bytes(png(pixels(number, size, channels)))
                number += 1
    return root


def parquet_file(path: Path, images: list[bytes | None], labels: list, **options) -> Path:
    """A file in the layout of the Hugging Face hub; options: column, label, names, label_type, rows a group."""
    column, label = options.get("column", "img"), options.get("label", "label")
    label_type = options.get("label_type", pa.int64())
    structs = [None if image is None else {"bytes": image, "path": None} for image in images]
    table = pa.table(
        {
            column: pa.array(structs, pa.struct({"bytes": pa.binary(), "path": pa.string()})),
            label: pa.array(labels, label_type),
        }
    )
    if "names" in options:
        info = {"info": {"features": {label: {"names": list(options["names"]), "_type": "ClassLabel"}}}}
        table = table.replace_schema_metadata({"huggingface": json.dumps(info)})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=options.get("rows", 7))
    return path


def tar_file(path: Path, samples: list[dict[str, bytes]], first: int = 0) -> Path:
    """A shard as WebDataset's writer makes it: the members of each sample, by the ends of their names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number, sample in enumerate(samples, first):
            for ends, data in sample.items():
                member = tarfile.TarInfo(f"{number:06}.{ends}")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    return path


def samples(count: int, first: int = 0, **kind) -> list[dict[str, bytes]]:
    """That many PNGs with the classes 0, 1, 2 in turn, as .cls; in order the images of `pixels`."""
    numbers = range(first, first + count)
    return [{"png": png(pixels(number, **kind)), "cls": str(number % 3).encode()} for number in numbers]


def tar_shards(folder: Path, counts: dict[str, list[int]], **kind) -> Path:
    """SPLIT-000000.tar and so on, with so many images each."""
    first = 0
    for split, sizes in counts.items():
        for number, size in enumerate(sizes):
            tar_file(folder / f"{split}-{number:06}.tar", samples(size, first, **kind), first)
            first += size
    return folder


def balanced(count: int, **kind) -> tuple[list[bytes | None], list[int]]:
    """That many PNGs with the classes 0, 1, 2 in turn."""
    return [png(pixels(number, **kind)) for number in range(count)], [number % 3 for number in range(count)]


def mnist_files(root: Path, count: int = 40, *, name: str = "MNIST") -> Path:
    """The four idx files, unpacked as torchvision keeps them."""
    raw = root / name / "raw"
    raw.mkdir(parents=True)
    for part, begin in (("train", 0), ("t10k", 1000)):
        images = np.stack([pixels(begin + one, 28, 1) for one in range(count)])
        labels = (np.arange(count) % 10).astype(np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            magic = bytes([0, 0, 8, array.ndim]) + b"".join(side.to_bytes(4, "big") for side in array.shape)
            (raw / f"{part}-{kind}-ubyte").write_bytes(magic + array.tobytes())
            (raw / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(magic))
    return root


@pytest.fixture(scope="session")
def files() -> ModuleType:
    """This module, whose functions make the files: tests cannot import each other in pytest's importlib mode."""
    return sys.modules[__name__]
