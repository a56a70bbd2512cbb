"""A run's folder: everything about one run, readable without running code from it."""

import json
import platform
import re
import shutil
import socket
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

from analysis.runs.layout import CONFIG_FILE, EVENTS_FILE, FRONT, JOURNAL_FILE, LATENCIES_FILE, RUN_FILE, RunError
from search.config.loading import check_config, parse_yaml
from search.config.run import Method, RunConfig
from search.config.space import AnySpace
from search.extensions import extensions_of
from search.runs.holder import require_held
from search.runs.records import EpochReport, Stage, now
from spaces.declarations import space_from
from spaces.tools.files import sync_folder, write_atomically

RUN_FORMAT = 1
_STAGING = ".preparing"
SUPERNET = Path("supernet", "trained")
TEACHERS, STARTS = "teachers", "starts"
_PACKAGES = ("binarynas", "torch", "torchvision", "ray", "optuna", "numpy", "pyarrow")


@dataclass(frozen=True)
class Run:
    """One run: its folder, and the places in it."""

    path: Path

    @cached_property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        file = self.path / CONFIG_FILE
        try:
            return check_config(parse_yaml(file.read_text(), str(file)), str(file))
        except (OSError, UnicodeDecodeError) as error:
            raise RunError(f"cannot read {file}: {error}") from error

    @cached_property
    def info(self) -> dict[str, Any]:
        """What was recorded when the run was created: versions, the data set's description and fingerprint."""
        file = self.path / RUN_FILE
        try:
            info: object = json.loads(file.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"cannot read {file}: {error}; a run's folder holds run.json and config.yaml") from error
        facts = cast("dict[str, Any]", info) if isinstance(info, dict) else {}
        if facts.get("format") != RUN_FORMAT:
            raise RunError(f"{file} has a format other than {RUN_FORMAT}, the one that this binarynas reads")
        data = cast("dict[str, object]", facts["data"]) if isinstance(facts.get("data"), dict) else {}
        kinds = {"class_names": list, "channels": int, "fingerprint": str}
        if not all(isinstance(data.get(key), kind) for key, kind in kinds.items()):
            raise RunError(f"{file} does not say what the run's data are: it is damaged, restore it from a copy")
        return facts

    @cached_property
    def space(self) -> AnySpace:
        """The space that is searched, with the data's classes and channels."""
        if self.config.method is Method.TABLE:
            return self.architectures
        return self.config.searched_space(self.architectures)

    @cached_property
    def architectures(self) -> AnySpace:
        """The space of the architectures alone. Where an image size is given, as it was recorded: runs of before sizes
        had a rule kept the strides. That of a search on a table is the table's."""
        own = self.config.method is Method.TABLE
        recorded = self.info.get("space") if own or self.config.space.image_size is not None else None
        if recorded and (space := space_from(recorded)).of_architectures:
            return space
        return self.config.space.architectures(**self._shape)

    @property
    def supernet_epochs(self) -> int:
        """How long the supernet is trained: by the sandwich rule, or as the mixture of a differentiable search."""
        from models.families import SupernetTraining, family_of  # loads torch, which reading a run does not need

        mixed = family_of(self.architectures).supernet_training is SupernetTraining.BILEVEL
        return (self.config.differentiable if mixed else self.config.supernet).epochs

    @property
    def _shape(self) -> dict[str, int]:
        data = self.info["data"]
        return {"classes": len(data["class_names"]), "channels": data["channels"]}

    @property
    def journal(self) -> Path:
        """The study's journal: the truth about trials."""
        return self.path / JOURNAL_FILE

    @property
    def latencies(self) -> Path:
        """The table of latencies, where the search needs one."""
        return self.path / LATENCIES_FILE

    @property
    def data_cache(self) -> Path:
        """Decoded images, which workers map into memory."""
        return self.path / "data"

    @property
    def supernet(self) -> Path:
        """The trained supernet."""
        return self.path / SUPERNET

    @property
    def supernet_start(self) -> Path:
        """The supernet of another run whose weights the training starts from, where there is one."""
        return self.path / "supernet" / "start"

    @property
    def supernet_checkpoints(self) -> Path:
        """Checkpoints of the supernet's training."""
        return self.path / "supernet" / "checkpoints"

    def weights(self, stage: Stage, identity: str) -> Path:
        """The network of a trial that trained one, and the checkpoints of its training."""
        return self.path / stage.value / identity

    @property
    def parent(self) -> Path:
        """The trained network from whose leading channels candidates start."""
        return self.weights(Stage.REFERENCE, "parent")

    def teacher(self, identity: str) -> Path:
        """A network that teaches in a training of this run, as it was taken from where it was."""
        return self.path / TEACHERS / identity

    def start(self, identity: str) -> Path:
        """A network whose weights a stage of a training starts from, as it was taken from where it was."""
        return self.path / STARTS / identity

    @property
    def shared(self) -> Path:
        """The trained detector that all candidates share."""
        return self.path / "shared" / "trained"

    @property
    def shared_checkpoints(self) -> Path:
        """Checkpoints of its training."""
        return self.path / "shared" / "checkpoints"

    def backbone(self, identity: str) -> Path:
        """The network on which a detector begins, as it was taken from the run that it comes from."""
        return self.path / "backbones" / identity

    def searched(self, identity: str) -> Path:
        """A differentiable search: its history, its checkpoints and its genotypes."""
        return self.path / "searches" / identity

    def deployed(self, identity: str) -> Path:
        """A network of the front, as a file that can be deployed."""
        return self.path / FRONT / identity

    def log_epoch(self, report: EpochReport) -> None:
        """Append an epoch of some training; after a resume the log may have an epoch twice, and the last one counts.

        Raises `FencedError` where the run was taken over, so that its trainings stop here.
        """
        require_held(self.path)
        self.log("epoch", **{name: value for name, value in asdict(report).items() if value is not None})

    def log(self, event: str, **details: object) -> None:
        """Append an event to the run's log, one JSON object per line: for people, not for the program."""
        line = json.dumps({"time": now(), "event": event, **details})
        with (self.path / EVENTS_FILE).open("a") as file:
            file.write(line + "\n")


@contextmanager
def creating(path: Path) -> Generator[Run]:
    """A new run's folder under a temporary name; on leaving, it appears at `path`, whole; after an error, not at all.

    Raises `RunError` where `path` is taken, or the folder cannot be written.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", str(path)):
        raise RunError(
            f"{path} is a URL: a run's folder must be on a file system whose files can be appended to, synced and "
            "locked, as its journal is, which object stores cannot: give a path, on a cluster one that all nodes mount"
        )
    entries = {entry.name for entry in path.iterdir()} - {"lost+found"} if path.is_dir() else set[str]()
    if entries or (path.exists() and not path.is_dir()):
        if entries == {_STAGING}:
            what = f"is being prepared by another process, or one was killed there (then remove {path / _STAGING})"
        else:
            what = "is a run already: go on with `binarynas resume`" if RUN_FILE in entries else "is not empty"
        raise RunError(f"{path} {what}, or choose another folder with --out")
    place = path.resolve()  # a link stays one
    try:
        if place.exists():  # it may be a mount point, or where this process is: it cannot be replaced
            staging = place / _STAGING
            staging.mkdir()
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            staging = Path(tempfile.mkdtemp(dir=place.parent, prefix=".binarynas-"))
    except OSError as error:
        raise RunError(f"cannot write the run's folder {path}: {error}; choose another with --out") from error
    try:
        yield Run(staging)
        staging.chmod(0o755)
        if staging.parent == place:
            _move_up(staging)
        else:
            staging.replace(place)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    sync_folder(place.parent)


def _move_up(staging: Path) -> None:
    """Move what lies in a folder to the folder around it; run.json last, which makes that a run."""
    for entry in sorted(staging.iterdir(), key=lambda entry: entry.name == RUN_FILE):
        entry.rename(staging.parent / entry.name)
    staging.rmdir()
    sync_folder(staging.parent)


def write_facts(
    run: Run, config: RunConfig, data: Mapping[str, object], space: Mapping[str, object], notes: Sequence[str] = ()
) -> None:
    """Write a run's configuration, and what its data and space are; with these two files a folder is a run."""
    info = {
        "format": RUN_FORMAT,
        "created": now(),
        "host": socket.gethostname(),
        "config": config.model_dump(mode="json"),
        "data": dict(data),
        "space": dict(space),
        "notes": list(notes),
        "versions": versions(),
    }
    if own := extensions_of(config.model_dump(mode="json")):
        info["extensions"] = own
    write_atomically(run.path / CONFIG_FILE, config.to_yaml())
    write_atomically(run.path / RUN_FILE, json.dumps(info, indent=2))


def open_run(path: Path) -> Run:
    """The run in a folder. Raises `RunError` (or `ConfigError`) where there is none."""
    if not (path / RUN_FILE).is_file():
        what = "does not exist" if not path.exists() else "is not a run: it has no run.json"
        raise RunError(f"{path} {what}; give the folder that `binarynas search` made")
    run = Run(path)
    _ = run.info, run.config
    return run


def versions() -> dict[str, str]:
    """The versions that a run depends on."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found
