"""What is known about one run, gathered from its folder as plain values. What is missing stays empty."""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import pandas as pd
import yaml

from analysis.findings.front import load_front, untested_front
from analysis.runs.events import load_epochs
from analysis.runs.journal import corrected_amounts, early_ends
from analysis.runs.journal_lines import JournalError
from analysis.runs.layout import CONFIG_FILE, FRONT_FILE, JOURNAL_FILE, RUN_FILE, RunError
from analysis.runs.trials import load_trials, numbers
from spaces import Space, SpaceError, get_space, space_from
from spaces.tools.json_form import Json

Values = Mapping[str, Json]


@dataclass(frozen=True, eq=False)
class RunFacts:
    """One run. `config` is its configuration, `info` what its `run.json` says; both may be empty.

    `front` is the table that `load_front` gives, `space` None where it is not known here, `notes` what could not be
    read and why.
    """

    path: Path
    name: str
    config: Values
    info: Values
    trials: pd.DataFrame
    front: pd.DataFrame
    space: Space[object] | None
    notes: tuple[str, ...]

    @property
    def finished(self) -> bool:
        """Whether the run reached its end."""
        return (self.path / FRONT_FILE).is_file()

    @property
    def early_ends(self) -> list[str]:
        """Why a search ended before all its trials; nothing where it did not, or where no journal says so."""
        journal = self.path / JOURNAL_FILE
        try:
            return early_ends(journal) if section(self.config, "search").get("stop") == "plateau" else []
        except (OSError, JournalError):
            return []

    @property
    def corrected(self) -> Values:
        """What the correction of a planned run decided: epochs, trials and networks; nothing of other runs."""
        journal = self.path / JOURNAL_FILE
        try:
            planned = number(section(self.config, "plan"), "seconds")
            return cast("Values", corrected_amounts(journal)) if planned and journal.exists() else {}
        except (OSError, JournalError):
            return {}

    @property
    def data(self) -> Values:
        """The description of the data set."""
        return section(self.info, "data")

    @property
    def detects(self) -> bool:
        """Whether its networks are detectors, whose accuracy is no share of images."""
        return self.config.get("method") in ("detection", "shared-detector")

    @property
    def validation_images(self) -> int | None:
        """The number of images that a validation accuracy is a share of; None where it is no share."""
        return None if self.detects else whole(self.data, "validation")

    @property
    def test_images(self) -> int | None:
        """The number of images that a test accuracy is a share of; None where it is no share."""
        return None if self.detects else whole(self.data, "test")

    @property
    def seed(self) -> int | None:
        """The root of all randomness of the run."""
        return whole(self.config, "seed")

    @property
    def dataset(self) -> str:
        """The data set's name; "imagenet" only where its classes and image size are those of the papers."""
        shape = (self.space.classes, self.space.image_size) if self.space else None
        return "imagenet" if shape == (1000, 224) else str(self.data.get("name", ""))

    @property
    def objectives(self) -> tuple[str, ...]:
        """What was searched for, accuracy first."""
        found = section(self.config, "search").get("objectives")
        return tuple(map(str, cast("list[object]", found))) if isinstance(found, list) else ("accuracy", "ops")

    @property
    def span(self) -> float | None:
        """Seconds from the start of the first trial to the end of the last."""
        done = self.trials[self.trials["started"].notna() & self.trials["seconds"].notna()]
        if not len(done):
            return None
        starts = done["started"].astype("int64").to_numpy() / 1e6
        return float((starts + numbers(done, "seconds")[:, 0]).max() - starts.min())

    @property
    def supernet_span(self) -> float | None:
        """Seconds from the run's beginning to the last epoch of its supernet; None where there is no such epoch."""
        begun = pd.to_datetime(str(self.info.get("created", "")), utc=True, errors="coerce")
        epochs = self._epochs
        if epochs is None:
            return None
        ends = epochs.loc[epochs["phase"] == "supernet", "time"].dropna()
        seconds = (ends.max() - begun).total_seconds() if len(ends) else 0.0
        return seconds if seconds > 0 else None

    @property
    def precisions(self) -> list[str]:
        """What the run's trainings computed in, as far as their epochs tell."""
        epochs = self._epochs
        return [] if epochs is None else sorted(set(epochs["precision"].dropna()))

    @cached_property
    def _epochs(self) -> pd.DataFrame | None:
        try:
            return load_epochs(self.path)
        except (OSError, ValueError):
            return None

    @property
    def failures(self) -> dict[str, int]:
        """The number of failed trials by reason, the most frequent first."""
        failed = self.trials[self.trials["state"] == "failed"]
        counts = failed["reason"].fillna("no reason is recorded").astype("str").value_counts()
        return {str(reason): int(count) for reason, count in counts.items()}

    def count(self, state: str) -> int:
        """How many trials are in a state."""
        return int((self.trials["state"] == state).sum())


def run_facts(run: str | os.PathLike[str], name: str | None = None) -> RunFacts:
    """Gather what is known about a run's folder. Raises `RunError` where it has no trials that can be read."""
    path = Path(run)
    trials = load_trials(path)
    notes: list[str] = []
    config = _mapping(path / CONFIG_FILE, "configuration", yaml.safe_load, notes)
    info = _mapping(path / RUN_FILE, "description", json.loads, notes)
    try:
        front = load_front(path)
    except RunError as error:
        notes.append(str(error))
        front = untested_front(trials)
    space = _space(config, info, notes)
    return RunFacts(path, name or path.resolve().name, config, info, trials, front, space, tuple(notes))


def section(values: Values, key: str) -> Values:
    """The mapping under a key, an empty one where there is none."""
    found = values.get(key)
    return cast("Values", found) if isinstance(found, Mapping) else {}


def whole(values: Values, key: str) -> int | None:
    """The whole number under a key, None where there is none."""
    found = values.get(key)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def number(values: Values, key: str) -> float | None:
    """The number under a key, None where there is none."""
    found = values.get(key)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _mapping(file: Path, what: str, read: Callable[[str], object], notes: list[str]) -> Values:
    try:
        found = read(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        notes.append(f"the {what} {file} cannot be read: {' '.join(str(error).split())}")
        return {}
    if not isinstance(found, dict):
        notes.append(f"{file} is not the {what} of a run")
        return {}
    return cast("Values", found)


def _space(config: Values, info: Values, notes: list[str]) -> Space[object] | None:
    """The space that the run searched: as it is declared in full, or as its configuration names it (older runs)."""
    try:
        if section(info, "space"):
            return space_from(section(info, "space"))
        return _configured(section(config, "space"), section(info, "data")) if config else None
    except (SpaceError, KeyError, TypeError, AttributeError, ValueError) as error:
        notes.append(f"the space of this run is not known here, so costs per layer are left out: {error}")
        return None


def _configured(declared: Values, data: Values) -> Space[object]:
    """The space that a configuration names or declares by its stages, with the data's classes and channels."""
    names = data.get("class_names")
    classes = len(cast("list[object]", names)) if isinstance(names, list) else None
    if isinstance(declared.get("stages"), list):
        fields = ("name", "stem_widths", "stem_stride", "stages", "image_size")
        space = space_from({"classes": 2} | {field: declared[field] for field in fields})
    else:
        space = get_space(str(declared.get("name")))
    space = space.for_data(whole(declared, "image_size"), classes, whole(data, "channels"))
    if declared.get("non_decreasing") is False:
        space = space_from(space.declaration() | {"non_decreasing": False})
    return space
