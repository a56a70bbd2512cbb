"""Decoded images kept in a run's folder, so that every worker opens them memory-mapped and in milliseconds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from torch import Tensor

from search.data.config import DataConfig
from spaces.tools.files import replacing, utf8_path, write_atomically

FORMAT = 1
NOT_STORED = {
    "crop_padding", "flip", "resized_crop", "colour_jitter", "policy", "download", "loader_workers", "cache",
    "shuffle_buffer",
}  # fmt: skip
"""Settings that change no stored image."""


@dataclass(frozen=True)
class Decoded:
    """All that is stored: `tensors` has the images (uint8) and labels (int64) of the splits, as "train.images"."""

    name: str
    class_names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str
    left_out: tuple[str, ...]
    white: float | None
    tensors: Mapping[str, Tensor]


def cache_key(config: DataConfig, image_size: int | None, channels: int | None, seed: int) -> str:
    """A name for what `open_data` decodes from these arguments, the same for every augmentation."""
    settings = config.model_dump(mode="json", exclude=NOT_STORED)
    if config.on_damage == "stop":  # the default has no part in the key, so that runs from before it keep theirs
        del settings["on_damage"]
    text = json.dumps([FORMAT, settings, image_size, channels, seed], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def store(folder: Path, key: str, decoded: Decoded) -> None:
    """Write KEY.safetensors and then KEY.json, each whole or not at all; several processes may do so at once."""
    from safetensors.torch import save_file  # pyright: ignore[reportUnknownVariableType] - it is half typed

    folder.mkdir(parents=True, exist_ok=True)
    tensors = folder / f"{key}.safetensors"
    with replacing(tensors) as temporary:
        save_file(dict(decoded.tensors), temporary, metadata={"fingerprint": decoded.fingerprint})
    facts = {field.name: getattr(decoded, field.name) for field in fields(decoded) if field.name != "tensors"}
    facts = {"format": FORMAT, **facts, "bytes": tensors.stat().st_size}
    write_atomically(folder / f"{key}.json", json.dumps(facts, indent=1))


def load(folder: Path, key: str) -> Decoded | None:
    """Open what `store` wrote, memory-mapped; None where it is missing, not whole, or two files of different times."""
    import safetensors

    safe_open: Any = safetensors.safe_open  # it is untyped

    path = folder / f"{key}.safetensors"
    try:
        facts = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        if facts["format"] != FORMAT or facts["bytes"] != path.stat().st_size:
            return None
        with utf8_path(path) as named, safe_open(named, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            if metadata.get("fingerprint") != facts["fingerprint"]:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        names, mean, std = (tuple(facts[name]) for name in ("class_names", "mean", "std"))
        left_out, white = tuple(facts.get("left_out", ())), facts.get("white")
        return Decoded(facts["name"], names, mean, std, facts["fingerprint"], left_out, white, tensors)
    except (OSError, ValueError, KeyError, TypeError, safetensors.SafetensorError):
        return None
