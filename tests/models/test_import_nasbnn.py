"""The authors' published checkpoint: names, shapes, equal logits, and what is refused."""

import pickle

import pytest
import reference
import torch

from models.checkpoints.folder import CheckpointError
from models.checkpoints.networks import load_supernet, save_supernet
from models.layers.kernels import WeightNormalisation
from models.layers.modes import Mode
from models.nasbnn.published import import_checkpoint, published_names
from models.nasbnn.supernet import NasBnnSupernet, SupernetOptions
from spaces import get_space

DIGITS = get_space("nasbnn-digits")


@pytest.fixture
def state(make_supernet):
    options = SupernetOptions(weight_normalisation=WeightNormalisation.AUTHORS)
    supernet = make_supernet(DIGITS, options, seed=3)
    return {name: tensor.detach().clone() for name, tensor in reference.published(supernet.float()).items()}


def test_the_imagenet_checkpoint_has_its_516_entries_and_66585315_numbers():
    space = get_space("nasbnn")
    with torch.device("meta"):
        supernet = NasBnnSupernet(space)
        state = reference.published(supernet)
    assert len(state) == 516
    assert sum(tensor.numel() for tensor in state.values()) == 66_585_315
    needed = dict(published_names(space))
    assert set(needed) <= set(state)
    assert sorted(needed.values()) == sorted(supernet.state_dict())


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("wrapped", [True, False])
def test_imported_logits_are_those_of_the_oracle(state, prefix, wrapped, tmp_path, members, images_of):
    named = {prefix + name: tensor for name, tensor in state.items()}
    torch.save({"state_dict": named, "epoch": 512} if wrapped else named, tmp_path / "published.pth")
    supernet = import_checkpoint(tmp_path / "published.pth", DIGITS)
    assert not supernet.training
    images = images_of(DIGITS, 16).float()
    for member in members(DIGITS):
        expected = reference.forward(state, DIGITS, member, images, normalisation="authors")
        assert torch.allclose(supernet(images, member), expected, rtol=0, atol=1e-4)
        assert torch.allclose(supernet.extract(member)(images), expected, rtol=0, atol=1e-4)
    expected = reference.forward(state, DIGITS, DIGITS.largest(), images, weights="float", normalisation="authors")
    assert torch.allclose(supernet(images, DIGITS.largest(), Mode.FWBA), expected, rtol=0, atol=1e-4)


def test_the_normalisation_is_the_authors_and_stays_with_what_is_saved(state, tmp_path):
    torch.save(state, tmp_path / "published.pth")
    save_supernet(tmp_path / "ours", import_checkpoint(tmp_path / "published.pth", DIGITS))
    assert load_supernet(tmp_path / "ours").options.weight_normalisation is WeightNormalisation.AUTHORS


def test_everything_wrong_is_listed_at_once(state, tmp_path):
    del state["fc.bias"]
    state["features.9.9.surprise"] = torch.zeros(1)
    state["features.1.0.move11.bias"] = torch.zeros(1, 5, 1, 1)
    torch.save(state, tmp_path / "published.pth")
    with pytest.raises(CheckpointError) as error:
        import_checkpoint(tmp_path / "published.pth", DIGITS)
    for part in (
        "missing fc.bias",
        "unexpected features.9.9.surprise",
        "features.1.0.move11.bias has shape (1, 5, 1, 1)",
    ):
        assert part in str(error.value)


class Attack:
    def __reduce__(self):
        return (print, ("code from a checkpoint ran",))


@pytest.mark.parametrize(
    "save", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content, protocol=2))]
)
def test_code_in_the_file_is_refused(save, state, tmp_path, capsys):
    save({"state_dict": state, "extra": Attack()}, tmp_path / "published.pth")
    with pytest.raises(CheckpointError, match="without running code"):
        import_checkpoint(tmp_path / "published.pth", DIGITS)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"", b"not a torch file", [1, 2], {"state_dict": {"fc.bias": 3}}])
def test_other_files_are_refused(content, tmp_path):
    path = tmp_path / "published.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(CheckpointError, match=r"published\.pth"):
        import_checkpoint(path, DIGITS)


def test_a_missing_file_is_an_oserror(tmp_path):
    with pytest.raises(OSError, match=r"nowhere\.pth"):
        import_checkpoint(tmp_path / "nowhere.pth", DIGITS)
