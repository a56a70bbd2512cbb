"""What the names of files and folders mean: images, splits, and shards; loads no torch."""

import glob
import re
from pathlib import Path

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff")
SPLIT_NAMES = {"train": ("train",), "validation": ("validation", "valid", "val"), "test": ("test",)}
"""The words that name a split: a folder's name, or the beginning of a shard's name."""
PACKED = (".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".tar.bz2")
"""Compressed tar files, within which no image can be found without reading all before it."""
_BRACES = re.compile(r"\{([^{}]*)\}")


def split_of(name: str) -> str | None:
    """The split that a folder's or file's name means, such as "validation" for "val"; None where it means none."""
    return next((split for split, words in SPLIT_NAMES.items() if name.lower() in words), None)


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder, or of its subfolder `data` as the Hugging Face hub has it, sorted by name."""
    for place in (folder, folder / "data"):
        found = sorted(place.glob("*.parquet")) if place.is_dir() else []
        if found:
            return found
    return []


def first_word(stem: str) -> str:
    """'train-00000-of-00002' and 'train_1' give 'train'."""
    return stem.replace("_", "-").replace(".", "-").split("-")[0]


def visible_folders(folder: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without hidden ones."""
    return sorted(child for child in folder.iterdir() if child.is_dir() and not child.name.startswith("."))


def is_image(file: Path) -> bool:
    """Whether a file counts as an image, in training and in `predict`: by the end of its name, and not hidden."""
    return file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith(".")


def is_shards(path: Path) -> bool:
    """Whether a path means tar files; a pattern does, whatever there is."""
    return _is_pattern(path) or bool(shards_of(path))


def shards_of(path: Path) -> list[Path]:
    """The tar files that a path means, sorted; compressed ones among them. It may be a file, a folder, or a pattern
    with `{000000..000146}`, `*`, `?` or `[...]`.

    Of a folder, those in it, in its folder `data`, or in the folders of splits. What braces name is listed whether it
    is there or not.
    """
    if _is_pattern(path):
        return sorted({Path(found) for each in braces(str(path)) for found in _matches(each)})
    if path.is_file():
        return [path] if _is_tar(path) else []
    if not path.is_dir():
        return []
    splits = [child for child in visible_folders(path) if split_of(child.name)]
    for places in ([path], [path / "data"], splits):
        within = [place for place in places if place.is_dir()]
        if found := [each for place in within for each in place.iterdir() if _is_tar(each) and each.is_file()]:
            return sorted(found)
    return []


def braces(text: str) -> list[str]:
    """Every text that a pattern with braces stands for, sorted.

    >>> braces("{a-{08..10},b}.tar")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'b.tar']
    """
    found = _BRACES.search(text)
    if found is None:
        return [text]
    before, after = text[: found.start()], text[found.end() :]
    return sorted({whole for each in _choices(found[1]) for whole in braces(before + each + after)})


def _choices(inside: str) -> list[str]:
    first, dots, last = inside.partition("..")
    if dots and first.isdecimal() and last.isdecimal():
        width = len(first) if first.startswith("0") else 0
        return [f"{number:0{width}}" for number in range(int(first), int(last) + 1)]
    return inside.split(",")


def _matches(text: str) -> list[str]:
    return glob.glob(text) if any(mark in text for mark in "*?[") else [text]  # noqa: PTH207 -- folders have marks too


def _is_pattern(path: Path) -> bool:
    return not path.exists() and _is_tar(path) and any(mark in str(path) for mark in "{*?[")


def _is_tar(path: Path) -> bool:
    return path.name.endswith((".tar", *PACKED)) and not path.name.startswith(".")
