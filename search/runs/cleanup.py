"""Deletes the weights of trained candidates that are no longer needed."""

import shutil
from collections.abc import Collection, Sequence

from search.runs.folder import Run
from search.runs.fronts import front_records
from search.runs.holder import require_held
from search.runs.records import Record, Stage


def keep_only(run: Run, stage: Stage, records: Collection[Record], costs: Sequence[str]) -> None:
    """Delete the weights of candidates that have ended and are not on the front, since they can never come back to it.

    Raises `FencedError` where the run was taken over: it may have candidates by now that these records do not know.
    """
    require_held(run.path)
    kept = {record.id for record in front_records(records, costs)} | {r.id for r in records if not r.done}
    folder = run.path / stage.value
    if not folder.is_dir():
        return
    for place in folder.iterdir():
        if place.name not in kept:
            shutil.rmtree(place, ignore_errors=True)
