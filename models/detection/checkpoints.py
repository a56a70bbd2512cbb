"""Detectors as checkpoints: the network or supernet they stand on, their options, what they were made to see."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from models.checkpoints.folder import CheckpointError, Verify, load_checkpoint, save_checkpoint
from models.checkpoints.networks import fill, network_meta, supernet_from, supernet_meta
from models.detection.detector import Detector, DetectorOptions, RegionDetector, Seen
from models.detection.shared import SharedDetector
from models.families import family_of
from models.nasbnn.supernet import NasBnnSupernet
from models.options import Options
from spaces.declarations import space_from

KIND = "detector"
SHARED_KIND = "shared detector"


def _tuple(meta: Mapping[str, object], key: str) -> tuple[Any, ...]:
    value = meta.get(key)
    if not isinstance(value, list):
        raise TypeError(f"{key} is no list")
    return tuple(value)


def save_detector(folder: Path | str, detector: Detector, extra_meta: Mapping[str, object] | None = None) -> None:
    """Write a detector as a checkpoint; `extra_meta` is kept under `extra`. Raises as `save_checkpoint` does."""
    save_checkpoint(folder, detector.state_dict(), {**detector_meta(detector), "extra": dict(extra_meta or {})})


def load_detector(folder: Path | str, verify: Verify = Verify.HASHES) -> Detector:
    """The detector of a checkpoint, in evaluation mode. Raises `CheckpointError`."""
    return detector_from(*load_checkpoint(folder, verify))


def detector_meta(detector: Detector) -> dict[str, object]:
    """What a checkpoint must say for `detector_from` to read its tensors."""
    return {"kind": KIND, "network": network_meta(detector.network), **_facts(detector)}


def _facts(detector: RegionDetector) -> dict[str, object]:
    seen = detector.seen
    return {
        "detector": detector.options.to_json(),
        "class_names": list(seen.class_names),
        "mean": list(seen.mean),
        "std": list(seen.std),
    }


def detector_from(tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> Detector:
    """The detector of a `state_dict`, which is copied, and its `detector_meta`, in evaluation mode.

    Raises `CheckpointError` where the two do not belong together.
    """
    network, options = meta.get("network"), meta.get("detector")
    if meta.get("kind") != KIND or not isinstance(network, Mapping) or not isinstance(options, Mapping):
        raise CheckpointError(f"expected the checkpoint of a detector; this is one of {meta.get('kind')!r}")
    try:
        space = space_from(network["space"])
        family = family_of(space)
        own: Options = family.network_options.from_json(network["options"])
        seen = _seen(meta)
        with torch.random.fork_rng():
            bare = family.network(space, space.parse(str(network["architecture"])), own)
            detector = Detector(bare, seen, DetectorOptions.from_json(options))
        detector.load_state_dict(dict(tensors))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"the checkpoint's tensors do not fit its detector: {error}") from error
    return detector.eval()


def save_shared(folder: Path | str, detector: SharedDetector, extra_meta: Mapping[str, object] | None = None) -> None:
    """Write a shared detector as a checkpoint; `extra_meta` is kept under `extra`. Raises as `save_checkpoint` does."""
    meta = {"kind": SHARED_KIND, "supernet": supernet_meta(detector.supernet), **_facts(detector)}
    save_checkpoint(folder, detector.state_dict(), {**meta, "extra": dict(extra_meta or {})})


def load_shared(folder: Path | str, verify: Verify = Verify.HASHES) -> SharedDetector:
    """The shared detector of a checkpoint, in evaluation mode. Raises `CheckpointError`."""
    tensors, meta = load_checkpoint(folder, verify)
    supernet, options = meta.get("supernet"), meta.get("detector")
    if meta.get("kind") != SHARED_KIND or not isinstance(supernet, Mapping) or not isinstance(options, Mapping):
        raise CheckpointError(f"expected the checkpoint of a {SHARED_KIND}; this is one of {meta.get('kind')!r}")
    prefix = "backbone.supernet."
    own = {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    try:
        with torch.random.fork_rng():
            network = supernet_from(own, supernet)
            if not isinstance(network, NasBnnSupernet):
                raise TypeError(f"its supernet is a {type(network).__name__}")
            detector = SharedDetector(network, _seen(meta), DetectorOptions.from_json(options))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint's tensors do not fit its detector: {error}") from error
    return fill(detector, tensors)


def _seen(meta: Mapping[str, object]) -> Seen:
    return Seen(*(_tuple(meta, key) for key in ("class_names", "mean", "std")))
