"""Reads a run's events: how its trainings went, epoch by epoch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, cast

from analysis.runs.layout import EVENTS_FILE

if TYPE_CHECKING:
    import pandas as pd

_TYPES = {
    "phase": "str", "id": "str", "epoch": "Int64", "epochs": "Int64", "loss": "float64",
    "images_per_second": "float64", "learning_rate": "float64",
}  # fmt: skip


def load_epochs(run: str | os.PathLike[str]) -> pd.DataFrame:
    """The epochs of a run's trainings, one row each; of one that a resume repeated, the last.

    Columns `phase` (supernet or finetuned), `id` (of the network; null for the supernet), `epoch` (from 1), `epochs`
    (how many there are to be), `loss` (nats), `images_per_second`, `learning_rate`, `time` (UTC). Empty where
    the run has no events. The file is a log for people: a line that cannot be read, such as the last one of a run that
    was killed, is passed over.
    """
    import pandas as pd

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
    for column in ("epoch", "epochs", "loss", "images_per_second", "learning_rate"):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    table = table.astype(_TYPES).assign(
        time=pd.to_datetime(table["time"], utc=True, errors="coerce", format="ISO8601").astype("datetime64[us, UTC]")
    )
    table = table[table["epoch"].notna()].drop_duplicates(["phase", "id", "epoch"], keep="last")
    # the supernet first, then networks as they were trained; a repeated epoch does not move its training back
    begun = table.groupby(["phase", "id"], dropna=False, sort=False)["time"].transform("min")
    order = table.assign(_begun=begun, _later=table["phase"] != "supernet")
    order = order.sort_values(["_later", "_begun", "id", "epoch"], kind="stable")
    return order.drop(columns=["_begun", "_later"]).reset_index(drop=True)
