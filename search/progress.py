"""How far a run is, read from its folder without disturbing it."""

from typing import Any

from analysis.front import FRONT_FILE
from search.fronts import front_records
from search.records import Stage, State
from search.run import Run
from search.study import read_records


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
    trained = (run.supernet / "manifest.json").exists()
    front = front_records(records, run.config.search.objectives[1:])
    return {
        "run": str(run.path),
        "state": "finished" if (run.path / FRONT_FILE).exists() else "unfinished",
        "supernet": "trained" if trained else f"{_epochs(run)} of {run.config.supernet.epochs} epochs",
        "trials": stages,
        "of": run.config.search.trials,
        "front": [
            {
                "accuracy": round(record.metrics["accuracy"], 6),
                "ops": record.metrics["ops"],
                "stage": record.stage.value,
                "id": record.id,
                "architecture": record.architecture,
            }
            for record in front
        ],
    }


def _epochs(run: Run) -> int:
    """Epochs of the supernet that are saved; only names are read, as the run may be going on."""
    saved = run.supernet_checkpoints.glob("step-*/manifest.json")
    return max((int(manifest.parent.name.removeprefix("step-")) for manifest in saved), default=0)
