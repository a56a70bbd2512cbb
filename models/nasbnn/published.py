"""Reads the checkpoint that NAS-BNN's authors published into a supernet of ours."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from warnings import catch_warnings, simplefilter

import torch
from torch import Tensor

from models.checkpoints.folder import CheckpointError
from models.checkpoints.networks import fill
from models.layers.kernels import WeightNormalisation
from models.layers.lsq import keep_positive
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions
from spaces import NasBnnSpace
from spaces.nasbnn.presets import NASBNN

_SHOWN = 12
# computed again on use, or bookkeeping
_IGNORED = re.compile(r".*\.(scaling_factor|num_batches_tracked|w_init_state)|(biggest|smallest)_cand")


def import_checkpoint(path: Path | str, space: NasBnnSpace | None = None) -> NasBnnSupernet:
    """The supernet of a published checkpoint, in evaluation mode; it gives the logits that its authors' network gives.

    The file is read by `torch.load(weights_only=True)`, which runs no code from it. The default space is
    Table 1 of the paper. The supernet, and what is saved from it, has the authors' weight normalisation.

    Raises `CheckpointError` that lists missing and unexpected entries and wrong shapes; `OSError` where no file is.
    """
    space = space or NASBNN
    entries = _entries(Path(path))
    with torch.device("meta"):
        supernet = NasBnnSupernet(space, SupernetOptions(weight_normalisation=WeightNormalisation.AUTHORS))
    ours = supernet.state_dict()
    names = dict(published_names(space))
    unexpected = [name for name in entries if name not in names and not _IGNORED.fullmatch(name)]
    problems = [f"missing {name}" for name in names if name not in entries]
    problems += [f"unexpected {name}" for name in unexpected]
    tensors: dict[str, Tensor] = {}
    for theirs, name in names.items():
        if theirs in entries:
            tensor = entries[theirs].flatten() if theirs.endswith(".bias") else entries[theirs]
            if tensor.shape != ours[name].shape:
                wanted, got = tuple(ours[name].shape), tuple(entries[theirs].shape)
                problems.append(f"{theirs} has shape {got}, needs {wanted}")
            tensors[name] = tensor.to(ours[name].dtype)
    if problems:
        shown = "; ".join(problems[:_SHOWN])
        more = f"; and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise CheckpointError(f"{path} is not a published NAS-BNN checkpoint of space {space.name!r}: {shown}{more}")
    keep_positive(tensors["stem.step"])  # as the authors' network does before it uses them
    return fill(supernet, tensors)


def published_names(space: NasBnnSpace) -> Iterator[tuple[str, str]]:
    """Pairs of the published name and ours, for every tensor that a supernet of the space needs.

    Published shifts have shape (1, C, 1, 1), ours (C,); all others have the same shape in both.
    """
    yield "features.0.0.conv.weight", "stem.weight"
    yield "features.0.0.conv.w_scale", "stem.step"
    yield from _tail("features.0.0", "bn", "move1", "relu", "move2", "stem")
    for number, stage in enumerate(space.stages, 1):
        largest = stage.kernel_sizes[-1]
        for place in range(stage.depths[-1]):
            theirs, ours = f"features.{number}.{place}", f"stages.{number - 1}.{place}"
            yield f"{theirs}.move11.bias", f"{ours}.kxk.shift"
            yield f"{theirs}.binary_conv.weight", f"{ours}.kxk.weight"
            for small, large in zip(stage.kernel_sizes, stage.kernel_sizes[1:], strict=False):
                yield f"{theirs}.binary_conv.matrix_{large}to{small}", f"{ours}.kxk.shrinking.{large}to{small}"
            if largest > 1:
                yield f"{theirs}.binary_conv.fp2bin_{largest}", f"{ours}.kxk.bi_transformation"
            yield from _tail(theirs, "bn1", "move12", "prelu1", "move13", f"{ours}.kxk")
            yield f"{theirs}.move21.bias", f"{ours}.pointwise.shift"
            yield f"{theirs}.binary_conv1x1.weight", f"{ours}.pointwise.weight"
            yield from _tail(theirs, "bn2", "move22", "prelu2", "move23", f"{ours}.pointwise")
    yield "fc.weight", "classifier.weight"
    yield "fc.bias", "classifier.bias"


def _tail(theirs: str, norm: str, before: str, slope: str, after: str, ours: str) -> Iterator[tuple[str, str]]:
    for part in ("weight", "bias", "running_mean", "running_var"):
        yield f"{theirs}.{norm}.bn.{part}", f"{ours}.tail.{part}"
    yield f"{theirs}.{before}.bias", f"{ours}.tail.shift_in"
    yield f"{theirs}.{slope}.prelu.weight", f"{ours}.tail.slope"
    yield f"{theirs}.{after}.bias", f"{ours}.tail.shift_out"


def _entries(path: Path) -> dict[str, Tensor]:
    """Names, without the prefix of a parallel wrapper, and tensors of the file."""
    try:
        with catch_warnings():
            simplefilter("ignore")  # torch's, of files of other kinds, which the error tells
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # torch raises errors of every kind for files of another kind
        raise CheckpointError(
            f"{path} is not a torch file whose tensors can be read without running code from it. "
            "Where it is the published file, save its 'state_dict' alone with torch.save"
        ) from error
    if isinstance(content, Mapping):
        content = content.get("state_dict", content)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected a dictionary with a 'state_dict'")
    strange = [f"{name!r}: {type(value).__name__}" for name, value in content.items() if not isinstance(value, Tensor)]
    if strange:
        raise CheckpointError(f"{path} holds values that are not tensors: {'; '.join(strange[:_SHOWN])}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}
