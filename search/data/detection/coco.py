"""Reads COCO's format: annotation files, checked before anything is trained, and the folders of their images."""

# torch is partly untyped
# pyright: reportUnknownMemberType=false

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from search.data.detection.pictures import Target
from search.data.errors import DataError, refuse
from search.data.sources.decode import as_channels, decode

MOST_PIXELS = 2**26
"""Pixels of one picture, which take 0.8 GB as float numbers."""
_REMEDY = "COCO's format has the lists images, annotations and categories"
_SHOWN = 3

Json = dict[str, Any]


@dataclass(frozen=True)
class _Entry:
    """A picture: its file, its height and width as annotated, and its objects."""

    file: Path
    height: int
    width: int
    target: Target


@dataclass(frozen=True, eq=False)
class CocoPictures:
    """Pictures that lie in files, read when they are asked for."""

    entries: tuple[_Entry, ...]
    channels: int

    def __len__(self) -> int:
        return len(self.entries)

    def image(self, place: int) -> Tensor:
        """See `Pictures`."""
        entry = self.entries[place]
        try:
            image = decode(entry.file.read_bytes())
        except OSError as error:
            raise DataError(f"cannot read {entry.file}: {error.strerror}") from error
        except ValueError as error:
            raise DataError(f"{entry.file} cannot be decoded ({error}): replace it, or take it out") from error
        if image.shape[1:] != (entry.height, entry.width):
            height, width = image.shape[1:]
            raise DataError(
                f"{entry.file} has {width}×{height} pixels, and its annotation says {entry.width}×{entry.height}: its "
                "boxes would lie elsewhere; mend the annotation, or put the right image there"
            )
        return as_channels(image, self.channels)

    def target(self, place: int) -> Target:
        """See `Pictures`."""
        return self.entries[place].target

    def size(self, place: int) -> tuple[int, int]:
        """See `Pictures`."""
        return self.entries[place].height, self.entries[place].width

    def name(self, place: int) -> str:
        """See `Pictures`."""
        return str(self.entries[place].file)


@dataclass(frozen=True)
class Coco:
    """What a folder in COCO's format holds; `test` is None where it has no validation file of its own."""

    pictures: CocoPictures
    class_names: tuple[str, ...]
    training: list[int]
    test: list[int] | None
    notes: tuple[str, ...]
    digest: str


def read_coco(folder: Path, channels: int) -> Coco:
    """Read and check a folder. Raises `DataError` for what cannot be used; what is left out is told in the notes."""
    files = _annotation_files(folder)
    digest, notes = hashlib.sha256(), Counter[str]()
    entries: list[_Entry] = []
    places: list[list[int]] = []
    names: tuple[str, ...] = ()
    for file, images in files:
        text = _read(file)
        digest.update(text)
        data = _parsed(text, file)
        found = _Checked(data, file, images, notes)
        if names and found.class_names != names:
            raise DataError(f"{file} has other categories than {files[0][0]}: both must have the same")
        names = found.class_names
        places.append(list(range(len(entries), len(entries) + len(found.entries))))
        entries += found.entries
        for entry in found.entries:
            digest.update(f"{entry.file.name} {entry.file.stat().st_size}\n".encode())
    told = tuple(f"{count} {what}" for what, count in sorted(notes.items()))
    test = places[1] if len(places) > 1 else None
    return Coco(CocoPictures(tuple(entries), channels), names, places[0], test, told, digest.hexdigest())


def _annotation_files(folder: Path) -> list[tuple[Path, Path]]:
    """The files of training and validation annotations, or one for all, each with the folder of its images."""
    found = sorted([*folder.glob("*.json"), *(folder / "annotations").glob("instances*.json")])
    found = found or sorted((folder / "annotations").glob("*.json"))
    training = [file for file in found if "train" in file.stem]
    validation = [file for file in found if "val" in file.stem]
    if len(found) == 1:
        return [(found[0], _image_folder(folder, found[0]))]
    if len(training) == 1 and len(validation) == 1:
        return [(file, _image_folder(folder, file)) for file in (training[0], validation[0])]
    listed = ", ".join(str(file.relative_to(folder)) for file in found) or "none"
    raise DataError(
        f"{folder} is not in COCO's format: it needs annotations/instances_train*.json and instances_val*.json, or one "
        f"annotation file; the files found are: {listed}"
    )


def _image_folder(folder: Path, file: Path) -> Path:
    """The folder of an annotation file's images: that of its name's end (train2017), else images, else beside it."""
    name = file.stem.rpartition("_")[2]
    return next((place for place in (folder / name, folder / "images") if place.is_dir()), folder)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error


def _parsed(text: bytes, file: Path) -> Json:
    try:
        data: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file} is not JSON, or was cut off ({error}): copy it again") from error
    fields = cast("Json", data) if isinstance(data, dict) else {}
    lacking = [key for key in ("images", "annotations", "categories") if not isinstance(fields.get(key), list)]
    if lacking:
        raise DataError(f"{file} has no list of {' and '.join(lacking)}: it is of another format; {_REMEDY}")
    return fields


class _Checked:
    """One annotation file, checked: its class names by rising category id, and its pictures in the file's order."""

    def __init__(self, data: Json, file: Path, images: Path, notes: Counter[str]) -> None:
        self._file, self._notes = file, notes
        self._problems: list[str] = []
        categories = self._by_id(data["categories"], "category", "name")
        pictures = self._by_id(data["images"], "image", "file_name", "height", "width")
        annotations = self._by_id(data["annotations"], "annotation", "image_id", "category_id", "bbox")
        for key, row in pictures.items():
            self._check_size(key, row["height"], row["width"])
        refuse(self._problems)
        order = sorted(categories)
        self.class_names = tuple(str(categories[key]["name"]) for key in order)
        if not order:
            raise DataError(f"{file} has no categories; {_REMEDY}")
        if order != list(range(1, len(order) + 1)):
            notes["gaps in the numbers of categories, which are numbered anew"] += order[-1] - order[0] + 1 - len(order)
        objects = self._objects(annotations, pictures, {key: place for place, key in enumerate(order, 1)})
        refuse(self._problems)
        self.entries = [entry for entry in self._entries(pictures, objects, images) if entry is not None]
        refuse(self._problems)
        if not self.entries:
            raise DataError(f"{file}: none of its {len(pictures)} pictures lies in {images}; put them there")

    def _by_id(self, rows: Sequence[object], what: str, *needed: str) -> dict[int, Json]:
        """The rows of a list by their ids."""
        found: dict[int, Json] = {}
        for row in rows:
            fields = cast("Json", row) if isinstance(row, dict) else {}
            key = fields.get("id")
            lacking = [name for name in needed if name not in fields]
            if type(key) is not int or lacking:
                lacks = f"no {', '.join(lacking)}" if lacking else "no whole number as its id"
                self._problems.append(f"{self._file}: {what} {key!r} has {lacks}; {_REMEDY}.")
            elif key in found:
                self._problems.append(f"{self._file}: the {what} id {key} is there twice; give every {what} its own.")
            else:
                found[key] = fields
        return found

    def _check_size(self, key: int, height: object, width: object) -> None:
        if type(height) is not int or type(width) is not int or height < 1 or width < 1:
            self._problems.append(f"{self._file}: image {key} has the size {width!r}×{height!r}; write whole numbers.")
        elif height * width > MOST_PIXELS:
            self._problems.append(
                f"{self._file}: image {key} has {width}×{height} pixels, more than {MOST_PIXELS}: make it smaller, or "
                "take it out."
            )

    def _objects(
        self, annotations: Mapping[int, Json], pictures: Mapping[int, Json], classes: Mapping[int, int]
    ) -> dict[int, list[tuple[list[float], int, float, bool]]]:
        """The boxes of every picture that can be used: corners, class, area, whether it is a crowd."""
        found: dict[int, list[tuple[list[float], int, float, bool]]] = {key: [] for key in pictures}
        for key, row in annotations.items():
            for what, known in (("image_id", pictures), ("category_id", classes)):
                if row[what] not in known:
                    self._problems.append(f"{self._file}: annotation {key} has the {what} {row[what]!r}, which is none")
            if row["image_id"] not in pictures or row["category_id"] not in classes:
                continue
            box = self._box(row["bbox"], key, pictures[row["image_id"]])
            if box is None:
                continue
            crowd = row.get("iscrowd", 0) == 1
            if crowd:
                self._notes["crowds, which are not trained, and not counted as missed"] += 1
            area = row.get("area")
            size = float(area) if isinstance(area, int | float) else (box[2] - box[0]) * (box[3] - box[1])
            found[row["image_id"]].append((box, classes[row["category_id"]], size, crowd))
        return found

    def _box(self, box: object, key: int, picture: Json) -> list[float] | None:
        """The corners of a box within its picture; None where nothing of it is there."""
        values = cast("list[object]", box) if isinstance(box, list) else []
        numbers = [float(value) for value in values if isinstance(value, int | float) and abs(value) < 1e9]
        if len(numbers) != 4 or len(values) != 4:
            self._problems.append(f"{self._file}: annotation {key} has the bbox {box!r}; write [x, y, width, height].")
            return None
        left, top, wide, high = numbers
        width, height = float(picture["width"]), float(picture["height"])
        if not (wide > 0 and high > 0):
            self._notes["boxes of no size, left out"] += 1
            return None
        inside = [max(left, 0.0), max(top, 0.0), min(left + wide, width), min(top + high, height)]
        if inside[2] - inside[0] <= 0 or inside[3] - inside[1] <= 0:
            self._notes["boxes outside of their pictures, left out"] += 1
            return None
        if max(abs(a - b) for a, b in zip(inside, (left, top, left + wide, top + high), strict=True)) > 1:
            self._notes["boxes that reach out of their pictures, cut"] += 1
        return inside

    def _entries(
        self,
        pictures: Mapping[int, Json],
        objects: Mapping[int, list[tuple[list[float], int, float, bool]]],
        images: Path,
    ) -> Sequence[_Entry | None]:
        there = {path.name for path in images.iterdir()} if images.is_dir() else set[str]()
        missing = [str(row["file_name"]) for row in pictures.values() if Path(str(row["file_name"])).name not in there]
        if missing:
            shown = ", ".join(missing[:_SHOWN])
            self._notes[f"pictures without a file in {images.name}, left out, such as {shown}"] += len(missing)
        return [self._entry(row, objects[key], images, there) for key, row in pictures.items()]

    def _entry(
        self, row: Json, objects: list[tuple[list[float], int, float, bool]], images: Path, there: set[str]
    ) -> _Entry | None:
        name = Path(str(row["file_name"])).name
        if name not in there:
            return None
        if not objects:
            self._notes["pictures without an object, which are kept"] += 1
        return _Entry(images / name, row["height"], row["width"], _target(objects))


def _target(objects: list[tuple[list[float], int, float, bool]]) -> Target:
    boxes = torch.tensor([box for box, _, _, _ in objects], dtype=torch.float32).reshape(-1, 4)
    classes = torch.tensor([each for _, each, _, _ in objects], dtype=torch.int64)
    areas = torch.tensor([area for _, _, area, _ in objects], dtype=torch.float32)
    return Target(boxes, classes, areas, torch.tensor([crowd for *_, crowd in objects], dtype=torch.bool))
