"""Checkpoints: round trips, damage, hostile manifests, series; and files that appear whole or not at all."""

import json
import math
import os
import shutil

import pytest
import torch
from safetensors import safe_open

from models.checkpoints.folder import (
    CheckpointError,
    CheckpointWarning,
    Verify,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
    save_step,
)
from models.checkpoints.networks import (
    load_network,
    load_supernet,
    network_from,
    network_meta,
    save_network,
    save_supernet,
    supernet_from,
    supernet_meta,
)
from models.layers.kernels import WeightNormalisation
from models.nasbnn.network import BinaryNetwork
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions
from spaces import SpaceError, get_space
from spaces.declarations import space_from
from spaces.tools.files import replacing, write_atomically

TENSORS = {
    "a": torch.arange(6.0).view(2, 3),
    "a.transposed": torch.arange(6.0).view(2, 3).T,
    "step": torch.tensor(3),
    "double": torch.ones(2, dtype=torch.float64),
    "nothing": torch.zeros(0, 4),
}
META = {"epoch": 3, "name": "größte", "list": [1, 2.5, None, True]}


@pytest.fixture
def folder(tmp_path):
    save_checkpoint(tmp_path / "checkpoint", TENSORS, META)
    return tmp_path / "checkpoint"


def assert_same(tensors, expected=TENSORS):
    assert set(tensors) == set(expected)
    for name, tensor in expected.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def edit_manifest(folder, **changes):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_round_trip(folder):
    tensors, meta = load_checkpoint(folder)
    assert_same(tensors)
    assert meta == META
    assert sorted(path.suffix for path in folder.iterdir()) == [".json", ".safetensors"]


def test_tensors_that_share_memory_come_back_apart(tmp_path):
    base = torch.arange(10.0)
    shared = {"whole": base, "again": base, "part": base[2:5], "parameter": torch.nn.Parameter(base)}
    save_checkpoint(tmp_path / "shared", shared, {})
    assert_same(load_checkpoint(tmp_path / "shared")[0], shared)


def test_writing_again_replaces(folder):
    save_checkpoint(folder, {"b": torch.ones(3)}, {})
    assert_same(load_checkpoint(folder)[0], {"b": torch.ones(3)})
    assert len(list(folder.iterdir())) == 2


def test_what_killed_writing_left_is_cleared_away(folder):
    (folder / ".tensors.safetensors.0123.part").write_bytes(b"half")
    (folder / "tensors-0123.safetensors").write_bytes(b"no manifest lists it")
    save_checkpoint(folder, TENSORS, META)
    assert len(list(folder.iterdir())) == 2
    assert_same(load_checkpoint(folder)[0])


def test_a_checkpoint_may_hold_no_tensors(tmp_path):
    save_checkpoint(tmp_path / "empty", {}, {"step": 0})
    assert load_checkpoint(tmp_path / "empty") == ({}, {"step": 0})


def test_until_the_manifest_changes_the_old_checkpoint_is_there(folder, monkeypatch):
    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr("models.checkpoints.folder.write_atomically", fail)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint(folder, {"b": torch.ones(3)}, {})
    assert_same(load_checkpoint(folder)[0])


def test_what_is_read_is_mapped_and_writing_to_it_leaves_the_file(folder):
    tensors, _ = load_checkpoint(folder)
    tensors["a"].fill_(7)
    assert_same(load_checkpoint(folder)[0])


@pytest.mark.parametrize("meta", [{"x": math.nan}, {"x": object()}, {"x": b"bytes"}])
def test_meta_must_be_json(meta, tmp_path):
    with pytest.raises(CheckpointError, match="not JSON"):
        save_checkpoint(tmp_path / "checkpoint", TENSORS, meta)
    assert not (tmp_path / "checkpoint").exists()


def test_sizes_find_a_cut_file_and_hashes_a_changed_one(folder):
    path = next(folder.glob("*.safetensors"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    load_checkpoint(folder, Verify.SIZES)
    with pytest.raises(CheckpointError, match="SHA-256"):
        load_checkpoint(folder)
    path.write_bytes(content[:-1])
    with pytest.raises(CheckpointError, match="bytes where its manifest says"):
        load_checkpoint(folder, Verify.SIZES)
    path.unlink()
    with pytest.raises(CheckpointError, match="missing"):
        load_checkpoint(folder, Verify.SIZES)


@pytest.mark.parametrize(
    "name",
    ["../secret.safetensors", "/etc/secret.safetensors", "a/b.safetensors", "..\\b.safetensors", ".safetensors",
     "x.pickle", "", "c:x.safetensors", "a.safetensors\n"],
)  # fmt: skip
def test_names_that_leave_the_folder_are_refused(name, folder):
    shutil.copy(next(folder.glob("*.safetensors")), folder.parent / "secret.safetensors")
    edit_manifest(folder, files={name: {"bytes": 1, "sha256": ""}})
    with pytest.raises(CheckpointError, match="not the name of a tensor file"):
        load_checkpoint(folder)


def test_links_are_refused(folder):
    path = next(folder.glob("*.safetensors"))
    path.rename(folder.parent / "elsewhere")
    path.symlink_to(folder.parent / "elsewhere")
    with pytest.raises(CheckpointError, match="not a plain file"):
        load_checkpoint(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 2}, "version 2; this binarynas reads version 1"),
        ({"version": None}, "version None"),
        ({"format": "other"}, "not the manifest"),
        ({"files": {}}, "lists no files"),
        ({"files": ["tensors.safetensors"]}, "lists no files"),
        ({"meta": None}, "no meta"),
        ({"files": {"a.safetensors": 5}}, "does not say how large"),
        ({"files": {"a.safetensors": {"bytes": "5"}}}, "does not say how large"),
    ],
)
def test_strange_manifests_are_refused(changes, message, folder):
    edit_manifest(folder, **changes)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_unreadable_manifests_are_refused(content, folder):
    (folder / "manifest.json").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"manifest\.json"):
        load_checkpoint(folder)


def test_a_tensor_file_that_lies_about_itself_is_refused(folder):
    path = next(folder.glob("*.safetensors"))
    lie = (2**62).to_bytes(8, "little") + path.read_bytes()[8:]
    path.write_bytes(lie)
    with pytest.raises(CheckpointError, match="holds no tensors"):
        load_checkpoint(folder, Verify.SIZES)


def test_a_folder_without_a_manifest_is_no_checkpoint(tmp_path):
    with pytest.raises(CheckpointError, match="written last"):
        load_checkpoint(tmp_path)


# Series ---------------------------------------------------------------------------------------------------------------


def save_steps(folder, *steps):
    for step in steps:
        save_step(folder, step, {"step": torch.tensor(step)}, {"step": step})


def test_a_series_keeps_the_last_two(tmp_path):
    assert latest_checkpoint(tmp_path / "series") is None
    save_steps(tmp_path / "series", 1, 2, 10)
    assert sorted(path.name for path in (tmp_path / "series").iterdir()) == ["step-000000002", "step-000000010"]
    latest = latest_checkpoint(tmp_path / "series")
    assert (latest.number, latest.meta, latest.tensors["step"].item()) == (10, {"step": 10}, 10)


def test_a_damaged_one_is_named_and_set_aside(tmp_path):
    save_steps(tmp_path, 1, 2)
    next((tmp_path / "step-000000002").glob("*.safetensors")).write_bytes(b"short")
    with pytest.warns(CheckpointWarning, match=r"step-000000002\.damaged"):
        latest = latest_checkpoint(tmp_path)
    assert latest.number == 1
    assert (tmp_path / "step-000000002.damaged").is_dir()
    assert latest_checkpoint(tmp_path).number == 1  # without a second warning
    save_steps(tmp_path, 2)
    (tmp_path / "step-000000002" / "manifest.json").write_text("{}")
    with pytest.warns(CheckpointWarning, match=r"step-000000002\.2\.damaged"):
        assert latest_checkpoint(tmp_path).number == 1


def test_one_that_was_never_finished_is_passed_over(tmp_path):
    save_steps(tmp_path, 1, 2)
    (tmp_path / "step-000000003").mkdir()
    (tmp_path / "step-000000003" / "tensors.safetensors").write_bytes(b"half")
    assert latest_checkpoint(tmp_path).number == 2
    save_steps(tmp_path, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000002", "step-000000004"]


def test_a_series_with_nothing_but_damage_does_not_start_anew_unnoticed(tmp_path):
    save_steps(tmp_path, 1)
    (tmp_path / "step-000000001" / "manifest.json").write_text("{}")
    with pytest.warns(CheckpointWarning), pytest.raises(CheckpointError, match="every checkpoint"):
        latest_checkpoint(tmp_path)


def test_steps_are_not_negative(tmp_path):
    with pytest.raises(ValueError, match="must not be negative, got -1"):
        save_steps(tmp_path, -1)


# Supernets and networks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options", [SupernetOptions(), SupernetOptions(False, WeightNormalisation.NONE)], ids=["default", "plain"]
)
def test_a_supernet_comes_back_with_its_space_and_options(space, options, tmp_path, members, images_of):
    supernet = NasBnnSupernet(space, options).eval()
    save_supernet(tmp_path / "supernet", supernet, {"epoch": 4})
    loaded = load_supernet(tmp_path / "supernet")
    assert (loaded.space, loaded.options) == (space, options)
    assert load_checkpoint(tmp_path / "supernet")[1]["extra"] == {"epoch": 4}
    for member in members(space, count=1):
        assert torch.equal(loaded(images_of(space).float(), member), supernet(images_of(space).float(), member))


def test_extraction_reads_a_mapped_supernet_and_does_not_write_to_it(tmp_path, members, images_of):
    space = get_space("nasbnn-digits")
    save_supernet(tmp_path / "supernet", NasBnnSupernet(space))
    loaded = load_supernet(tmp_path / "supernet", Verify.SIZES)
    before = {name: tensor._version for name, tensor in loaded.state_dict().items()}
    for member in members(space):
        loaded.extract(member).train()(images_of(space).float()).sum().backward()
    assert {name: tensor._version for name, tensor in loaded.state_dict().items()} == before
    assert all(parameter.grad is None for parameter in loaded.parameters())
    load_checkpoint(tmp_path / "supernet", Verify.HASHES)


def test_a_network_comes_back(tmp_path, images_of):
    space = get_space("nasbnn-digits")
    network = BinaryNetwork(space, space.largest()).eval()
    save_network(tmp_path / "network", network)
    loaded = load_network(tmp_path / "network")
    assert loaded.architecture == network.architecture
    assert torch.equal(loaded(images_of(space).float()), network(images_of(space).float()))


def test_kinds_are_not_confused(tmp_path):
    space = get_space("nasbnn-digits")
    save_network(tmp_path / "network", BinaryNetwork(space, space.smallest()))
    with pytest.raises(CheckpointError, match="expected the checkpoint of a supernet; this is one of 'network'"):
        load_supernet(tmp_path / "network")


def test_tensors_that_do_not_fit_are_refused():
    supernet = NasBnnSupernet(get_space("nasbnn-digits"))
    tensors = supernet.state_dict()
    tensors["classifier.bias"] = torch.zeros(3)
    with pytest.raises(CheckpointError, match=r"classifier\.bias"):
        supernet_from(tensors, supernet_meta(supernet))
    meta = supernet_meta(supernet)
    meta["options"]["weight_normalisation"] = "strange"
    with pytest.raises(CheckpointError, match="'none', 'paper', 'authors'; got 'strange'"):
        supernet_from(supernet.state_dict(), meta)


def test_spaces_survive_json(space):
    assert space_from(json.loads(json.dumps(space.declaration()))) == space


def test_checkpoints_from_before_there_were_families_are_read(tmp_path):
    network = BinaryNetwork(get_space("nasbnn-digits"), get_space("nasbnn-digits").smallest())
    meta = network_meta(network)
    del meta["space"]["family"]
    assert network_from(network.state_dict(), meta).space == network.space
    meta["space"]["family"] = "nasbn"
    with pytest.raises(SpaceError, match="unknown family of spaces 'nasbn'; did you mean 'nasbnn'"):
        network_from(network.state_dict(), meta)


def test_unknown_options_are_refused():
    network = BinaryNetwork(get_space("nasbnn-digits"), get_space("nasbnn-digits").smallest())
    meta = network_meta(network)
    meta["options"]["colour"] = 3
    with pytest.raises(CheckpointError, match=r"unknown option 'colour'\. The options are weight_normalisation"):
        network_from(network.state_dict(), meta)


# Files ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", ["text ü\n", b"\x00bytes"])
def test_files_are_written_and_replaced(data, tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")
    write_atomically(path, data)
    assert path.read_bytes() == (data.encode() if isinstance(data, str) else data)
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_after_an_error_the_old_file_is_there_alone(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, "old")
    with pytest.raises(AttributeError), replacing(path) as temporary:
        temporary.write_text("half").fails()
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_files_have_the_permissions_of_the_umask_tensors_among_them(tmp_path, mask):
    before = os.umask(mask)
    try:
        (tmp_path / "usual").write_text("")
        write_atomically(tmp_path / "ours", "")
        save_checkpoint(tmp_path / "checkpoint", {"a": torch.zeros(2)}, {})
    finally:
        os.umask(before)
    files = [tmp_path / "ours", *(tmp_path / "checkpoint").iterdir()]
    assert {file.stat().st_mode for file in files} == {(tmp_path / "usual").stat().st_mode}
    assert len(files) == 3


def test_a_file_of_tensors_says_what_it_is_to_whoever_has_it_alone(tmp_path):
    tiny = get_space("nasbnn-digits")
    network = BinaryNetwork(tiny, tiny.smallest())
    save_network(tmp_path, network, {"class_names": ["ä", "b"], "mean": [0.5]})
    (file,) = tmp_path.glob("*.safetensors")
    with safe_open(file, "pt") as opened:
        said = opened.metadata()
        assert set(opened.keys()) == set(network.state_dict())
    meta = json.loads(said["meta"])
    assert meta["architecture"] == tiny.format(tiny.smallest())
    assert meta["space"] == json.loads(json.dumps(tiny.declaration()))
    assert meta["extra"] == {"class_names": ["ä", "b"], "mean": [0.5]}
    assert "models.load_network" in meta["about"]
    save_network(tmp_path, network, {"class_names": ["ä", "b"], "mean": [0.5]})
    assert list(tmp_path.glob("*.safetensors")) == [file], "equal networks are equal files"
