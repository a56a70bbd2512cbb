"""Supernets and networks as checkpoints: which space, architecture and options their tensors belong to."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from models.checkpoints.folder import CheckpointError, Verify, load_checkpoint, save_checkpoint
from models.families import family_of
from models.network import AnyNetwork, AnySpace, AnySupernet
from models.options import Options
from spaces.declarations import space_from

M = TypeVar("M", bound=nn.Module)
T = TypeVar("T", bound=Options)


def supernet_meta(supernet: AnySupernet) -> dict[str, object]:
    """What a checkpoint must say for `supernet_from` to read its tensors."""
    return {"kind": "supernet", "space": supernet.space.declaration(), "options": supernet.options.to_json()}


def network_meta(network: AnyNetwork) -> dict[str, object]:
    """What a checkpoint must say for `network_from` to read its tensors.

    Raises `CheckpointError` for a network that cannot be built from space, architecture and options alone.
    """
    if not isinstance(network, family_of(network.space).network):
        raise CheckpointError(f"a {type(network).__name__} cannot be saved; train a network of its architecture")
    return {
        "kind": "network",
        "space": network.space.declaration(),
        "architecture": network.space.format(network.architecture),
        "options": network.options.to_json(),
    }


def supernet_from(tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> AnySupernet:
    """The supernet of a `state_dict` (used as it is, not copied) and its `supernet_meta`, in evaluation mode.

    Raises `CheckpointError` where the two do not belong together, `SpaceError` for a space that cannot be.
    """
    space = _space(meta, "supernet")
    family = family_of(space)
    if family.supernet is None or family.supernet_options is None:
        raise CheckpointError(f"spaces of the family {space.family!r} have no supernet")
    with torch.device("meta"):
        supernet = family.supernet(space, _options(family.supernet_options, meta))
    return fill(supernet, tensors)


def network_from(tensors: Mapping[str, Tensor], meta: Mapping[str, object]) -> AnyNetwork:
    """The network of a `state_dict` (used as it is, not copied) and its `network_meta`, in evaluation mode.

    Raises `CheckpointError` where the two do not belong together, `SpaceError` for an architecture outside its space.
    """
    space = _space(meta, "network")
    family = family_of(space)
    with torch.device("meta"):
        architecture = space.parse(str(meta.get("architecture")))
        network = family.network(space, architecture, _options(family.network_options, meta))
    return fill(network, tensors)


def save_supernet(folder: Path | str, supernet: AnySupernet, extra_meta: Mapping[str, object] | None = None) -> None:
    """Write a supernet as a checkpoint; `extra_meta` is kept under `extra`. Raises as `save_checkpoint` does."""
    save_checkpoint(folder, supernet.state_dict(), {**supernet_meta(supernet), "extra": dict(extra_meta or {})})


def load_supernet(folder: Path | str, verify: Verify = Verify.HASHES) -> AnySupernet:
    """The supernet of a checkpoint, in evaluation mode, its weights mapped from the file (processes share them).

    Raises `CheckpointError`.
    """
    return supernet_from(*load_checkpoint(folder, verify))


def save_network(folder: Path | str, network: AnyNetwork, extra_meta: Mapping[str, object] | None = None) -> None:
    """Write a network as a checkpoint; `extra_meta` is kept under `extra`. Raises as `save_checkpoint` does."""
    save_checkpoint(folder, network.state_dict(), {**network_meta(network), "extra": dict(extra_meta or {})})


def same_shapes(module: nn.Module, other: nn.Module) -> tuple[str, ...]:
    """The names of the tensors that two modules share, with the same shape in both."""
    theirs = other.state_dict()
    return tuple(name for name, t in module.state_dict().items() if name in theirs and theirs[name].shape == t.shape)


def take_over(module: nn.Module, other: nn.Module) -> None:
    """Copy into a module the tensors of another one that fit (`same_shapes`); the others stay as they are."""
    theirs = other.state_dict()
    module.load_state_dict({name: theirs[name] for name in same_shapes(module, other)}, strict=False)


def load_network(folder: Path | str, verify: Verify = Verify.HASHES) -> AnyNetwork:
    """The network of a checkpoint, in evaluation mode, its weights mapped from the file. Raises `CheckpointError`."""
    return network_from(*load_checkpoint(folder, verify))


def _space(meta: Mapping[str, object], kind: str) -> AnySpace:
    space = meta.get("space")
    if meta.get("kind") != kind or not isinstance(space, Mapping):
        raise CheckpointError(f"expected the checkpoint of a {kind}; this is one of {meta.get('kind')!r}")
    return space_from(space)


def _options(kind: type[T], meta: Mapping[str, object]) -> T:
    options = meta.get("options", {})
    try:
        return kind.from_json(options if isinstance(options, Mapping) else {})
    except ValueError as error:
        raise CheckpointError(f"the checkpoint's options do not fit: {error}") from error


def fill(module: M, tensors: Mapping[str, Tensor]) -> M:
    """Give a module of the meta device its tensors, not copied; in evaluation mode. Raises `CheckpointError`."""
    try:
        module.load_state_dict(dict(tensors), assign=True)
    except RuntimeError as error:
        raise CheckpointError(f"the checkpoint's tensors do not fit its space and options: {error}") from error
    return module.eval()
