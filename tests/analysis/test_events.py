"""The epochs of a run, whatever stands in its log."""

import json

import pandas as pd

from analysis.runs.events import load_epochs


def event(epoch: int, loss: float, **more: object) -> str:
    base = {
        "time": f"2026-11-21T09:{epoch:02d}:00+00:00", "event": "epoch", "phase": "supernet", "epoch": epoch,
        "epochs": 9, "loss": loss, "images_per_second": 100.5, "learning_rate": 0.1,
    }  # fmt: skip
    return json.dumps(base | more)


def test_the_last_of_an_epoch_counts_and_trainings_stay_together(tmp_path):
    lines = [
        json.dumps({"event": "started", "epoch": 1}),
        event(1, 2.0),
        event(2, 1.5),
        event(3, 9.9),
        event(3, 1.2, time="2026-11-21T10:00:00+00:00"),
        event(1, 0.9, phase="finetuned", id="b", time="2026-11-21T11:00:00+00:00"),
        event(1, 0.8, phase="finetuned", id="a", time="2026-11-21T11:01:00+00:00"),
        event(2, 0.7, phase="finetuned", id="b", time="2026-11-21T11:02:00+00:00"),
        event(1, 0.6, phase="finetuned", id="b", time="2026-11-21T11:03:00+00:00"),
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(lines) + '\n{"event": "epo')
    epochs = load_epochs(tmp_path)
    rows = (
        epochs[["phase", "id", "epoch", "loss"]]
        .astype(object)
        .where(epochs[["phase", "id", "epoch", "loss"]].notna(), None)
    )
    assert rows.to_numpy().tolist() == [
        ["supernet", None, 1, 2.0], ["supernet", None, 2, 1.5], ["supernet", None, 3, 1.2],
        ["finetuned", "a", 1, 0.8], ["finetuned", "b", 1, 0.6], ["finetuned", "b", 2, 0.7],
    ]  # fmt: skip
    assert epochs["time"].iloc[2] == pd.Timestamp("2026-11-21T10:00Z")


def test_a_run_without_events_has_no_epochs(tmp_path):
    assert len(load_epochs(tmp_path)) == 0
    (tmp_path / "events.jsonl").write_text('[]\n"x"\n###\n{"event": "epoch"}\n')
    epochs = load_epochs(tmp_path)
    assert len(epochs) == 0
    assert list(epochs.columns) == [
        "phase", "id", "epoch", "epochs", "loss", "images_per_second", "learning_rate", "precision", "time",
    ]  # fmt: skip


def test_what_an_epoch_does_not_say_is_missing(tmp_path):
    (tmp_path / "events.jsonl").write_text('{"event": "epoch", "epoch": 1, "phase": "supernet", "loss": NaN}\n')
    epochs = load_epochs(tmp_path)
    assert len(epochs) == 1
    assert epochs[["id", "loss", "learning_rate", "precision", "time"]].isna().all().all()
