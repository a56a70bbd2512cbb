"""Refuses to resume a run whose configuration or data changed, and forks runs that were changed on purpose."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from analysis.runs.events import load_epochs
from analysis.runs.layout import (
    CONFIG_FILE,
    FRONT,
    FRONT_FILE,
    HOLDER_FILE,
    LOCK_FILE,
    NETWORKS_FILE,
    PLOTS,
    REFERENCES_FILE,
    REPORT_FILE,
    RUN_FILE,
    TRIALS_FILE,
    RunError,
)
from analysis.tables.table import load_table
from search.config.run import Method, RunConfig
from search.data.detection.opening import open_pictures
from search.data.opening import fingerprint_of, listing, open_data
from search.pipeline.detection import prepare_detection
from search.pipeline.prepare import prepare
from search.runs.folder import Run
from search.runs.journal import mend_journal
from search.worker.device import pick_device, pick_precision, precision_name
from spaces.tools.files import write_atomically

_FREE = ("execution",)
"""Sections that may change: where and how trials run."""

_BINDING = ("execution.precision",)
"""Settings of these sections that change what a training gives."""

_FREE_KEYS = ("data.loader_workers", "data.memory_limit_mb", "data.download", "data.path", "data.cache")
"""Further settings that leave results alone: whether the images are the same is looked at by itself."""

_AFTER_TRAINING = ("search", "evaluation", "finetune", "final", *_FREE)
"""Sections that a trained supernet does not depend on."""

_RESULTS = {
    FRONT, FRONT_FILE, NETWORKS_FILE, REFERENCES_FILE, PLOTS, "report", REPORT_FILE, TRIALS_FILE,
    RUN_FILE, CONFIG_FILE, LOCK_FILE, HOLDER_FILE,
}  # fmt: skip
"""Files that a fork writes itself."""


def require_unchanged(run: Run) -> None:
    """Raise `RunError` where the configuration or the data are no longer those that the run began with."""
    changed = _changed(run)
    if changed:
        changes = "; ".join(f"{key} was {was}, is {now}" for key, (was, now) in changed.items())
        raise RunError(
            f"{run.path / 'config.yaml'} is not what run.json says the run began with: {changes}. Put it back, or go "
            f"on under a new name with: binarynas resume {run.path} --fork NEW_FOLDER"
        )
    _require_same_data(run)


def fork(run: Run, folder: Path) -> Run:
    """A new run in `folder` with the configuration as it is now, and whatever of the old one still holds for it.

    Trials are copied where only their number changed, the trained supernet where nothing changed that it depends on;
    everything else is done again. The old run stays as it is. Raises as `prepare` does.
    """
    changed = _changed(run)
    new = (prepare_detection if run.config.method.detects else prepare)(run.config, folder)
    only_trials = set(changed) <= {"search.trials"}
    copied: list[Path] = []
    if only_trials:
        copied = [path for path in run.path.iterdir() if path.name not in _RESULTS and path != run.journal]
    elif {key.partition(".")[0] for key in changed} <= set(_AFTER_TRAINING) and not set(changed) & set(_BINDING):
        copied = [path for path in (run.path / "supernet",) if path.exists()]
    for path in copied:
        if path.is_dir():
            shutil.copytree(path, new.path / path.name, dirs_exist_ok=True)
        else:
            shutil.copy2(path, new.path / path.name)
    if only_trials and run.journal.exists():
        write_atomically(new.journal, run.journal.read_bytes())  # last: what it refers to is there
        mend_journal(new.journal)
    about = {"from": str(run.path.resolve()), "changed": {key: list(values) for key, values in changed.items()}}
    write_atomically(new.path / RUN_FILE, json.dumps({**new.info, "forked": about}, indent=2))
    return Run(new.path)


def _changed(run: Run) -> dict[str, tuple[Any, Any]]:
    """The settings that changed since the run began, by name: what they were, and what they are."""
    begun = run.info.get("config")
    if begun is None:  # a run from before this was kept
        return {}
    try:
        before = RunConfig.model_validate(begun)
    except ValidationError as error:
        raise RunError(
            f"{run.path / 'run.json'} holds no configuration: it is damaged, restore it from a copy"
        ) from error
    was, now = _flat(before.model_dump(mode="json")), _flat(run.config.model_dump(mode="json"))
    bound = _flat(begun).keys() & set(_BINDING)  # a run from before there was such a setting may choose
    keys = [key for key in {**was, **now} if was.get(key) != now.get(key) and key not in _FREE_KEYS]
    return {key: (was.get(key), now.get(key)) for key in keys if key.partition(".")[0] not in _FREE or key in bound}


def other_precision(run: Run) -> str | None:
    """What to tell where this machine goes on in another precision than the run was trained in so far."""
    execution = run.config.execution
    if execution.address is not None:
        return None
    size = run.architectures.image_size
    here = precision_name(pick_precision(execution.precision, pick_device(execution.device), size))
    before = sorted(set(load_epochs(run.path)["precision"].dropna()) - {here})
    if not before:
        return None
    return (
        f"trainings of {run.path} were done in {' and '.join(before)}, and go on in {here}, which execution.precision "
        f"{execution.precision} is on this machine: weights will differ a little from those of one precision"
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested sections as one dictionary with dotted keys."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        else:
            found[prefix + key] = value
    return found


def _require_same_data(run: Run) -> None:
    """Raise `RunError`, with both fingerprints, where the data set or the run's copy of it changed."""
    begun, config = run.info["data"], run.config
    if config.method.detects:
        found = open_pictures(config.detection.data, run.architectures.channels, config.seed).fingerprint
        if found != begun["fingerprint"]:
            raise _other(f"the pictures of {run.path}", begun["fingerprint"], found)
        return
    if config.method is Method.TABLE:
        found = load_table(config.table.source or "").fingerprint
        if found != begun["fingerprint"]:
            raise _other(f"the table of {run.path}", begun["fingerprint"], found)
        return
    source = listing(config.data)
    if "listing" in begun and source is not None and source != begun["listing"]:
        raise _other(f"the data set in {config.data.path}", begun["listing"], source)
    size = run.architectures.image_size
    data = open_data(config.data, image_size=size, seed=config.seed, cache=run.data_cache)
    if data.storage != begun.get("storage", data.storage):
        raise RunError(
            f"with data.memory_limit_mb {config.data.memory_limit_mb} the images of {run.path} would be elsewhere "
            f"({data.storage}) than when the run began ({begun['storage']}), where batches differ: put it back"
        )
    found = fingerprint_of(data)
    if found != begun["fingerprint"]:
        raise _other(f"the data of {run.path}", begun["fingerprint"], found)


def _other(what: str, was: str, now: str) -> RunError:
    return RunError(
        f"{what} changed since the run began: its fingerprint was {was}, and is {now}. Put the images back as they "
        "were, or begin a new run"
    )
