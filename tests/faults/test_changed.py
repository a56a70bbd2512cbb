"""What changed between the beginning of a run and its resume: data, configuration, whether it may be written at all."""

import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from analysis.runs.layout import RunError
from analysis.runs.trials import load_trials
from search.pipeline.changes import require_unchanged
from search.runs.folder import open_run
from spaces.tools.files import write_atomically

FACTS = ["number", "id", "state", "accuracy", "operator", "seed"]


def facts(run: Path) -> list[dict]:
    return load_trials(run)[FACTS].sort_values("number").to_dict("records")


def edit(run: Path, section: str, **values) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config[section] |= values
    (run / "config.yaml").write_text(yaml.safe_dump(config))


def files(run: Path) -> dict[str, bytes]:
    return {str(file.relative_to(run)): file.read_bytes() for file in run.rglob("*") if file.is_file()}


def test_a_killed_run_goes_on_to_the_same_end(finished, copy_of, call):
    run = copy_of(finished, records=20)
    code, errors = call("resume", run)
    assert code == 0, errors
    assert facts(run) == facts(finished)
    assert (run / "front.csv").read_text() == (finished / "front.csv").read_text()


def test_a_finished_run_resumed_is_not_touched(finished, copy_of, call):
    run = copy_of(finished)
    before = {name: data for name, data in files(run).items() if name not in ("holder.json", "lock")}
    assert call("resume", run)[0] == 0
    assert {name: data for name, data in files(run).items() if name not in ("holder.json", "lock")} == before


def test_a_configuration_that_was_changed_is_refused_with_the_difference(finished, copy_of, call):
    run = copy_of(finished, records=20)
    edit(run, "search", trials=14, mutation_probability=0.5)
    edit(run, "evaluation", recalibration_batches=2)
    before = files(run)
    code, errors = call("resume", run)
    assert code == 2
    for words in (
        "search.trials was 10, is 14",
        "search.mutation_probability was 0.2, is 0.5",
        "evaluation.recalibration_batches was 1, is 2",
        "--fork NEW_FOLDER",
    ):
        assert words in errors
    assert files(run) == before


def test_where_trials_run_may_change(finished, copy_of, call):
    run = copy_of(finished, records=20)
    edit(run, "execution", workers=3, retries=4, timeout=600.0)
    edit(run, "data", loader_workers=1, memory_limit_mb=900)  # as long as the images stay in memory
    assert call("resume", run)[0] == 0
    assert facts(run) == facts(finished)


def test_a_fork_with_more_trials_keeps_those_that_there_are(finished, copy_of, call, tmp_path):
    run = copy_of(finished)
    edit(run, "search", trials=14)
    before = files(run)
    code, errors = call("resume", run, "--fork", tmp_path / "more")
    assert code == 0, errors
    assert files(run) == before, "the old run stays as it is"
    assert facts(tmp_path / "more")[:10] == facts(finished)
    assert len(facts(tmp_path / "more")) == 14
    started = load_trials(finished).set_index("number")["started"]
    assert (load_trials(tmp_path / "more").set_index("number")["started"][:10] == started).all(), "nothing is repeated"
    about = json.loads((tmp_path / "more" / "run.json").read_text())["forked"]
    assert about == {"from": str(run), "changed": {"search.trials": [10, 14]}}
    assert call("resume", tmp_path / "more")[0] == 0


def test_a_fork_that_searches_otherwise_keeps_the_supernet_alone(finished, copy_of, call, tmp_path):
    run = copy_of(finished)
    edit(run, "search", mutation_probability=0.9, trials=6)
    code, errors = call("resume", run, "--fork", tmp_path / "other")
    assert code == 0, errors
    assert len(facts(tmp_path / "other")) == 6
    manifests = [folder / "supernet" / "trained" / "manifest.json" for folder in (run, tmp_path / "other")]
    assert manifests[0].read_bytes() == manifests[1].read_bytes()
    code, errors = call("resume", run, "--fork", tmp_path / "other")
    assert code == 2
    assert "is a run already" in errors


def test_the_runs_own_copy_of_the_data_is_checked(finished, copy_of, call):
    run = copy_of(finished, records=20)
    (images,) = (run / "data").glob("*.safetensors")
    data = bytearray(images.read_bytes())
    data[-100] ^= 1
    images.write_bytes(bytes(data))
    code, errors = call("resume", run)
    assert code == 2
    assert "changed since the run began" in errors
    was = json.loads((run / "run.json").read_text())["data"]["fingerprint"]
    found = re.search(r"fingerprint was ([0-9a-f]{64}), and is ([0-9a-f]{64})", errors)
    assert found[1] == was != found[2]


def pictures(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for kind in ("cat", "dog"):
        (folder / kind).mkdir(parents=True)
        for number in range(60):
            pixels = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / kind / f"{number:02}.png")
    return folder


@pytest.fixture
def run_on_pictures(tmp_path):
    """A run on images of one's own, made but not begun."""
    from search.config.loading import load_config
    from search.pipeline.prepare import prepare

    overrides = {"data": {"name": "folder", "path": str(pictures(tmp_path / "pictures"))}}
    sizes = ["supernet.batch_size=16", "evaluation.recalibration_batch_size=16"]
    return prepare(load_config("nasbnn-digits", sizes, overrides), tmp_path / "run")


@pytest.mark.parametrize("change", ["added", "removed", "another size"])
def test_images_that_changed_are_refused_with_both_fingerprints(run_on_pictures, tmp_path, change):
    require_unchanged(open_run(run_on_pictures.path))
    first = tmp_path / "pictures" / "cat" / "00.png"
    if change == "added":
        shutil.copy(first, first.with_name("99.png"))
    elif change == "removed":
        first.unlink()
    else:
        Image.fromarray(np.zeros((9, 9, 3), dtype=np.uint8)).save(first)
    refusal = r"pictures changed since the run began: its fingerprint was ([0-9a-f]{64}), and is (?!\1)[0-9a-f]{64}"
    with pytest.raises(RunError, match=refusal):
        require_unchanged(open_run(run_on_pictures.path))


def test_images_that_are_gone_are_not_missed_while_the_run_has_its_copy(run_on_pictures, tmp_path):
    shutil.rmtree(tmp_path / "pictures")
    require_unchanged(open_run(run_on_pictures.path))


@pytest.mark.parametrize("where", ["supernet", "journal.log", "run.json", "config.yaml"])
def test_a_flipped_bit_is_found_before_anything_is_measured(finished, copy_of, call, where):
    run = copy_of(finished, records=20)
    file = run / where
    if where == "supernet":
        (file,) = (run / "supernet" / "trained").glob("*.safetensors")
    data = bytearray(file.read_bytes())
    position = data.index(b'"seed": ') + 8 if where == "run.json" else len(data) // 2
    if where == "config.yaml":
        position = data.index(b"trials: 10") + 8
    data[position] ^= 1
    file.write_bytes(bytes(data))
    before = files(run)
    code, errors = call("resume", run)
    assert code == 2
    assert file.name in errors
    assert "Traceback" not in errors
    after = files(run)
    assert after["journal.log"] == before["journal.log"]


def without_roots_right_to_write_anywhere() -> None:
    """For root, permissions count only once its capability to pass over them is gone."""
    if os.getuid() == 0:
        drop, override, search = 24, 1, 2
        for capability in (override, search):
            assert ctypes.CDLL(None).prctl(drop, capability, 0, 0, 0) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="takes rights away as Linux does")
def test_in_a_read_only_folder_analysis_works_and_a_search_refuses(finished, copy_of, command, tmp_path):
    def call(*arguments: str | Path) -> tuple[int, str]:
        done = subprocess.run(
            command(*arguments),
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=without_roots_right_to_write_anywhere,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stderr

    run = copy_of(finished, records=20)
    for path in [run, *run.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        assert call("status", run)[0] == 0
        assert call("report", run, "--out", tmp_path / "report.html")[0] == 0
        for arguments in (("resume", run), ("search", "nasbnn-digits", "--out", run / "new")):
            code, errors = call(*arguments)
            assert code == 2
            assert re.search(rf"cannot (lock|write the run's folder) {run}", errors), errors
    finally:
        for path in [run, *run.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_url_is_no_place_for_a_run(call):
    for place in ("s3://bucket/run", "gs://bucket/run", "file:///tmp/run"):
        code, errors = call("search", "nasbnn-digits", "--out", place)
        assert code == 2
        assert place.partition(":")[0] in errors
        assert "append" in errors
        assert "sync" in errors
    assert not Path("s3:").exists()


def test_write_atomically_leaves_the_old_file_where_the_new_one_fails(tmp_path):
    target = tmp_path / "file"
    write_atomically(target, "old")
    with pytest.raises(TypeError):
        write_atomically(target, 7)  # type: ignore[arg-type]
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
