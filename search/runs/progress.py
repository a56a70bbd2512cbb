"""How far a run is, read from its folder without disturbing it."""

from pathlib import Path
from typing import Any

from analysis.runs.layout import FRONT_FILE, MANIFEST_FILE
from search.config.run import Method
from search.runs.folder import Run
from search.runs.fronts import front_records
from search.runs.records import Stage, State
from search.runs.study import read_records


def progress(run: Run) -> dict[str, Any]:
    """Counts of trials by stage and state, the supernet's epochs, and the front so far: plain JSON values."""
    records = read_records(run.journal)
    stages = {
        stage.value: {
            state.value: count
            for state in State
            if (count := sum(record.stage is stage and record.state is state for record in records))
        }
        for stage in Stage
        if any(record.stage is stage for record in records)
    }
    costs = run.config.search.objectives[1:]
    front = front_records(records, costs)
    return {
        "run": str(run.path),
        "state": "finished" if (run.path / FRONT_FILE).exists() else "unfinished",
        "method": run.config.method.value,
        **_start(run),
        "trials": stages,
        "of": run.config.search.trials,
        "front": [
            {
                "accuracy": round(record.metrics["accuracy"], 6),
                **{cost: record.metrics[cost] for cost in dict.fromkeys(("ops", *costs))},
                "stage": record.stage.value,
                "id": record.id,
                "architecture": record.architecture,
            }
            for record in front
        ],
    }


def _start(run: Run) -> dict[str, str]:
    """How far the training is from which candidates get their weights; nothing where there is none."""
    config = run.config
    if config.method is Method.ONE_SHOT:
        weights, checkpoints = run.supernet, run.supernet_checkpoints
        return {"supernet": "trained" if _whole(weights) else f"{_epochs(checkpoints)} of {run.supernet_epochs} epochs"}
    if config.method is Method.TRAINING and config.parent.used:
        weights, checkpoints = run.parent / "network", run.parent / "checkpoints"
        return {"parent": "trained" if _whole(weights) else f"{_epochs(checkpoints)} of {config.parent.epochs} epochs"}
    return {}


def _whole(weights: Path) -> bool:
    return (weights / MANIFEST_FILE).exists()


def _epochs(checkpoints: Path) -> int:
    """Epochs that are saved; only names are read, as the run may be going on."""
    saved = checkpoints.glob("step-*/manifest.json")
    return max((int(manifest.parent.name.removeprefix("step-")) for manifest in saved), default=0)
