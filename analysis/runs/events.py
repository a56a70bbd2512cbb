"""Reads the epochs of a run's trainings from its events."""

import json
import os
from pathlib import Path
from typing import cast

import pandas as pd

from analysis.runs.layout import EVENTS_FILE

_TEXTS = ("phase", "id", "precision")
_WHOLE = ("epoch", "epochs")
_NUMBERS = ("loss", "images_per_second", "learning_rate")
_TYPES = dict.fromkeys(_TEXTS, "str") | dict.fromkeys(_WHOLE, "Int64") | dict.fromkeys(_NUMBERS, "float64")


def load_epochs(run: str | os.PathLike[str]) -> pd.DataFrame:
    """The epochs of a run's trainings, one row per epoch; of one that a resume repeated, the last.

    Columns `phase` (such as supernet or finetuned), `id` (of the network; null for the supernet), `epoch` (from 1),
    `epochs` (how many the training has), `loss` (nats), `images_per_second`, `learning_rate`, `precision` (of its
    convolutions; null in runs from before it was kept), `time` (UTC). Empty where the run has no events. The file is a
    log for people: a line that cannot be read, such as the last one of a run that was killed, is skipped.
    """
    file = Path(run) / EVENTS_FILE
    found: list[object] = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines() if file.is_file() else ():
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    events = [cast("dict[str, object]", event) for event in found if isinstance(event, dict)]
    table = pd.DataFrame([event for event in events if event.get("event") == "epoch"])
    table = table.reindex(columns=[*_TYPES, "time"])
    for column in (*_WHOLE, *_NUMBERS):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    time = pd.to_datetime(table["time"], utc=True, errors="coerce", format="ISO8601").astype("datetime64[us, UTC]")
    table = table.astype(_TYPES).assign(time=time)
    table = table[table["epoch"].notna()].drop_duplicates(["phase", "id", "epoch"], keep="last")
    # the supernet first, then networks in the order of their training, which a repeated epoch does not change
    begun = table.groupby(["phase", "id"], dropna=False, sort=False)["time"].transform("min")
    order = table.assign(_begun=begun, _later=table["phase"] != "supernet")
    order = order.sort_values(["_later", "_begun", "id", "epoch"], kind="stable")
    return order.drop(columns=["_begun", "_later"]).reset_index(drop=True)
