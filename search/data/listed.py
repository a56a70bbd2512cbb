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
from search.data.sources.tar import Shard, TarImages, root_of
from search.data.stream import Skipping, StreamSplit
from spaces.tools.files import write_atomically

FORMAT, FACTS = 1, b"binarynas.listing"
_SPLITS = ("train", "validation", "test")
_LISTED = (FolderImages, TarImages)
_TUPLES = ("class_names", "mean", "std", "left_out")


def keep(folder: Path, key: str, data: DataSet) -> None:
    """Write KEY.listing, whole or not at all: names, sizes and classes of the images of every split, and what was found
    in a look at some of them; of images in tar shards also where they lie. Parquet files have lists of their own."""
    splits = {part: getattr(data, part) for part in _SPLITS}
    if not all(isinstance(each, StreamSplit) and isinstance(each.images, _LISTED) for each in splits.values()):
        return
    left = {*_SPLITS, "storage"}
    facts = {field.name: getattr(data, field.name) for field in fields(data) if field.name not in left}
    parts: list[Any] = []
    for number, split in enumerate(splits.values()):
        members = split.members.tolist()
        names = [split.images.names[index].encode("utf-8", "surrogateescape") for index in members]
        sizes = [split.images.size(index) for index in members]
        columns = {"split": np.full(len(members), number, np.int8), "name": pa.array(names, pa.binary())}
        columns |= {"label": split.labels.numpy(), "size": np.asarray(sizes, np.int64)}
        if isinstance(split.images, TarImages):
            facts.setdefault("shards", []).append([[shard.name, shard.size] for shard in split.images.shards])
            columns |= {"number": split.images.numbers[members], "offset": split.images.offsets[members]}
        parts.append(pa.table(columns))
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
        shards = facts.pop("shards", None)
        wanted = ("split", "label", "size", *(("number", "offset") if shards else ()))
        columns = {name: table.column(name).to_numpy() for name in wanted}
        names = [name.decode("utf-8", "surrogateescape") for name in table.column("name").to_pylist()]
        found = [[Shard(*shard) for shard in part] for part in shards or ()]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException):
        return None
    splits: dict[str, StreamSplit] = {}
    for number, part in enumerate(_SPLITS):
        own = columns["split"] == number
        start, count = int(own.argmax()), int(own.sum())
        labels, sizes = columns["label"][own], columns["size"][own]
        these = tuple(names[start : start + count])
        if found:
            places = columns["number"][own], columns["offset"][own], sizes
            images = TarImages(root_of(config.path), tuple(found[number]), these, labels, *places)
            images.require_shards()
        else:
            images = FolderImages(config.path, these, labels, sizes)
            if count and not (config.path / images.names[0]).exists():
                raise DataError(f"{config.path / images.names[0]} is not there: this machine does not see the images.")
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
            shuffle_buffer=config.shuffle_buffer,
        )
    return DataSet(**facts, **cast("dict[str, Any]", splits), storage="streamed")
