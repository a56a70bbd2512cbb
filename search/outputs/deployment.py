"""From a run to a model that can be deployed, and from an image file to the model's prediction."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from analysis.runs.layout import RUN_FILE
from models.checkpoints.folder import MANIFEST, load_checkpoint
from models.checkpoints.networks import load_network
from models.families import family_of
from models.onebit.engine import Engine, Layout
from models.onebit.file import Model
from models.onebit.lowering.lower import lower
from models.onebit.operations import ProgramError
from models.onebit.runtime.classifier import normalised, softmax
from search.data.errors import DataError
from search.data.sources.decode import as_channels, decode, fit
from spaces.errors import BinarynasError, SpaceError

if TYPE_CHECKING:
    from torch import Tensor

    from search.runs.folder import Run

# What reads a run is imported on use: it loads pandas and Optuna, which classifying an image does not need.

NOT_FINETUNED = "not finetuned: the supernet's, with batch norm statistics made for this network"
_LARGEST_IMAGE = 2**28
"""Bytes of an image file."""


class ExportError(BinarynasError, ValueError):
    """A network that cannot be exported: says which, why and what to do."""


@dataclass(frozen=True)
class Found:
    """A network to deploy, where it was found, the folder of the run that it belongs to (None outside of one), and
    what users should know about its weights."""

    network: Any
    source: Path
    run: Path | None
    note: str = ""


def find_network(source: Path, architecture: str | None, ops_max: float | None) -> Found:
    """The network of a folder; of a run the network that is named, or the best within a limit.

    Of a one-shot run any member of the space can be named: without weights of its own, it is taken out of the supernet.
    Raises `ExportError` or `NoCandidateError` where there is none, `CheckpointError` for a damaged folder.
    """
    if (source / MANIFEST).is_file():
        if ops_max is not None:
            raise ExportError(f"{source} is one network: --ops-max chooses among those of a run")
        return _of_folder(source, architecture)
    if not (source / RUN_FILE).is_file():
        what = "does not exist" if not source.exists() else "is neither a run nor a network's folder"
        raise ExportError(f"{source} {what}; give what `binarynas search` made, or the folder of one of its networks")
    if architecture is not None:
        if ops_max is not None:
            raise ExportError("--architecture names the network already: leave --ops-max out")
        return _named(source, architecture)
    from analysis.findings.choice import Limits, choose

    chosen = choose(source, Limits(ops=ops_max))
    if chosen.folder is None:
        return _named(source, chosen.id)
    return Found(load_network(chosen.folder), chosen.folder, source)


def _of_folder(folder: Path, architecture: str | None) -> Found:
    """The network of a folder; if one is named, it must be that one."""
    if load_checkpoint(folder)[1].get("kind") == "supernet":
        raise ExportError(
            f"{folder} is a supernet, whose members need batch norm statistics of the images of a run: give the run "
            "that it belongs to, with --architecture"
        )
    network = load_network(folder)
    space, member = network.space, network.architecture
    if architecture not in (None, space.id(member), space.format(member)):
        raise ExportError(f"{folder} does not hold {architecture!r}, but {space.id(member)}: {space.format(member)}")
    run = next((parent for parent in folder.resolve().parents if (parent / RUN_FILE).is_file()), None)
    return Found(network, folder, run)


def _named(source: Path, architecture: str) -> Found:
    """The network of this id or text: with weights of its own, or taken out of the supernet."""
    from search.runs.folder import open_run

    run = open_run(source)
    names, member = [architecture], None
    try:
        member = run.architectures.parse(architecture)
        names.append(run.architectures.id(member))
    except SpaceError as error:
        if not architecture.isalnum():  # a text, since an id has neither spaces nor bars
            raise ExportError(f"{architecture!r} is not an architecture of {source}: {error}") from error
    for name in names:
        for folder in (run.deployed(name), *sorted(source.glob(f"*/{name}/network"))):
            if name.isalnum() and (folder / MANIFEST).is_file():
                return Found(load_network(folder), folder, source)
    return _inherited(run, architecture, member)


def _inherited(run: "Run", name: str, member: Any) -> Found:
    """A member with the supernet's weights, as the search measured it; `member` is None where an id is its name."""
    from search.config.run import Method
    from search.runs.study import read_records
    from search.worker.context import Context

    lacks = f"{run.path} has no weights of {name!r}"
    if run.config.method is not Method.ONE_SHOT:
        raise ExportError(f"{lacks}: those of candidates are not kept; it has {_known(run.path)}")
    if not family_of(run.architectures).candidates_deployable:
        raise ExportError(
            f"{lacks}: a candidate of a mixed supernet is not a final network, whose inputs of cells are binary; train "
            f"some of the front by final.networks; it has {_known(run.path)}"
        )
    if not (run.supernet / MANIFEST).is_file():
        raise ExportError(f"{lacks}: its supernet is not trained yet; go on with `binarynas resume {run.path}`")
    if member is None:
        texts = [record.architecture for record in read_records(run.journal) if record.id == name]
        if not texts:
            raise ExportError(f"{lacks}, and no trial with that id; give the architecture's text")
        member = run.architectures.parse(texts[0])
    network = Context(run.path).inherited(member).cpu()
    return Found(network, run.supernet, run.path, NOT_FINETUNED)


def _known(source: Path) -> str:
    folders = {path.parent for kind in ("front/*", "*/*/network") for path in source.glob(f"{kind}/{MANIFEST}")}
    found = sorted({folder.parent.name if folder.name == "network" else folder.name for folder in folders})
    return ", ".join(found) or "no networks yet"


def model_of(
    found: Found, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None
) -> tuple[Model, int]:
    """The model of a network, and its size in bits as counted.

    Classes and normalisation are those of its run; outside of one, `mean` and `std` are needed. Raises `ExportError`.
    """
    network, run = found.network, found.run
    data, centre_crop = _data_of(run)
    space = network.space
    if run is None and (mean is None or std is None):
        raise ExportError(
            f"{found.source} does not belong to a run, which would tell how its images were normalised: "
            "give --mean and --std"
        )
    architecture = space.format(network.architecture)
    facts = {"space": space.name, "architecture": architecture, "id": space.id(network.architecture)}
    if data.get("white") is not None:
        facts["white"] = str(data["white"])
    try:
        model = Model(
            lower(network),
            tuple(data.get("class_names", map(str, range(space.classes)))),
            mean or tuple(map(float, data["mean"])),
            std or tuple(map(float, data["std"])),
            facts | ({"weights": found.note} if found.note else {}),
            centre_crop,
        )
    except (TypeError, ProgramError) as error:
        raise ExportError(f"{found.source} cannot be exported: {error}") from error
    return model, space.cost(network.architecture).bits


def _data_of(run: Path | None) -> tuple[dict[str, Any], float]:
    """What a run says about its data, and the share of an image's shorter side that is evaluated."""
    if run is None:
        return {}, 1.0
    from search.runs.folder import open_run

    opened = open_run(run)
    return opened.info["data"], float(opened.config.data.centre_crop)


def probabilities(model: Model, engine: Engine, file: Path, threads: int = 1) -> npt.NDArray[np.float64]:
    """The probability of each class for the image in a file, resized as the run's images were.

    Raises `DataError` for a file that is not an image.
    """
    images = normalised(model, _read_image(file, model).numpy()[None], Layout.NCHW)
    return softmax(engine(images, threads=threads)[0])


def _white(model: Model) -> float | None:
    """The brightest value of the images that the model was trained on, where these have more than 8 bits."""
    return float(model.facts["white"]) if "white" in model.facts else None


def _read_image(file: Path, model: Model) -> "Tensor":
    """Pixels, uint8 (C, H, W), of the channels and the size that a model reads."""
    try:
        size = file.stat().st_size
        image = decode(file.read_bytes(), _white(model)) if size <= _LARGEST_IMAGE else None
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{file} is not an image that can be read: {error}") from error
    if image is None:
        raise DataError(f"{file} is larger than {_LARGEST_IMAGE} bytes")
    shape = model.program.image
    return as_channels(fit(image, shape.height, model.centre_crop), shape.channels)
