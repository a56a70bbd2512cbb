"""From a run to a model that can be deployed, and from an image to what the model reads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from models.checkpoint import MANIFEST
from models.onebit.engine import Engine
from models.onebit.file import Model
from models.onebit.lower import lower
from models.onebit.program import ProgramError
from models.storage import load_network
from spaces import SpaceError

if TYPE_CHECKING:
    from torch import Tensor

RUN_FACTS = "run.json"
_LARGEST_IMAGE = 2**28
"""Bytes of an image file."""


class ExportError(ValueError):
    """A network that cannot be exported: says which, why and what to do."""


class ImageError(ValueError):
    """An image that cannot be read: names the file and what is wrong with it."""


def network_folder(source: Path, architecture: str | None, ops_max: float | None) -> Path:
    """The folder of a network's weights: the one given, or of a run the one that is named, or the best within a limit.

    Raises `ExportError` or `NoCandidateError` where there is none.
    """
    if (source / MANIFEST).is_file():
        if ops_max is not None:
            raise ExportError(f"{source} is one network: --ops-max chooses among those of a run")
        return source
    if not (source / RUN_FACTS).is_file():
        what = "does not exist" if not source.exists() else "is neither a run nor a network's folder"
        raise ExportError(f"{source} {what}; give what `binarynas search` made, or the folder of one of its networks")
    if architecture is not None:
        if ops_max is not None:
            raise ExportError("--architecture names the network already: leave --ops-max out")
        return _named(source, architecture)
    from analysis.choice import Limits, choose

    chosen = choose(source, Limits(ops=ops_max))
    if chosen.folder is None:
        raise ExportError(
            f"{chosen.id}, the best of {source}, has no weights of its own: {chosen.weights}; or name one of the front "
            f"with --architecture: {_known(source)}"
        )
    return chosen.folder


def _named(source: Path, architecture: str) -> Path:
    """The folder of the network of this id or text."""
    from search.run import open_run

    run = open_run(source)
    names = [architecture]
    try:
        names.append(run.architectures.id(run.architectures.parse(architecture)))
    except SpaceError as error:
        if not architecture.isalnum():  # a text, since an id has neither spaces nor bars
            raise ExportError(f"{architecture!r} is no architecture of {source}: {error}") from error
    for name in names:
        for folder in (run.deployed(name), *sorted(source.glob(f"*/{name}/network"))):
            if name.isalnum() and (folder / MANIFEST).is_file():
                return folder
    raise ExportError(f"{source} has no weights of {architecture!r}; its front has {_known(source)}")


def _known(source: Path) -> str:
    found = sorted(path.parent.name for path in source.glob(f"front/*/{MANIFEST}"))
    return ", ".join(found) or "no networks yet"


def model_of(
    folder: Path, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None
) -> tuple[Model, int]:
    """The model of a network's folder, and its counted bits.

    The images' facts are those of the run that the folder lies in; outside of one `mean` and `std` must be given.
    Raises `ExportError`, or `CheckpointError` for a damaged folder.
    """
    network = load_network(folder)
    run = next((parent for parent in folder.resolve().parents if (parent / RUN_FACTS).is_file()), None)
    data, centre_crop = _data_of(run)
    space = network.space
    if run is None and (mean is None or std is None):
        raise ExportError(
            f"{folder} lies in no run, so nothing tells how its images were normalised: say it with --mean and --std"
        )
    architecture = space.format(network.architecture)
    try:
        model = Model(
            lower(network),
            tuple(data.get("class_names", map(str, range(space.classes)))),
            mean or tuple(map(float, data["mean"])),
            std or tuple(map(float, data["std"])),
            {"space": space.name, "architecture": architecture, "id": space.id(network.architecture)},
            centre_crop,
        )
    except (TypeError, ProgramError) as error:
        raise ExportError(f"{folder} cannot be exported: {error}") from error
    return model, space.cost(network.architecture).bits


def _data_of(run: Path | None) -> tuple[dict[str, Any], float]:
    """What a run says of its data, and the share of an image that it looks at."""
    if run is None:
        return {}, 1.0
    from search.run import open_run

    opened = open_run(run)
    return opened.info["data"], float(opened.config.data.centre_crop)


def probabilities(model: Model, engine: Engine, file: Path, threads: int = 1) -> npt.NDArray[np.float64]:
    """The probability of each class for the image in a file, resized as the run's images were.

    Raises `ImageError` for a file that is no image.
    """
    pixels = _read_image(file, model)
    mean, std = (np.array(values, np.float32).reshape(-1, 1, 1) for values in (model.mean, model.std))
    images = (pixels.numpy().astype(np.float32) / 255 - mean) / std
    logits = engine(images[None].astype(np.float32), threads=threads)[0].astype(np.float64)
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _read_image(file: Path, model: Model) -> "Tensor":
    """Pixels, uint8 (C, H, W), of the channels and the size that a model reads."""
    from search.data.decode import as_channels, decode, fit

    try:
        if file.stat().st_size > _LARGEST_IMAGE:
            raise ImageError(f"{file} is larger than {_LARGEST_IMAGE} bytes")
        image = decode(file.read_bytes())
    except OSError as error:
        raise ImageError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise ImageError(f"{file} is no image that can be read: {error}") from error
    shape = model.program.image
    return as_channels(fit(image, shape.height, model.centre_crop), shape.channels)
