"""Images in Parquet files as the Hugging Face hub has them: a column of encoded images and a column of classes."""

# pyarrow has no types, and torch is partly untyped; the signatures below are checked
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownParameterType=false, reportUnknownArgumentType=false

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from search.data.errors import DataError, refuse
from search.data.sources.blocks import runs_of
from search.data.sources.decode import Blocks, caught
from search.data.sources.names import first_word, parquet_files, split_of
from search.data.sources.source import Source, class_numbers, left_out, names_of_classes, shards_by_split

if TYPE_CHECKING:
    import pyarrow as pa

IMAGE_NAMES = ("image", "img")
LABEL_NAMES = ("label", "labels", "fine_label")


@dataclass(frozen=True)
class RowGroup:
    """One row group of a file: where it begins in the split and in the file, in rows, and its size."""

    file: Path
    number: int
    begin: int
    begin_in_file: int
    bytes: int


@dataclass
class ParquetImages:
    """The rows of one split's files, one file after the other."""

    groups: tuple[RowGroup, ...]
    column: str
    labels: NDArray[np.int64]
    _starts: list[int] = field(init=False, repr=False)
    _last: "tuple[int, pa.Array] | None" = field(init=False, default=None, repr=False)

    def __post_init__(self) -> None:
        self._starts = [group.begin for group in self.groups]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_last": None}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, index: int) -> bytes:
        """The row's encoded image; keeps the row group that was read last."""
        number, group = self._group(index)
        if self._last is None or self._last[0] != number:
            self._last = None  # one row group in memory, not two
            self._last = number, self._read_group(group)
        return self._image(self._last[1], index)

    def read_block(self, indices: Sequence[int]) -> list[bytes | DataError]:
        """The encoded images of some rows of one row group, which is read once."""
        _, group = self._group(indices[0])
        column = caught(self._read_group, group)
        if isinstance(column, DataError):
            return [column] * len(indices)
        return [caught(self._image, column, index) for index in indices]

    def _image(self, column: "pa.Array", index: int) -> bytes:
        """A row of the column of its row group."""
        data = column[index - self._group(index)[1].begin].as_py()
        if data is None:
            raise DataError(f"{self.where(index)}: column '{self.column}' has no image bytes in this row.")
        return data

    def _read_group(self, group: RowGroup) -> "pa.Array":
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            with pq.ParquetFile(group.file) as file:
                column = file.read_row_group(group.number, columns=[self.column]).column(self.column).combine_chunks()
        except (OSError, pa.ArrowException) as error:
            raise DataError(f"{group.file}: row group {group.number} cannot be read ({error}).") from error
        # `field` of a struct ignores that the struct itself may be null; `flatten` does not
        return column.flatten()[column.type.get_field_index("bytes")] if pa.types.is_struct(column.type) else column

    def _group(self, index: int) -> tuple[int, RowGroup]:
        number = bisect_right(self._starts, index) - 1
        return number, self.groups[number]

    def _row(self, index: int) -> tuple[Path, int]:
        _, group = self._group(index)
        return group.file, index - group.begin + group.begin_in_file

    def where(self, index: int) -> str:
        """The file and the row, counted from 0."""
        file, row = self._row(index)
        return f"{file} row {row}"

    def key(self, index: int) -> str:
        """The file's name and the row."""
        file, row = self._row(index)
        return f"{file.name} {row}"

    def facts(self, index: int) -> str:
        """Row, file name and the row group's size."""
        return f"{self.key(index)} {self._group(index)[1].bytes}"

    def blocks(self, positions: Tensor) -> Blocks:
        """The positions of every row group that has some: reading a row means reading its group."""
        numbers = torch.from_numpy(np.searchsorted(self._starts, positions.numpy(), side="right") - 1)
        each = sum(group.bytes for group in self.groups) / max(1, len(self))
        return Blocks(runs_of(positions, numbers), each, singly=False)


def parquet_source(path: Path) -> Source:
    """Open a Parquet file (all of it training images) or a folder of train*, validation* and test* files.

    Files of a folder whose names begin with no split are training images if none does. Class names come from the
    Hugging Face metadata, else they are the numbers from 0 to the largest label. Raises `DataError` where files or
    columns are missing, a label is null or not an integer, or files differ in their classes.
    """
    files = [path] if path.is_file() else parquet_files(path)
    if not files:
        raise DataError(f"{path} has no Parquet file; path must be one, or a folder with train*.parquet.")
    by_split, rest = shards_by_split(path, files)

    problems: list[str] = []
    names: tuple[Path, tuple[str, ...]] | None = None
    splits: dict[str, ParquetImages] = {}
    for split, members in by_split.items():
        groups: list[RowGroup] = []
        labels: list[NDArray[np.int64]] = []
        column = ""
        for file in members:
            found = _read_facts(file, sum(map(len, labels)), problems)
            if found is None:
                continue
            if column and found.column != column:
                problems.append(f"{file}: the image column is '{found.column}' where {members[0]} has '{column}'.")
            if found.names and names and found.names != names[1]:
                problems.append(f"{file}: its class names differ from those of {names[0]}.")
            column = found.column
            names = names or ((file, found.names) if found.names else None)
            groups += found.groups
            labels.append(found.labels)
        if labels and not sum(map(len, labels)):
            problems.append(f"{members[0]}: the {split} split has no rows.")
        splits[split] = ParquetImages(tuple(groups), column, np.concatenate(labels or [np.zeros(0, np.int64)]))
    refuse(problems)
    name = path.parent.name if path.is_file() and split_of(first_word(path.stem)) else path.stem
    return Source(name, names[1] if names else class_numbers(path, splits["train"].labels), splits, left_out(rest))


@dataclass(frozen=True)
class _Facts:
    column: str
    groups: list[RowGroup]
    labels: NDArray[np.int64]
    names: tuple[str, ...]


def _read_facts(file: Path, begin: int, problems: list[str]) -> _Facts | None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        parquet = pq.ParquetFile(file)
    except (OSError, pa.ArrowException) as error:
        problems.append(f"{file}: this is not a Parquet file that can be read ({error}).")
        return None
    with parquet:
        schema = parquet.schema_arrow
        columns = f"its columns are {', '.join(schema.names)}"
        image = _image_column(schema)
        label = next((name for name in LABEL_NAMES if name in schema.names), None)
        if image is None:
            problems.append(f"{file} has no image column, which is a struct with a field 'bytes'; {columns}.")
        if label is None:
            problems.append(f"{file} has no column of classes, named {' or '.join(LABEL_NAMES)}; {columns}.")
        elif not pa.types.is_integer(schema.field(label).type):
            problems.append(
                f"{file}: column '{label}' must hold integers, but holds {schema.field(label).type}: number the "
                "classes from 0, in the order of their names."
            )
            return None
        if image is None or label is None:
            return None
        values = parquet.read(columns=[label]).column(label).combine_chunks()
        empty = np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False)).tolist()
        problems += [f"{file} row {row}: column '{label}' is empty; every image needs a class." for row in empty]
        groups: list[RowGroup] = []
        row = 0
        for number in range(parquet.metadata.num_row_groups):
            facts = parquet.metadata.row_group(number)
            groups.append(RowGroup(file, number, begin + row, row, facts.total_byte_size))
            row += facts.num_rows
        labels = values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
        return _Facts(image, groups, labels, _class_names(schema.metadata or {}, label))


def _image_column(schema: "pa.Schema") -> str | None:
    import pyarrow as pa

    structs = [
        field.name for field in schema if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    return next((name for name in IMAGE_NAMES if name in structs), structs[0] if structs else None)


def _class_names(metadata: dict[bytes, bytes], label: str) -> tuple[str, ...]:
    """The names that `datasets` writes into a file's metadata for a ClassLabel column; empty if there are none."""
    try:
        names = json.loads(metadata[b"huggingface"])["info"]["features"][label]["names"]
        return names_of_classes([str(name) for name in names])
    except (KeyError, TypeError, ValueError):
        return ()
