"""Supernets and networks as checkpoints: which space, architecture and options their tensors belong to."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from models.binary import WeightNormalisation
from models.checkpoint import CheckpointError, Verify, load_checkpoint, save_checkpoint
from models.network import BinaryNetwork, NetworkOptions
from models.supernet import Supernet, SupernetOptions
from spaces import NasBnnSpace, Stage

M = TypeVar("M", bound=nn.Module)


def space_to_json(space: NasBnnSpace) -> dict[str, Any]:
    """A space as JSON: every field of its declaration."""
    return dataclasses.asdict(space)


def space_from_json(data: Mapping[str, Any]) -> NasBnnSpace:
    """The inverse of `space_to_json`. Raises `SpaceError` or `CheckpointError` for anything else."""
    try:
        stages = tuple(Stage(**stage) for stage in data["stages"])
        return NasBnnSpace(**{**data, "stages": stages, "stem_widths": tuple(data["stem_widths"])})
    except (KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"this is not the JSON form of a NAS-BNN space: {error}") from error


def supernet_meta(supernet: Supernet) -> dict[str, Any]:
    """What a checkpoint must say for `supernet_from` to read its tensors."""
    options = supernet.options
    return {
        "kind": "supernet",
        "space": space_to_json(supernet.space),
        "options": {
            "bi_transformation": options.bi_transformation,
            "weight_normalisation": options.weight_normalisation.value,
        },
    }


def network_meta(network: BinaryNetwork) -> dict[str, Any]:
    """What a checkpoint must say for `network_from` to read its tensors."""
    return {
        "kind": "network",
        "space": space_to_json(network.space),
        "architecture": network.space.format(network.architecture),
        "options": {"weight_normalisation": network.options.weight_normalisation.value},
    }


def supernet_from(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Supernet:
    """The supernet of a `state_dict` (used as it is, not copied) and its `supernet_meta`, in evaluation mode.

    Raises `CheckpointError` where the two do not belong together.
    """
    _require_kind(meta, "supernet")
    options = meta.get("options", {})
    with torch.device("meta"):
        supernet = Supernet(
            space_from_json(meta["space"]),
            SupernetOptions(bool(options.get("bi_transformation", True)), _normalisation(options)),
        )
    return fill(supernet, tensors)


def network_from(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> BinaryNetwork:
    """The network of a `state_dict` (used as it is, not copied) and its `network_meta`, in evaluation mode.

    Raises `CheckpointError` where the two do not belong together, `SpaceError` for an architecture outside its space.
    """
    _require_kind(meta, "network")
    space = space_from_json(meta["space"])
    with torch.device("meta"):
        options = NetworkOptions(_normalisation(meta.get("options", {})))
        network = BinaryNetwork(space, space.parse(str(meta.get("architecture"))), options)
    return fill(network, tensors)


def save_supernet(folder: Path | str, supernet: Supernet, extra_meta: Mapping[str, Any] | None = None) -> None:
    """Write a supernet as a checkpoint; `extra_meta` is kept under `extra`. Raises as `save_checkpoint` does."""
    save_checkpoint(folder, supernet.state_dict(), {**supernet_meta(supernet), "extra": dict(extra_meta or {})})


def load_supernet(folder: Path | str, verify: Verify = Verify.HASHES) -> Supernet:
    """The supernet of a checkpoint, in evaluation mode, its weights mapped from the file (processes share them).

    Raises `CheckpointError`.
    """
    return supernet_from(*load_checkpoint(folder, verify))


def save_network(folder: Path | str, network: BinaryNetwork, extra_meta: Mapping[str, Any] | None = None) -> None:
    """Write a network as a checkpoint; `extra_meta` is kept under `extra`. Raises as `save_checkpoint` does."""
    save_checkpoint(folder, network.state_dict(), {**network_meta(network), "extra": dict(extra_meta or {})})


def load_network(folder: Path | str, verify: Verify = Verify.HASHES) -> BinaryNetwork:
    """The network of a checkpoint, in evaluation mode, its weights mapped from the file. Raises `CheckpointError`."""
    return network_from(*load_checkpoint(folder, verify))


def _require_kind(meta: Mapping[str, Any], kind: str) -> None:
    if meta.get("kind") != kind or not isinstance(meta.get("space"), Mapping):
        raise CheckpointError(f"expected the checkpoint of a {kind}; this is one of {meta.get('kind')!r}")


def _normalisation(options: Mapping[str, Any]) -> WeightNormalisation:
    value = options.get("weight_normalisation")
    try:
        return WeightNormalisation(value)
    except ValueError as error:
        names = ", ".join(repr(choice.value) for choice in WeightNormalisation)
        raise CheckpointError(f"weight_normalisation must be one of {names}; the checkpoint says {value!r}") from error


def fill(module: M, tensors: Mapping[str, Tensor]) -> M:
    """Give a module of the meta device its tensors, not copied; in evaluation mode. Raises `CheckpointError`."""
    try:
        module.load_state_dict(dict(tensors), assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint's tensors do not fit its space and options: {error}") from error
    return module.eval()
