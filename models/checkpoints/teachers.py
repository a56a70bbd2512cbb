"""Networks that teach others: read from a checkpoint of ours or a file of weights, and how they see another's images.

Nothing is downloaded: a network of torchvision or timm is given by its name and a file of its weights.
"""

# torch, torchvision and timm are partly untyped
# pyright: reportMissingTypeStubs=false, reportMissingImports=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from models.checkpoints.folder import MANIFEST, CheckpointError, Json, Verify, load_checkpoint, save_checkpoint
from models.checkpoints.networks import network_from
from spaces.errors import nearest

TIMM = "timm/"
_WRAPPERS = ("state_dict", "model", "model_state_dict")


@dataclass(frozen=True)
class View:
    """The images that a network was made for: their side in pixels, their channels, and the mean and the deviation of
    its normalisation, one number per channel, for pixels from 0 to 1; None where nothing says it."""

    image_size: int | None
    channels: int
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


class Teacher(nn.Module):
    """A network in evaluation mode that sees the images of another's training: (N, C, H, W) -> logits (N, classes).

    Images are normalised with `mean` and `std`, one number per channel; they are normalised anew where the view of the
    network has others, grey ones are repeated where it reads colours, and resized (bilinear, with antialiasing) where
    it is for another size. Without any of these the network sees them bit for bit.
    """

    def __init__(self, network: nn.Module, view: View, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.view = view
        ours, theirs = _columns(mean, std), _columns(view.mean or mean, view.std or std)
        factor, offset = ours[1] / theirs[1], (ours[0] - theirs[0]) / theirs[1]
        self.same_normalisation = bool((factor == 1).all() and (offset == 0).all())
        self.factor, self.offset = nn.Buffer(factor.float()), nn.Buffer(offset.float())

    def train(self, mode: bool = True) -> "Teacher":  # noqa: FBT001, FBT002 - torch's own signature
        """A teacher stays in evaluation mode."""
        return super().train(mode=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, classes) of normalised images (N, C, H, W)."""
        if not self.same_normalisation:
            images = images * self.factor + self.offset
        if images.shape[1] != self.view.channels:
            images = images.expand(-1, self.view.channels, -1, -1)
        size = self.view.image_size
        if size is not None and tuple(images.shape[2:]) != (size, size):
            images = F.interpolate(images, (size, size), mode="bilinear", antialias=True)
        return self.network(images)


def _columns(*numbers: Sequence[float]) -> list[Tensor]:
    """Numbers per channel, each as (C, 1, 1) in float64."""
    return [torch.tensor(each, dtype=torch.float64)[:, None, None] for each in numbers]


def read_network(folder: Path | str) -> tuple[nn.Module, Json]:
    """A network that was saved, and what `save_teacher` must know: folders that hold it as `network` will do, too.

    Raises `CheckpointError`, also for what is no network that classifies, such as a detector or a supernet.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).exists() and (folder / "network" / MANIFEST).exists():
        folder /= "network"
    tensors, meta = load_checkpoint(folder)
    if meta.get("kind") != "network":
        raise CheckpointError(
            f"{folder} holds a {meta.get('kind')}, and a teacher is a network that classifies: give the folder of one"
        )
    return network_from(tensors, meta), meta


def read_model(name: str, file: Path | str, classes: int) -> tuple[nn.Module, Json]:
    """A classifier of torchvision, or `timm/NAME`, with the weights of a file, and what `save_teacher` must know.

    The file is one of safetensors, or what `torch.save` wrote of a state dict. Raises `CheckpointError` for an unknown
    name, a file that cannot be read, one of another network, or of another number of classes.
    """
    tensors = _tensors(Path(file))
    meta: Json = {"kind": "model", "model": name, "classes": classes, "channels": _first_channels(tensors)}
    network = _build(meta)
    ours = network.state_dict()
    lacking, strange = sorted(ours.keys() - tensors.keys()), sorted(tensors.keys() - ours.keys())
    if lacking or strange:
        what = f"lacks {lacking[0]}" if lacking else f"has {strange[0]}, which {name} has not"
        raise CheckpointError(f"{file} is not a file of weights of {name}: it {what}")
    differ = [key for key in ours if ours[key].shape != tensors[key].shape]
    found = {int(tensors[key].shape[0]) if tensors[key].ndim else 0 for key in differ}
    if differ and len(found) == 1 and all(ours[key].shape[:1] == (classes,) for key in differ):
        raise CheckpointError(f"{name} in {file} tells {found.pop()} classes apart, and the data have {classes}")
    if differ:
        shapes = (tuple(each[differ[0]].shape) for each in (tensors, ours))
        there, here = shapes
        raise CheckpointError(f"{file} is not a file of weights of {name}: {differ[0]} is {there} there, {here} in it")
    network.load_state_dict(tensors)
    return network.eval(), meta


def save_teacher(folder: Path | str, network: nn.Module, meta: Mapping[str, object], view: View) -> None:
    """Write a teacher as a checkpoint of a run."""
    seen = {"image_size": view.image_size, "channels": view.channels, "mean": view.mean, "std": view.std}
    save_checkpoint(folder, network.state_dict(), {"kind": "teacher", "network": dict(meta), "view": seen})


def load_teacher(folder: Path | str, mean: Sequence[float], std: Sequence[float]) -> Teacher:
    """The teacher of a checkpoint, for images of this normalisation. Raises `CheckpointError`."""
    tensors, meta = load_checkpoint(folder, Verify.SIZES)
    built, seen = cast("Json", meta["network"]), cast("Json", meta["view"])
    if built["kind"] == "network":
        network: nn.Module = network_from(tensors, built)
    else:
        network = _build(built)
        network.load_state_dict(tensors)
    view = View(seen["image_size"], seen["channels"], _numbers(seen["mean"]), _numbers(seen["std"]))
    return Teacher(network, view, mean, std)


def _numbers(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)


def _build(meta: Json) -> nn.Module:
    """A network of torchvision or timm by its name, with random weights; torch's generator stays as it was."""
    name, classes = str(meta["model"]), int(meta["classes"])
    with torch.random.fork_rng(devices=()):
        if name.startswith(TIMM):
            return _of_timm(name.removeprefix(TIMM), classes, int(meta["channels"]))
        from torchvision import models

        known = models.list_models(module=models)
        if name not in known:
            raise CheckpointError(
                f"unknown classifier of torchvision {name!r}{nearest(name, known) or '.'} Those of timm are {TIMM}NAME"
            )
        extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        return cast("nn.Module", models.get_model(name, weights=None, num_classes=classes, **extra))


def _of_timm(name: str, classes: int, channels: int) -> nn.Module:
    if find_spec("timm") is None:
        raise CheckpointError(f"{TIMM}{name} needs the package timm: pip install timm, or take a model of torchvision")
    import timm

    if not timm.is_model(name):
        raise CheckpointError(f"timm has no model {name!r}{nearest(name, timm.list_models())}")
    return timm.create_model(name, pretrained=False, num_classes=classes, in_chans=channels)


def _tensors(file: Path) -> dict[str, Tensor]:
    """The tensors of a file by name. Raises `CheckpointError`."""
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "does not exist"
        raise CheckpointError(f"{file} {what}: give a file of weights (.safetensors, or of torch.save)")
    try:
        if file.suffix == ".safetensors":
            found: Any = load_file(file)
        else:
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, OSError, RuntimeError, ValueError, EOFError, KeyError) as error:
        why = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise CheckpointError(f"{file} holds no weights, or is cut off: {why[:160]}") from error
    for wrapper in _WRAPPERS:
        if isinstance(found, Mapping) and isinstance(found.get(wrapper), Mapping):
            found = found[wrapper]
    if not isinstance(found, Mapping) or not found or not all(isinstance(each, Tensor) for each in found.values()):
        raise CheckpointError(f"{file} holds no weights by name: save the state_dict of the network alone")
    return {str(name).removeprefix("module."): tensor for name, tensor in found.items()}


def _first_channels(tensors: Mapping[str, Tensor]) -> int:
    """The channels of images that a network reads: those of the convolution with the fewest inputs that is not
    depth-wise, or 3."""
    inputs = [int(each.shape[1]) for each in tensors.values() if each.ndim == 4 and each.shape[1] in (1, 3)]
    return 3 if 3 in inputs or not inputs else min(inputs)
