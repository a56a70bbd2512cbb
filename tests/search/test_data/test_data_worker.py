"""A worker looks at what it needs before it takes a task, and says in one sentence why it cannot."""

import json
import shutil

import pytest

from search.config.loading import load_config
from search.pipeline.prepare import prepare
from search.worker.worker import Worker

SETTINGS = ("data.memory_limit_mb=0", "data.loader_workers=0", "data.validation_fraction=0.25", "space.image_size=8")


@pytest.fixture
def run(files, tmp_path):
    """A run whose images are streamed from their files."""
    images = files.image_folder(tmp_path / "images")
    settings = [*SETTINGS, f"data.path={images}", "data.name=folder", "supernet.batch_size=8"]
    return prepare(load_config("nasbnn-digits", settings), tmp_path / "run").path


def problem(run) -> str:
    worker, problem = Worker.fit_for(run)
    assert (worker is None) == (problem is not None)
    return problem or ""


def test_a_worker_that_lacks_something_says_so(run, tmp_path):
    images = tmp_path / "images"
    assert problem(run) == ""
    facts = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**facts, "data": {**facts["data"], "fingerprint": "0" * 64}}))
    assert "its data are not those that the run began with: their fingerprint was 000" in problem(run)
    shutil.rmtree(images)
    assert str(images) in problem(run)
    assert "a worker on " in problem(run)
    shutil.rmtree(run)
    assert "does not see the run's folder" in problem(run)


def test_a_worker_without_the_device_says_so(run, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("device: auto", "device: cuda"))
    assert "execution.device is cuda, and torch finds no GPU here" in problem(run)
