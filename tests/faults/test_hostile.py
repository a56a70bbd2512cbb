"""Files made to do harm: pickles that would run code, names that leave the folder, sizes that lie. Whatever is read of
a run, a checkpoint, a configuration or a data set, nothing of it is executed and nothing outside is written."""

import json
import os
import pickle
import shutil
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch

from analysis.runs.layout import RunError
from analysis.runs.trials import load_trials
from models.checkpoints.folder import CheckpointError, load_checkpoint, save_checkpoint
from models.checkpoints.networks import load_network, load_supernet
from search.config.loading import check_config, load_config, parse_yaml
from search.config.sections import ConfigError
from search.data.config import DataConfig
from search.data.errors import DataError
from search.data.opening import open_data
from search.runs.folder import open_run
from spaces.tools.files import write_atomically


class Canary:
    """A value whose pickle makes a file when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.dead = folder / "the canary is dead"

    def __reduce__(self):
        return (os.mkdir, (str(self.dead),))


@pytest.fixture
def canary(tmp_path) -> Canary:
    bird = Canary(tmp_path)
    pickle.loads(pickle.dumps(bird))
    assert bird.dead.exists(), "loaded as a pickle it dies"
    bird.dead.rmdir()
    return bird


def pickles(canary: Canary) -> dict[str, bytes]:
    """The canary in every shape that some library unpickles."""
    saved, archive, array = BytesIO(), BytesIO(), BytesIO()
    torch.save({"network": canary}, saved)
    torch.save({"network": canary}, archive, _use_new_zipfile_serialization=False)
    np.save(array, np.array([canary], dtype=object), allow_pickle=True)
    inside = BytesIO()
    with zipfile.ZipFile(inside, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(canary))
        file.writestr("archive/version", "3")
    return {
        "plain": pickle.dumps(canary),
        "torch": saved.getvalue(),
        "old torch": archive.getvalue(),
        "numpy": array.getvalue(),
        "zip": inside.getvalue(),
    }


def test_no_file_of_a_run_is_unpickled(finished, copy_of, canary, call, tmp_path):
    """Every file of a run in turn is a pickle, under its own name, as are files that Tune would restore from."""
    source = copy_of(finished)
    names = [file.relative_to(source) for file in source.rglob("*") if file.is_file()]
    read = ("run.json", "config.yaml", "journal.log", "trials.parquet", "holder.json", "manifest.json", ".safetensors")
    names = [name for name in names if str(name).endswith(read)]
    assert len(names) > 8
    for index, name in enumerate(names):
        run = tmp_path / f"run{index}"
        shutil.copytree(source, run)
        if name.name in ("journal.log", "manifest.json"):
            (run / "front.csv").unlink()  # it has not finished, so that the file is needed
        for kind, data in pickles(canary).items() if index < 2 else [("plain", pickles(canary)["plain"])]:
            (run / name).write_bytes(data)
            code, errors = call("resume", run)
            assert not canary.dead.exists(), f"{kind} in {name}"
            assert "Traceback" not in errors
            assert code in (0, 2), errors
            for command in (("status", run), ("report", run, "--out", tmp_path / "report.html")):
                code, errors = call(*command)
                assert "Traceback" not in errors
            assert not canary.dead.exists(), f"{kind} in {name}"


def test_an_experiment_folder_of_tunes_in_a_run_is_never_restored(finished, copy_of, canary, call):
    run = copy_of(finished, records=20)
    for name in (
        "experiment_state-2026-01-01.json",
        "searcher-state.pkl",
        "tuner.pkl",
        "trainable.pkl",
        "basic-variant-state.json",
    ):
        for folder in (run, run / "run"):
            folder.mkdir(exist_ok=True)
            (folder / name).write_bytes(pickle.dumps(canary))
    assert call("resume", run)[0] == 0
    assert not canary.dead.exists()


@pytest.mark.parametrize("shape", ["plain", "torch", "old torch", "numpy", "zip"])
def test_no_checkpoint_and_no_weights_are_unpickled(canary, tmp_path, shape):
    data = pickles(canary)[shape]
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, {"weight": torch.ones(3)}, {})
    (tensors,) = folder.glob("*.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    import hashlib

    tensors.write_bytes(data)
    manifest["files"][tensors.name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    for load in (load_checkpoint, load_network, load_supernet):
        with pytest.raises(CheckpointError):
            load(folder)
    (folder / "manifest.json").write_bytes(data)
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)
    published = tmp_path / "published.pth.tar"
    published.write_bytes(data)
    from models.nasbnn.published import import_checkpoint

    with pytest.raises(ValueError, match=str(published)):
        import_checkpoint(published)
    assert not canary.dead.exists()


@pytest.mark.parametrize(
    "text",
    [
        "!!python/object/apply:os.mkdir [CANARY]",
        "seed: !!python/object/apply:os.mkdir [CANARY]",
        "seed: !!python/name:os.mkdir",
        "seed: !!python/module:os",
        "&a [*a, !!python/object/new:os.mkdir [CANARY]]",
        "!include CANARY",
    ],
)
def test_yaml_makes_no_objects(canary, tmp_path, text):
    file = tmp_path / "config.yaml"
    file.write_text(text.replace("CANARY", str(canary.dead)))
    with pytest.raises(ConfigError, match=r"config\.yaml"):
        load_config(str(file))
    assert not canary.dead.exists()


def test_yaml_that_grows_without_bound_is_refused():
    """A billion laughs: nine lists of nine names for the list before."""
    laughs = ["a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    laughs += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    values = parse_yaml("\n".join(laughs), "laughs.yaml")
    with pytest.raises(ConfigError):
        check_config(values, "laughs.yaml")


@pytest.mark.parametrize("name", ["images.pkl", "images.npy", "images.pt", "images.parquet"])
def test_no_data_set_is_unpickled(canary, tmp_path, name):
    file = tmp_path / name
    file.write_bytes(pickle.dumps(canary))
    with pytest.raises((DataError, ValueError)):
        open_data(DataConfig.model_validate({"name": "parquet", "path": str(file)}), image_size=8)
    folder = tmp_path / "folder"
    for kind in ("cat", "dog"):
        (folder / kind).mkdir(parents=True)
        for number in range(12):
            (folder / kind / f"{number}.png").write_bytes(pickle.dumps(canary))
    with pytest.raises(DataError, match="folder"):
        open_data(DataConfig.model_validate({"name": "folder", "path": str(folder)}), image_size=8)
    assert not canary.dead.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../secret.safetensors",
        "/etc/passwd",
        "a/../../secret.safetensors",
        "..",
        "",
        "link.safetensors",
        "x\0.safetensors",
    ],
)
def test_a_manifest_cannot_name_what_is_elsewhere(tmp_path, name):
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, {"weight": torch.ones(3)}, {})
    (tensors,) = folder.glob("*.safetensors")
    shutil.copy(tensors, tmp_path / "secret.safetensors")
    (folder / "link.safetensors").symlink_to(tmp_path / "secret.safetensors")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = {name: manifest["files"][tensors.name]}
    write_atomically(folder / "manifest.json", json.dumps(manifest))
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)


@pytest.mark.parametrize("size", [-1, 0, 10**18, 1.5, "12", None, True])
def test_a_manifest_that_lies_about_sizes(tmp_path, size):
    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, {"weight": torch.ones(3)}, {})
    manifest = json.loads((folder / "manifest.json").read_text())
    for facts in manifest["files"].values():
        facts["bytes"] = size
    write_atomically(folder / "manifest.json", json.dumps(manifest))
    with pytest.raises(CheckpointError):
        load_checkpoint(folder)


@pytest.mark.parametrize("length", [2**63 - 1, 2**40, 10**9])
def test_tensors_that_lie_about_their_header(tmp_path, length):
    """The first eight bytes of a safetensors file say how long its header is: no such memory is taken."""
    import hashlib

    folder = tmp_path / "checkpoint"
    save_checkpoint(folder, {"weight": torch.ones(3)}, {})
    (tensors,) = folder.glob("*.safetensors")
    data = length.to_bytes(8, "little") + tensors.read_bytes()[8:]
    tensors.write_bytes(data)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][tensors.name]["sha256"] = hashlib.sha256(data).hexdigest()
    write_atomically(folder / "manifest.json", json.dumps(manifest))
    with pytest.raises(CheckpointError, match="holds no tensors"):
        load_checkpoint(folder)


@pytest.mark.parametrize("identity", ["../../outside", "/tmp/outside", "a/b", "..", "."])
def test_a_journal_cannot_make_a_run_write_elsewhere(finished, copy_of, call, tmp_path, identity):
    """Ids name folders. A journal that was made to hold another one is found out by its checksum; one without any
    checksums, by the architecture that the id belongs to."""
    run = copy_of(finished, records=20)
    lines = (run / "journal.log").read_bytes().splitlines()
    records = [json.loads(line) for line in lines]
    known = next(record["user_attrs"]["id"] for record in records if "user_attrs" in record)
    for keep in (True, False):
        changed = []
        for record in records:
            record = dict(record)
            if not keep:
                record.pop("crc32", None)
            text = json.dumps(record, separators=(",", ":")).replace(known, identity)
            changed.append(text.encode() + b"\n")
        (run / "journal.log").write_bytes(b"".join(changed))
        before = {path for path in tmp_path.rglob("*") if run not in path.parents}
        code, errors = call("resume", run)
        assert "Traceback" not in errors
        assert code != 0, "nothing of it is believed"
        assert {path for path in tmp_path.rglob("*") if run not in path.parents} == before


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", "{", '{"format": 99}', '{"format": 1}', '{"format": 1, "data": []}', "[" * 100000]
)
def test_a_run_whose_facts_are_none_is_refused(finished, copy_of, call, text):
    run = copy_of(finished, records=20)
    (run / "run.json").write_text(text)
    code, errors = call("resume", run)
    assert code == 2, errors
    assert "run.json" in errors
    assert "Traceback" not in errors
    with pytest.raises((RunError, ConfigError)):
        open_run(run)
    assert len(load_trials(run)), "the trials are there all the same"
