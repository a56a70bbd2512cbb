"""The index of one tar shard: where each image lies, how long it is, and its label."""

import json
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from search.data.sources.names import IMAGE_SUFFIXES
from spaces.errors import listed
from spaces.tools.files import readable

MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
LABEL_KEYS = ("label", "cls")
"""What the label may be called in a .json."""
LABEL_BYTES = 2**20


def _nothing() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Members:
    """The images of a shard of `size` bytes: names, labels, and offsets and sizes in bytes, int64 (N,), in the order of
    their places; what is wrong with the shard, a sentence each; and how many members belong to no image."""

    size: int
    names: tuple[str, ...] = ()
    labels: NDArray[np.int64] = field(default_factory=_nothing)
    offsets: NDArray[np.int64] = field(default_factory=_nothing)
    sizes: NDArray[np.int64] = field(default_factory=_nothing)
    problems: tuple[str, ...] = ()
    others: int = 0


@dataclass(frozen=True)
class _Place:
    name: str
    offset: int
    size: int


def members_of(file: Path, problems: list[str]) -> Members:
    """The images of a shard; adds to `problems`. A shard that has not changed is read once in a process."""
    try:
        facts = file.stat()
        found = _indexed(file, facts.st_size, facts.st_mtime_ns)
    except FileNotFoundError:
        found = Members(0, problems=(f"{file} is not there.",))
    except OSError as error:
        found = Members(0, problems=(f"{file}: the shard cannot be read ({error.strerror or error}).",))
    problems += found.problems
    return found


@lru_cache(4096)
def _indexed(file: Path, size: int, changed: int) -> Members:
    with file.open("rb", buffering=0) as opened:
        start = opened.read(8)
        packed = next((name for magic, name in MAGIC.items() if start.startswith(magic)), None)
        if packed:
            wrong = f"{file} is compressed ({packed}), so no image in it can be found by its place: unpack it."
            return Members(size, problems=(wrong,))
        problems: list[str] = []
        try:
            samples = _samples(opened.fileno(), file, problems)
        except (tarfile.TarError, EOFError, ValueError) as error:
            return Members(size, problems=(f"{file}: the shard is damaged or cut ({error}): get it anew.",))
        return _images(opened.fileno(), file, size, samples, problems)


def _samples(descriptor: int, file: Path, problems: list[str]) -> dict[str, dict[str, _Place]]:
    """The members of every sample by the ends of their names. Raises `tarfile.TarError` for a tar that is not whole."""
    samples: dict[str, dict[str, _Place]] = {}
    with cast("Any", tarfile).open(file, "r:") as tar:
        while (member := tar.next()) is not None:
            tar.members.clear()  # which would keep them all
            folder, slash, base = member.name.rpartition("/")
            stem, dot, ends = base.partition(".")
            if not member.isreg() or not stem or not dot:  # folders, and hidden files
                continue
            ends = ends.lower()
            sample = samples.setdefault(folder + slash + stem, {})
            if ends in sample:
                problems.append(f"{file} has two members {readable(member.name)}: leave one of them.")
            sample[ends] = _Place(member.name, member.offset_data, member.size)
        mark = os.pread(descriptor, 512, tar.offset)  # tarfile takes whatever is not a header for the end
    if len(mark) < 512 or any(mark):
        raise tarfile.TarError(f"no end mark at byte {tar.offset}")
    return samples


def _images(
    descriptor: int, file: Path, size: int, samples: Mapping[str, Mapping[str, _Place]], problems: list[str]
) -> Members:
    found: list[tuple[_Place, int]] = []
    others = 0
    for key, sample in samples.items():
        images = [place for ends, place in sample.items() if f".{ends}".endswith(IMAGE_SUFFIXES)]
        label = _label(descriptor, sample)
        where = f"{file}: sample {readable(key)}"
        if not images and label is None:
            others += len(sample)
        elif not images:
            there = listed(f".{ends}" for ends in sample)
            problems.append(f"{where} has no image ({', '.join(IMAGE_SUFFIXES)}), only {there}.")
        elif len(images) > 1:
            problems.append(f"{where} has several images: {listed(readable(place.name) for place in images)}.")
        elif isinstance(label, int):
            found.append((images[0], label))
        else:
            problems.append(f"{where} has no label: {label or 'it has neither a .cls nor a .json'}.")
    found.sort(key=lambda one: one[0].offset)
    numbers = np.array([(label, place.offset, place.size) for place, label in found], np.int64).reshape(-1, 3)
    names = tuple(place.name for place, _ in found)
    return Members(size, names, numbers[:, 0], numbers[:, 1], numbers[:, 2], tuple(problems), others)


def _label(descriptor: int, sample: Mapping[str, _Place]) -> int | str | None:
    """The label of a sample; what is wrong with it; None where there is no member for one."""
    if (place := sample.get("cls")) is not None:
        text = _read(descriptor, place).decode(errors="replace").strip()
        wrong = f"its .cls must hold a whole number, but holds {text[:40]!r}"
        return int(text) if text.removeprefix("-").isdecimal() and len(text) < 18 else wrong
    if (place := sample.get("json")) is None:
        return None
    try:
        read = json.loads(_read(descriptor, place))
    except (ValueError, RecursionError):
        return "its .json cannot be read"
    facts = cast("dict[str, object]", read) if isinstance(read, dict) else {}
    label = next((facts[key] for key in LABEL_KEYS if key in facts), None)
    if isinstance(label, int) and not isinstance(label, bool) and abs(label) < 2**63:
        return label
    return "its .json has no whole number under label or cls, and there is no .cls"


def _read(descriptor: int, place: _Place) -> bytes:
    return os.pread(descriptor, min(place.size, LABEL_BYTES), place.offset)
