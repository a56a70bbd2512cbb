"""Teachers: soft labels are the closed form, kept ones are those that are computed, and none change nothing."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn
from torchvision.models import shufflenet_v2_x0_5

from models.checkpoints.folder import CheckpointError, save_checkpoint
from models.checkpoints.networks import save_network, save_supernet
from models.checkpoints.teachers import Teacher, View, load_teacher, read_model, save_teacher
from models.layers.modes import Mode
from models.nasbnn.network import BinaryNetwork, NetworkOptions
from models.nasbnn.supernet import NasBnnSupernet
from search.config.loading import load_config
from search.config.sections import ConfigError
from search.config.trainings import FinetuneConfig, SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.data.order import in_order, shuffled
from search.execution.trainables.setting import Setting
from search.pipeline.prepare import prepare
from search.runs.folder import Run
from search.seeds import derive_rng
from search.training.own import TrainingCode
from search.training.steps import Batch, plain_step, sandwich_step
from search.training.teachers import Lessons, soft_labels
from search.worker.context import Context
from spaces import get_space

CPU, NAME = torch.device("cpu"), "shufflenet_v2_x0_5"


@pytest.fixture
def split(tiny) -> TensorSplit:
    """Images of noise, the same in every epoch."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (60, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return TensorSplit(images, torch.arange(60) % 10, Normalisation((0.3,), (0.3,)), Augmentation())


def network_of(space, seed, mode=Mode.BWBA) -> BinaryNetwork:
    torch.manual_seed(seed)
    return BinaryNetwork(space, space.smallest(), NetworkOptions(mode=mode))


def taught(network, teachers, split, **changes):
    """A loss of one batch with teachers, and the logits that it is of."""
    config = FinetuneConfig(**changes)
    step, images = Lessons(teachers, config.teacher_temperature).taught(plain_step(network, config), split, config, CPU)
    pixels, labels = next(images.batches(20, order=shuffled(3), device=CPU))
    network.eval()  # so that the logits can be had again
    return step(Batch(pixels, labels, 0)), network(pixels), pixels


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_one_teacher_alone_gives_the_loss_of_distillation_in_closed_form(tiny, split, temperature):
    network, teacher = network_of(tiny, 1), network_of(tiny, 2, Mode.FWFA).eval()
    loss, logits, pixels = taught(network, [teacher], split, teacher_temperature=temperature, label_smoothing=0.1)
    wanted = (teacher(pixels) / temperature).softmax(1)
    log = (logits / temperature).log_softmax(1)
    assert torch.allclose(loss, -(wanted * log).sum(1).mean() * temperature**2)
    given = {name: p.grad.clone() for name, p in network.named_parameters()}
    network.zero_grad()
    # the cross entropy is the divergence and a constant: the gradients are equal
    divergence = F.kl_div((network(pixels) / temperature).log_softmax(1), wanted.detach(), reduction="batchmean")
    (divergence * temperature**2).backward()
    for name, parameter in network.named_parameters():
        assert torch.allclose(given[name], parameter.grad, atol=1e-5), name


def test_labels_have_their_share(tiny, split):
    network, teacher = network_of(tiny, 1), network_of(tiny, 2).eval()
    labels = next(split.batches(20, order=shuffled(3), device=CPU))[1]
    settings = {"teacher_weight": 0.25, "teacher_temperature": 2.0, "label_smoothing": 0.1}
    loss, logits, pixels = taught(network, [teacher], split, **settings)
    soft = (teacher(pixels) / 2).softmax(1)
    hard = F.cross_entropy(logits, labels, label_smoothing=0.1)
    assert torch.allclose(loss, 0.25 * 4 * F.cross_entropy(logits / 2, soft) + 0.75 * hard)
    without, logits, _ = taught(network, [teacher], split, teacher_weight=0.0, label_smoothing=0.1)
    assert torch.equal(without, F.cross_entropy(logits, labels, label_smoothing=0.1).detach())


def test_no_teacher_is_cross_entropy_to_the_bit(tiny, split):
    network, config = network_of(tiny, 1), FinetuneConfig(label_smoothing=0.1)
    step = plain_step(network, config)
    assert Lessons([], 1.0).taught(step, split, config, CPU) == (step, split)
    loss, logits, _ = taught(network, [], split, label_smoothing=0.1)
    labels = next(split.batches(20, order=shuffled(3), device=CPU))[1]
    assert torch.equal(loss, F.cross_entropy(logits, labels, label_smoothing=0.1).detach())


def test_several_teachers_are_the_mean_of_their_soft_labels(tiny, split):
    first, second = (network_of(tiny, seed).eval() for seed in (1, 2))
    pixels, _ = next(split.batches(20, order=in_order(), device=CPU))
    each = [soft_labels([teacher], pixels, 3.0) for teacher in (first, second)]
    assert torch.allclose(soft_labels([first, second], pixels, 3.0), (each[0] + each[1]) / 2)
    assert torch.equal(soft_labels([first, first], pixels, 3.0), each[0])


def test_kept_soft_labels_are_those_that_are_computed(tiny, split):
    lessons, config = Lessons([network_of(tiny, 2, Mode.FWFA).eval()], 2.0), FinetuneConfig(batch_size=16)
    seen = []
    step, images = lessons.taught(lambda batch: seen.append(batch) or batch.soft.sum(), split, config, CPU)
    for pixels, places in images.batches(13, order=shuffled(5), device=CPU):
        step(Batch(pixels, places, 0))
    for (pixels, labels), batch in zip(split.batches(13, order=shuffled(5), device=CPU), seen, strict=True):
        assert torch.equal(batch.labels, labels)
        assert torch.equal(batch.images, pixels)
        assert torch.allclose(batch.soft, lessons.of(pixels), rtol=0, atol=1e-6)


@pytest.mark.parametrize("changing", ["crop", "mixup"])
def test_images_that_change_are_shown_to_teachers_as_they_are_trained_on(tiny, split, changing):
    lessons = Lessons([network_of(tiny, 2).eval()], 1.0)
    config = FinetuneConfig(mix="mixup" if changing == "mixup" else "none")
    split = replace(split, augmentation=Augmentation(crop_padding=2)) if changing == "crop" else split
    seen = []
    step, images = lessons.taught(lambda batch: seen.append(batch) or batch.soft.sum(), split, config, CPU)
    assert images is split
    pixels, labels = next(split.batches(20, order=shuffled(3), device=CPU))
    step(Batch(pixels, labels, 0))
    assert torch.equal(seen[0].soft, lessons.of(pixels))


def test_a_sandwich_with_another_teacher_adds_up_its_losses(tiny, split):
    other, settings = network_of(tiny, 2, Mode.FWFA).eval(), {"teacher_temperature": 2.0, "teacher_weight": 0.5}
    pixels, labels = next(split.batches(20, order=in_order(), device=CPU))
    soft = soft_labels([other], pixels, 2.0)

    def found(config, students=Mode.BWBA):
        torch.manual_seed(0)
        supernet = NasBnnSupernet(tiny).train()
        sandwich_step(supernet, config, students=students)(Batch(pixels, labels, 5, soft=soft))
        return supernet

    def loss(logits, soft):
        return 0.5 * 4 * F.cross_entropy(logits / 2, soft) + 0.5 * F.cross_entropy(logits, labels)

    for mode in (Mode.FWBA, None):
        teachers = (*([mode] if mode else []), {"file": "elsewhere"})
        supernet = found(SupernetConfig(teacher=teachers, label_smoothing=0.0, **settings), Mode.FWBA)
        torch.manual_seed(0)
        twin = NasBnnSupernet(tiny).train()
        rng = derive_rng(5, "subnets")
        logits = twin(pixels, tiny.largest(), mode or Mode.FWBA)
        total = loss(logits, soft)
        both = ((logits.detach() / 2).softmax(1) + soft) / 2 if mode else soft
        for subnet in (tiny.smallest(), tiny.sample(rng), tiny.sample(rng)):
            total = total + loss(twin(pixels, subnet, Mode.FWBA), both)
        total.backward()
        for name, parameter in twin.named_parameters():
            mine = dict(supernet.named_parameters())[name].grad
            assert (mine is None) == (parameter.grad is None), name
            assert mine is None or torch.allclose(mine, parameter.grad, atol=1e-5), name


class Remembers(nn.Module):
    def forward(self, images):
        self.seen = images
        return images.mean((1, 2, 3))[:, None].expand(-1, 10)


def test_a_teacher_sees_images_as_it_was_made_for_them():
    pixels, inner = torch.rand(3, 1, 8, 8), Remembers()
    given = (pixels - 0.4) / 0.2
    Teacher(inner, View(8, 1, (0.4,), (0.2,)), (0.4,), (0.2,))(given)
    assert inner.seen is given, "the same normalisation and size: the same bits"
    Teacher(inner, View(None, 1, None, None), (0.4,), (0.2,))(given)
    assert inner.seen is given
    teacher = Teacher(inner, View(16, 3, (0.5, 0.4, 0.3), (0.25, 0.2, 0.1)), (0.4,), (0.2,)).train()
    teacher(given)
    large = F.interpolate(pixels, (16, 16), mode="bilinear", antialias=True)
    wanted = torch.cat([(large - mean) / std for mean, std in ((0.5, 0.25), (0.4, 0.2), (0.3, 0.1))], 1)
    assert torch.allclose(inner.seen, wanted, atol=1e-5)
    assert not teacher.network.training, "a teacher stays in evaluation mode"


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
@pytest.mark.parametrize(
    ("name", "make"),
    [
        (NAME, lambda: shufflenet_v2_x0_5(num_classes=10)),
        ("timm/test_resnet", lambda: timm.create_model("test_resnet", num_classes=10)),
        ("timm/test_resnet", lambda: timm.create_model("test_resnet", num_classes=10, in_chans=1)),
    ],
    ids=["torchvision", "timm", "timm, grey"],
)
def test_a_network_of_torchvision_or_timm_teaches_from_a_file(tmp_path, name, make, suffix):
    torch.manual_seed(0)
    network = make().eval()
    file = tmp_path / f"weights.{suffix}"
    if suffix == "pt":
        torch.save({"state_dict": {f"module.{name}": each for name, each in network.state_dict().items()}}, file)
    else:
        save_file(network.state_dict(), file)
    before = torch.random.get_rng_state()
    found, meta = read_model(name, file, 10)
    assert torch.equal(torch.random.get_rng_state(), before)
    save_teacher(tmp_path / "kept", found, meta, View(32, int(meta["channels"]), None, None))
    teacher = load_teacher(tmp_path / "kept", (0.3,), (0.2,))
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(teacher(images), network(images.expand(-1, meta["channels"], -1, -1)))


def test_timm_is_asked_for_only_where_it_is_named(tmp_path, monkeypatch):
    save_file(shufflenet_v2_x0_5(num_classes=10).state_dict(), tmp_path / "weights.safetensors")
    monkeypatch.setattr("models.checkpoints.teachers.find_spec", lambda name: None)
    read_model(NAME, tmp_path / "weights.safetensors", 10)
    with pytest.raises(CheckpointError, match="timm/resnet18 needs the package timm: pip install timm"):
        read_model("timm/resnet18", tmp_path / "weights.safetensors", 10)


def test_a_hyperparameter_called_teacher_stays_a_users_own(tiny, split):
    config = FinetuneConfig(teacher="folder").with_values({"teacher": "ema", "teacher_weight": 0.5})
    assert (config.teacher[0].file, config.teacher_weight) == ("folder", 0.5)
    read = []

    def step(network, batch, teacher="none", teacher_weight=0.0):
        read.append((teacher, teacher_weight, batch.soft))
        return network(batch.images).sum()

    network, soft = network_of(tiny, 1), torch.ones(2, 10)
    for values in ({}, {"teacher": "ema"}):
        TrainingCode.of(None, step).make_step(network, config, values)(
            Batch(torch.zeros(2, 1, 8, 8), torch.zeros(2), 0, soft=soft)
        )
    assert read == [("none", 0.5, soft), ("ema", 0.5, soft)]


def test_trials_of_a_tuner_find_the_teachers(tiny, tmp_path):
    save_network(tmp_path / "teacher", network_of(tiny, 0))
    config = load_config("width-digits", [*FEW, "parent.epochs=0", f"training.teacher={tmp_path / 'teacher'}"])
    setting = Setting.prepared(config, get_space("vgg-digits"), TrainingCode(), tmp_path)
    with setting.folder_of_trial({"teacher_weight": 0.5}) as folder:
        assert len(Context(Path(folder)).lessons(Run(Path(folder)).config.training).teachers) == 1


FEW = ["data.train_limit=60", "data.validation_limit=40", "data.test_limit=40", "execution.executor=inline"]


def refused(folder, *settings, preset="nasbnn-digits") -> str:
    with pytest.raises(ConfigError) as caught:
        prepare(load_config(preset, [*FEW, *settings]), folder / "run")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_cannot_teach_is_refused_in_one_sentence_each(tiny, tmp_path):
    save_file(shufflenet_v2_x0_5(num_classes=7).state_dict(), tmp_path / "seven.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "seven.safetensors").read_bytes()[:9000])
    (tmp_path / "cut.pt").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "words.pt").write_text("no weights")
    torch.save([1, 2], tmp_path / "list.pt")
    save_network(tmp_path / "eight", network_of(replace(tiny, classes=8), 0))
    save_checkpoint(tmp_path / "detector", {"weight": torch.zeros(1)}, {"kind": "detector"})
    save_network(tmp_path / "named", network_of(tiny, 0), {"class_names": list("abcdefghij")})
    save_supernet(tmp_path / "supernet", NasBnnSupernet(tiny))
    save_network(tmp_path / "cut", network_of(tiny, 0))
    (file,) = (tmp_path / "cut").glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-100])
    cases = {
        "nowhere": "does not exist; give the folder of a checkpoint",
        "eight": "eight tells 8 classes apart, and the data have 10",
        "named": "for other classes, or in another order: the first that differs is 'a' there, '0' here",
        "detector": "holds a detector, and a teacher is a network that classifies",
        "supernet": "holds a supernet, and a teacher is a network that classifies",
        "cut": "bytes where its manifest says",
    }
    for folder, words in cases.items():
        assert words in refused(tmp_path, f"final.teacher={tmp_path / folder}"), folder
    seven = tmp_path / "seven.safetensors"
    files = {
        f"{NAME}@nowhere.pt": "nowhere.pt does not exist: give a file of weights",
        f"{NAME}@{seven}": "tells 7 classes apart, and the data have 10",
        f"shufflenet_v2_x1_0@{seven}": "is not a file of weights of shufflenet_v2_x1_0: stage2.0",
        f"resnet18@{seven}": "is not a file of weights of resnet18: it lacks bn1.bias",
        f"shuflenet_v2_x0_5@{seven}": "unknown classifier of torchvision 'shuflenet_v2_x0_5'; did you mean",
        f"fasterrcnn_resnet50_fpn@{seven}": "unknown classifier of torchvision",
        f"timm/resnet18@{seven}": "is not a file of weights of timm/resnet18: it lacks bn1.bias",
        f"timm/resnet10@{seven}": "timm has no model 'resnet10'; did you mean 'resnet10t'?",
        f"{NAME}@{tmp_path / 'cut.safetensors'}": "holds no weights, or is cut off",
        f"{NAME}@{tmp_path / 'cut.pt'}": "holds no weights, or is cut off",
        f"{NAME}@{tmp_path / 'words.pt'}": "holds no weights, or is cut off",
        f"{NAME}@{tmp_path / 'list.pt'}": "holds no weights by name",
        f"{NAME}@{tmp_path}": "is a folder: give a file of weights",
    }
    for text, words in files.items():
        assert words in refused(tmp_path, f"final.teacher={text}"), text
    assert not (tmp_path / "run").exists()


def test_what_is_said_of_a_teacher_must_be_so(tiny, tmp_path):
    folder = tmp_path / "teacher"
    save_network(folder, network_of(replace(tiny, image_size=16), 0))
    given = json.dumps({"file": str(folder), "image_size": 32})
    assert "is for images of 16 pixels, which is known: leave image_size out" in refused(
        tmp_path, f"final.teacher={given}"
    )
    given = json.dumps({"file": str(folder), "mean": [0.5, 0.5], "std": [0.1, 0.1]})
    assert "reads 1 channels, but mean and std have 2 numbers" in refused(tmp_path, f"final.teacher={given}")
    run = prepare(load_config("nasbnn-digits", [*FEW, f"final.teacher={folder}"]), tmp_path / "run")
    notes = Run(run.path).info["notes"]
    assert f"the teacher {folder} of final sees images of 8 pixels resized to 16" in notes
    (teacher,) = Context(run.path).lessons(run.config.final).teachers
    assert teacher.view == View(16, 1, None, None)
