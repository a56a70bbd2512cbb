"""The list of streamed images, kept in a run's folder: other processes open the data without looking at the files."""

# torch is partly untyped, and pyarrow ships no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from search.data.augment import Augmentation
from search.data.config import DataConfig
from search.data.dataset import DataSet, Normalisation
from search.data.errors import DataError
from search.data.sources.folders import FolderImages
from search.data.stream import Skipping, StreamSplit
from spaces.tools.files import write_atomically

FORMAT, FACTS = 1, b"binarynas.listing"
_SPLITS = ("train", "validation", "test")
_TUPLES = ("class_names", "mean", "std", "left_out")


def keep(folder: Path, key: str, data: DataSet) -> None:
    """Write KEY.listing, whole or not at all: names, sizes and classes of the images of every split, and what was found
    in a look at some of them. Only data sets of single files have one."""
    splits = {part: getattr(data, part) for part in _SPLITS}
    if not all(isinstance(each, StreamSplit) and isinstance(each.images, FolderImages) for each in splits.values()):
        return
    parts: list[Any] = []
    for number, split in enumerate(splits.values()):
        members = split.members.tolist()
        names = [split.images.names[index].encode("utf-8", "surrogateescape") for index in members]
        sizes = [split.images.size(index) for index in members]
        columns = {"split": np.full(len(members), number, np.int8), "name": pa.array(names, pa.binary())}
        parts.append(pa.table({**columns, "label": split.labels.numpy(), "size": np.asarray(sizes, np.int64)}))
    left = {*_SPLITS, "storage"}
    facts = {field.name: getattr(data, field.name) for field in fields(data) if field.name not in left}
    table = pa.concat_tables(parts).replace_schema_metadata({FACTS: json.dumps({"format": FORMAT, **facts}).encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{key}.listing", sink.getvalue().to_pybytes())


def load(folder: Path, key: str, config: DataConfig, skipping: Skipping) -> DataSet | None:
    """The data set of a list that `keep` wrote; None where there is none, or none that can be read.

    Raises `DataError` where this machine does not see the images.
    """
    try:
        table = pq.read_table(folder / f"{key}.listing")
        facts = json.loads((table.schema.metadata or {})[FACTS])
        if facts.pop("format") != FORMAT or config.path is None:
            return None
        facts |= {name: tuple(facts[name]) for name in _TUPLES}
        columns = {name: table.column(name).to_numpy() for name in ("split", "label", "size")}
        names = [name.decode("utf-8", "surrogateescape") for name in table.column("name").to_pylist()]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    splits: dict[str, StreamSplit] = {}
    for number, part in enumerate(_SPLITS):
        own = columns["split"] == number
        start, count = int(own.argmax()), int(own.sum())
        labels = columns["label"][own]
        images = FolderImages(config.path, tuple(names[start : start + count]), labels, columns["size"][own])
        splits[part] = StreamSplit(
            images=images,
            members=torch.arange(count),
            labels=torch.from_numpy(labels.copy()),
            image_size=facts["image_size"],
            channels=facts["channels"],
            centre_crop=config.centre_crop,
            normalisation=Normalisation(facts["mean"], facts["std"]),
            augmentation=Augmentation.of(config),
            workers=config.loader_workers,
            white=facts["white"],
            skipping=skipping,
        )
        if count and not (config.path / images.names[0]).exists():
            raise DataError(f"{config.path / images.names[0]} is not there: this machine does not see the images.")
    return DataSet(**facts, **cast("dict[str, Any]", splits), storage="streamed")
