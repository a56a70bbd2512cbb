"""Checkpoints: folders of tensors and a manifest, written last, that vouches for them. Opening one runs no code."""

import errno
import hashlib
import json
import re
import shutil
import warnings
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from spaces.errors import BinarynasError
from spaces.tools.files import PART, replacing, sync_folder, utf8_path, write_atomically

Json = dict[str, Any]
FORMAT = "binarynas checkpoint"
VERSION = 1
MANIFEST = "manifest.json"
KEPT = 2
ABOUT = (
    "weights of a binary neural network in torch's layout, written by binarynas; meta (JSON) has the space, the "
    "architecture, the options and, where they belong to a run, classes and normalisation. Put beside their "
    f"{MANIFEST}, models.load_network reads them"
)
"""What the file of tensors says of itself to other programs."""
_LARGEST_MANIFEST = 64 * 2**20
_TENSOR_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*\.safetensors")
_STEP = re.compile(r"step-(\d{9,})")


class CheckpointError(BinarynasError, ValueError):
    """A checkpoint that cannot be written or trusted: names the file, what is wrong with it and what to do."""


class CheckpointWarning(UserWarning):
    """A damaged checkpoint was set aside and the one before it is used."""


class Verify(Enum):
    """What is checked on reading a checkpoint: sizes and hashes, or sizes only (for workers that open it often)."""

    HASHES = "hashes"
    SIZES = "sizes"


class Step(NamedTuple):
    """One checkpoint of a series."""

    number: int
    tensors: dict[str, Tensor]
    meta: Json


def save_checkpoint(folder: Path | str, tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> None:
    """Write tensors of any devices, and values that JSON can hold, as a checkpoint; replaces one that is there.

    A reader sees the old checkpoint until the new one is whole: the tensors' file is named by its content, and the
    manifest changes last. The tensors' file says the same of itself, for whoever has it alone.

    Raises `CheckpointError` where `meta` is not JSON, `OSError` where the disk refuses.
    """
    folder = Path(folder)
    try:
        meta_text = json.dumps(dict(meta), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise CheckpointError(
            f"the meta of checkpoint {folder} is not JSON: {error}. Use strings, finite numbers, lists and dictionaries"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "tensors.safetensors") as temporary:
        # one entry, as safetensors writes several in any order, and the file is named by its content
        said = json.dumps({"about": ABOUT, **json.loads(meta_text)})
        try:
            save_file(_storable(tensors), temporary, {"meta": said})
        except SafetensorError as error:  # of a full disk, say
            raise OSError(errno.EIO, str(error), str(temporary)) from error
        digest, size = _hash(temporary), temporary.stat().st_size
    name = f"tensors-{digest[:16]}.safetensors"
    (folder / "tensors.safetensors").replace(folder / name)
    sync_folder(folder)
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "files": {name: {"bytes": size, "sha256": digest}},
        "meta": json.loads(meta_text),
    }
    write_atomically(folder / MANIFEST, json.dumps(manifest, indent=1) + "\n")
    for other in folder.iterdir():  # of the checkpoint before, or of writing that was killed
        if other.name != name and other.name.endswith((".safetensors", PART)):
            with suppress(OSError):  # where the system keeps a file that is mapped
                other.unlink()


def load_checkpoint(folder: Path | str, verify: Verify = Verify.HASHES) -> tuple[dict[str, Tensor], Json]:
    """The tensors, mapped from the file (private on write: nothing changes the file), and the meta of a checkpoint.

    Raises `CheckpointError`, naming the file and the remedy, for anything that is not a whole checkpoint of a known
    version: no manifest, wrong sizes or hashes, names that leave the folder, unreadable tensors.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    tensors: dict[str, Tensor] = {}
    for name, facts in manifest["files"].items():
        path = _checked(folder, name, facts, verify)
        try:
            with utf8_path(path) as named:
                tensors |= load_file(named)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{path} holds no tensors: {error}. {_REMEDY}") from error
    return tensors, manifest["meta"]


def save_step(folder: Path | str, step: int, tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> None:
    """Add a checkpoint to a series and keep the last two: `folder/step-000000012` and the one before.

    Raises as `save_checkpoint` does, and `ValueError` for a negative step.
    """
    if step < 0:
        raise ValueError(f"a step must not be negative, got {step}")
    folder = Path(folder)
    save_checkpoint(folder / f"step-{step:09d}", tensors, meta)
    sync_folder(folder)
    whole = [path for _, path in _steps(folder) if (path / MANIFEST).is_file()]
    for _, path in _steps(folder):
        if path not in whole[:KEPT]:
            (path / MANIFEST).unlink(missing_ok=True)  # first, so that a half-deleted one does not count
            shutil.rmtree(path)


def latest_checkpoint(folder: Path | str) -> Step | None:
    """The last whole checkpoint of a series; None where none was ever finished.

    A damaged one is renamed to `*.damaged`, named in a `CheckpointWarning`, and the one before it is used. Raises
    `CheckpointError` where all are damaged, so that a run never starts again unnoticed.
    """
    damaged: list[str] = []
    for number, path in _steps(Path(folder)):
        if not (path / MANIFEST).exists():
            continue  # never finished, or about to be deleted
        try:
            return Step(number, *load_checkpoint(path))
        except CheckpointError as error:
            aside = _set_aside(path)
            damaged.append(str(aside))
            warnings.warn(f"checkpoint set aside as {aside}: {error}", CheckpointWarning, stacklevel=2)
    if damaged:
        raise CheckpointError(
            f"every checkpoint in {folder} is damaged and was set aside: {', '.join(damaged)}. "
            "Restore one from a copy, or start this run again from the beginning"
        )
    return None


_REMEDY = "Use another checkpoint, or write this one again"


def _storable(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous tensors on the CPU that share no memory, as safetensors asks."""
    result: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        plain = tensor.detach().to("cpu", memory_format=torch.contiguous_format).contiguous()
        if plain.untyped_storage().data_ptr() in seen or plain.untyped_storage().nbytes() != plain.nbytes:
            plain = plain.clone()
        seen.add(plain.untyped_storage().data_ptr())
        result[name] = plain
    return result


def _manifest(folder: Path) -> Json:
    path = folder / MANIFEST
    if not folder.exists():
        raise CheckpointError(f"{folder} does not exist; give the folder of a checkpoint")
    if folder.is_file():
        raise CheckpointError(f"{folder} is a file; a checkpoint is a folder with a {MANIFEST}. {_REMEDY}")
    if not path.is_file():
        raise CheckpointError(f"{folder} is not a checkpoint: it has no {MANIFEST}, which is written last. {_REMEDY}")
    if path.stat().st_size > _LARGEST_MANIFEST:
        raise CheckpointError(f"{path} is larger than {_LARGEST_MANIFEST} bytes. {_REMEDY}")
    try:
        manifest = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not JSON: {error}. {_REMEDY}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not the manifest of a {FORMAT}. {_REMEDY}")
    if manifest.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {manifest.get('version')!r}; this binarynas reads version {VERSION}. "
            "Open it with the binarynas that wrote it, or a newer one"
        )
    files, meta = manifest.get("files"), manifest.get("meta")
    if not isinstance(files, dict) or not files or not isinstance(meta, dict):
        raise CheckpointError(f"{path} lists no files or has no meta. {_REMEDY}")
    return manifest


def _checked(folder: Path, name: str, facts: object, verify: Verify) -> Path:
    """The path of a listed file, checked: a plain file of the folder, with the size and the content that it had."""
    manifest, path = folder / MANIFEST, folder / name
    if not _TENSOR_FILE.fullmatch(name):
        raise CheckpointError(f"{manifest} lists {name!r}, which is not the name of a tensor file. {_REMEDY}")
    if not isinstance(facts, dict) or not isinstance(facts.get("bytes"), int):
        raise CheckpointError(f"{manifest} does not say how large {name} is. {_REMEDY}")
    if path.is_symlink() or not path.is_file():
        raise CheckpointError(f"{path} is missing, or is not a plain file. {_REMEDY}")
    size = path.stat().st_size
    if size != facts["bytes"]:
        raise CheckpointError(f"{path} has {size} bytes where its manifest says {facts['bytes']}. {_REMEDY}")
    if verify is Verify.HASHES and _hash(path) != facts.get("sha256"):
        raise CheckpointError(f"{path} is not what was written: its SHA-256 differs from the manifest's. {_REMEDY}")
    return path


def _hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _steps(folder: Path) -> list[tuple[int, Path]]:
    """The folders of a series, the last step first."""
    if not folder.is_dir():
        return []
    found = [(_STEP.fullmatch(path.name), path) for path in folder.iterdir() if path.is_dir()]
    return sorted(((int(match[1]), path) for match, path in found if match), reverse=True)


def _set_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.name}.damaged")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{number}.damaged")
    return path.rename(aside)
