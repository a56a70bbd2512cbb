"""Writes what a run recorded as event files for TensorBoard: every training's epochs, and the trials."""

# tensorboardX has no types
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

import math
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
from tensorboardX import SummaryWriter

from analysis.findings.genes import gene_table
from analysis.findings.growth import hypervolume_data
from analysis.runs.events import load_epochs
from analysis.runs.layout import RunError
from analysis.runs.trials import load_trials
from analysis.stages import competing, of_stage

FOLDER = "tensorboard"
_EPOCH_SCALARS = ("loss", "images_per_second", "learning_rate")
_TRIAL_SCALARS = ("accuracy", "loss", "ops", "params", "bytes", "seconds")
_PART = re.compile(r"[0-9a-z]+")
_MARK = "written-by-binarynas"


def export(run: Path, out: Path | None = None) -> Path:
    """Write event files for a run into a folder, by default `tensorboard` in the run's own; returns the folder.

    Every training is a TensorBoard run of its own (`supernet`, `finetuned/ID`, ...), and so are the trials of every
    stage, whose step is the trial's number. Each finished trial of the search has a line in the HPARAMS tab: its genes,
    its hyperparameters and what was measured. What an earlier call wrote is replaced. Raises `RunError` where the run
    cannot be read, or the folder holds something else.
    """
    trials = load_trials(run)
    folder = run / FOLDER if out is None else out
    if folder.exists():
        if not (folder / _MARK).is_file() and any(folder.iterdir()):
            raise RunError(f"{folder} holds something else already: name another folder with --out")
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / _MARK).touch()
    if run.is_dir():
        epochs = load_epochs(run)
        for (phase, identity), rows in epochs.groupby(["phase", epochs["id"].fillna("")], sort=False):
            # names from a file become folders: nothing but our own phases and ids may
            if _PART.fullmatch(str(phase)) and (identity == "" or _PART.fullmatch(str(identity))):
                _write_epochs(folder / str(phase) / str(identity), rows)
    for stage, rows in trials.groupby("stage", sort=False):
        _write_trials(folder / f"trials-{stage}", rows, str(stage))
    _write_choices(folder / "hparams", of_stage(trials))
    return folder


def _write_epochs(folder: Path, rows: pd.DataFrame) -> None:
    with SummaryWriter(str(folder)) as writer:
        for row in rows.to_dict("records"):
            when, epoch = _seconds(row["time"]), int(row["epoch"])
            for name in _EPOCH_SCALARS:
                if _is_number(row[name]):
                    writer.add_scalar(f"training/{name}", row[name], epoch, walltime=when)
            if _is_number(row["learning_rate"]) and row["learning_rate"] > 0:  # small ones are shown as 0 there
                writer.add_scalar(
                    "training/log10_learning_rate", math.log10(row["learning_rate"]), epoch, walltime=when
                )


def _write_trials(folder: Path, rows: pd.DataFrame, stage: str) -> None:
    """One point per trial, and the best so far."""
    rows = rows.sort_values("number", kind="stable")
    ended = rows[rows["state"] != "running"].to_dict("records")
    volume = hypervolume_data(rows, stage=stage).curves[""]
    best = 0.0
    with SummaryWriter(str(folder)) as writer:
        for row, covered in zip(ended, volume, strict=True):
            when, step = _seconds(row["started"]), int(row["number"])
            writer.add_scalar("search/hypervolume", covered, step, walltime=when)
            if row["state"] != "finished":
                continue
            for name in _TRIAL_SCALARS:
                if _is_number(row[name]):
                    writer.add_scalar(f"trial/{name}", float(row[name]), step, walltime=when)
            if _is_number(row["accuracy"]):
                best = max(best, float(row["accuracy"]))
                writer.add_scalar("search/best_accuracy", best, step, walltime=when)
            writer.add_text("trial/architecture", f"{row['id']}: `{row['architecture']}`", step, walltime=when)


def _write_choices(folder: Path, trials: pd.DataFrame) -> None:
    """A session of the HPARAMS tab for every finished trial."""
    done = trials[competing(trials)]
    genes = gene_table(done["architecture"])
    genes = genes[[name for name in genes.columns if genes[name].nunique() > 1]]
    with SummaryWriter(str(folder)) as writer:
        for row, chosen in zip(done.to_dict("records"), genes.to_dict("records"), strict=True):
            choices = {
                str(name): value for name, value in chosen.items() if isinstance(value, str) or _is_number(value)
            }
            metrics = {f"trial/{name}": float(row[name]) for name in _TRIAL_SCALARS if _is_number(row[name])}
            if choices and metrics and _PART.fullmatch(str(row["id"])):
                number = int(row["number"])
                writer.add_hparams(choices, metrics, name=f"{number:04d}-{row['id']}", global_step=number)


def _is_number(value: Any) -> bool:
    return not pd.isna(value) and math.isfinite(value)


def _seconds(time: Any) -> float | None:
    """Seconds since 1970, as event files have them."""
    return None if pd.isna(time) else time.timestamp()
