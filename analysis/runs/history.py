"""Reads the history of a differentiable search, epoch by epoch, and summarises it."""

# pyarrow ships no types, so its names are unknown to the checker; the signatures below are ours and checked.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false, reportUnknownVariableType=false

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.runs.layout import HISTORY_FILE, SEARCHES, RunError
from spaces.cell.canonical import INPUTS
from spaces.errors import listed

COLUMNS = ("epoch", "cell", "edge", "from", "to", "layer", "probability", "entropy", "accuracy")
SOURCES = ("cell inputs", "nodes")


def load_history(path: str | os.PathLike[str]) -> pd.DataFrame:
    """The history of one search: one row per epoch (from 1), cell, edge and layer type.

    `path` is the file or the folder that holds it, `searches/ID` of a run. Columns `epoch`, `cell`, `edge`, `from` and
    `to` (states; 0 and 1 are the cell's inputs), `layer`, `probability`, `entropy` (of the edge, in nats) and
    `accuracy` (fraction, NaN where it was not measured), and others that the file has. Raises `RunError` where there is
    no such file, or it is broken.
    """
    file = Path(path)
    file = file / HISTORY_FILE if file.is_dir() else file
    try:
        table = pd.read_parquet(file)
    except FileNotFoundError as error:
        raise RunError(f"no history at {file}: a differentiable search writes it after every epoch") from error
    except (pa.ArrowException, OSError) as error:
        raise RunError(f"{file} is not a whole Parquet file: copy it again ({error})") from error
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise RunError(f"{file} is not the history of a search: it lacks {listed(missing)}")
    numeric = {"probability": "float64", "entropy": "float64", "accuracy": "float64"}
    return table.astype({**numeric, "epoch": "int64", "edge": "int64", "from": "int64", "to": "int64"})


def search_histories(run: str | os.PathLike[str]) -> dict[str, Path]:
    """The history files of a run's differentiable searches by the searches' ids; empty where it has none."""
    files = sorted((Path(run) / SEARCHES).glob(f"*/{HISTORY_FILE}"))
    return {file.parent.name: file for file in files}


def layer_probabilities(history: pd.DataFrame) -> pd.DataFrame:
    """Mean probability of every layer type over the edges of a group, epoch by epoch.

    Columns `cell`, `source` (whether the edges read the cell's inputs or its nodes), `epoch`, `layer`, `probability`,
    `edges` (how many the group has). Layer types are in the order of the file.
    """
    source = (history["from"] < INPUTS).map({True: SOURCES[0], False: SOURCES[1]})
    groups = history.assign(source=source).groupby(["cell", "source", "epoch", "layer"], sort=False)
    return groups.agg(probability=("probability", "mean"), edges=("edge", "nunique")).reset_index()


def search_entropy(history: pd.DataFrame) -> pd.DataFrame:
    """Entropy of an edge's layer types, in nats, epoch by epoch.

    Columns `cell`, `epoch`, `entropy` (mean over the edges), `least`, `most` (over the edges), `uniform` (the entropy
    of equally probable layer types).
    """
    edges = history.drop_duplicates(["cell", "epoch", "edge"])
    groups = edges.groupby(["cell", "epoch"], sort=False)["entropy"]
    found = groups.agg(["mean", "min", "max"]).reset_index()
    found = found.rename(columns={"mean": "entropy", "min": "least", "max": "most"})
    return found.assign(uniform=float(np.log(max(history["layer"].nunique(), 1))))


def search_accuracy(history: pd.DataFrame) -> pd.DataFrame:
    """Accuracy epoch by epoch: columns `epoch`, `accuracy` (on validation images) and, where the file has it,
    `architecture_accuracy` (on the half of the training images that trains the architecture weights)."""
    names = [name for name in ("accuracy", "architecture_accuracy") if name in history.columns]
    return history[["epoch", *names]].drop_duplicates("epoch").reset_index(drop=True)
