"""How far a run is, read from its folder without disturbing it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.runs.layout import FRONT_FILE, MANIFEST_FILE
from search.config.run import Method
from search.runs.folder import Run
from search.runs.fronts import front_records
from search.runs.records import Record, Stage, State
from search.runs.study import read_noted, read_records

PLAN = "plan"
"""The journal's word for the correction of a plan."""


@dataclass(frozen=True)
class Progress:
    """How far a run is, as plain JSON values.

    `start` tells how far the training is that gives candidates their weights, `supernet`, `detector` or `parent`; empty
    where there is none. `trials` counts them by stage and state, `of` is how many candidates are searched, and `front`
    is the front so far: accuracy, costs, stage, id and architecture.
    """

    run: str
    state: str
    method: str
    start: Mapping[str, str]
    trials: Mapping[str, Mapping[str, int]]
    of: int
    front: Sequence[Mapping[str, float | str]]


def progress(run: Run) -> Progress:
    """How far a run is now."""
    records = read_records(run.journal)
    costs = run.config.search.objectives[1:]
    return Progress(
        run=str(run.path),
        state=_state(run, records),
        method=run.config.method.value,
        start=_start(run),
        trials={
            stage.value: {
                state.value: count
                for state in State
                if (count := sum(record.stage is stage and record.state is state for record in records))
            }
            for stage in Stage
            if any(record.stage is stage for record in records)
        },
        of=_planned(run).get("trials", run.config.search.trials),
        front=[_facts(record, costs) for record in front_records(records, costs)],
    )


def _state(run: Run, records: Sequence[Record]) -> str:
    if not (run.path / FRONT_FILE).exists():
        return "unfinished"
    return "finished" if any(record.state is State.FINISHED for record in records) else "ended, all trials failed"


def _facts(record: Record, costs: Sequence[str]) -> dict[str, float | str]:
    return {
        "accuracy": round(record.metrics["accuracy"], 6),
        **{cost: record.metrics[cost] for cost in dict.fromkeys(("ops", *costs))},
        "stage": record.stage.value,
        "id": record.id,
        "architecture": record.architecture,
    }


def _start(run: Run) -> dict[str, str]:
    config = run.config
    if config.method is Method.ONE_SHOT:
        epochs = _planned(run).get("epochs", run.supernet_epochs)
        return {"supernet": _trained(run.supernet, run.supernet_checkpoints, epochs + config.supernet.epochs_before)}
    if config.method is Method.SHARED_DETECTOR:
        return {"detector": _trained(run.shared, run.shared_checkpoints, config.detection.epochs)}
    if config.method is Method.TRAINING and config.parent.used:
        return {"parent": _trained(run.parent / "network", run.parent / "checkpoints", config.parent.total_epochs)}
    return {}


def _planned(run: Run) -> Mapping[str, int]:
    """The amounts that the correction of a plan decided, by name; none without one."""
    noted = read_noted(run.journal, Stage.INHERITED, PLAN) if run.config.plan.seconds else None
    return noted or {}


def epochs_trained(run: Run) -> int:
    """How many epochs the supernet has been trained: by its checkpoints, of which only the names are read."""
    if (run.supernet / MANIFEST_FILE).exists():
        return run.supernet_epochs
    names = (manifest.parent.name for manifest in run.supernet_checkpoints.glob(f"step-*/{MANIFEST_FILE}"))
    return max((int(name.removeprefix("step-")) for name in names), default=0)


def _trained(weights: Path, checkpoints: Path, epochs: int) -> str:
    """How far a training is. Of its checkpoints only the names are read, as the run may be going on."""
    if (weights / MANIFEST_FILE).exists():
        return "trained"
    done: dict[str, int] = {}  # by stage of the training
    for manifest in checkpoints.parent.glob(f"{checkpoints.name}*/step-*/{MANIFEST_FILE}"):
        step, stage = int(manifest.parent.name.removeprefix("step-")), manifest.parent.parent.name
        done[stage] = max(done.get(stage, 0), step)
    return f"{sum(done.values())} of {epochs} epochs"
