"""Training: the sandwich rule and its ablations are what they say, and an interrupted training is not to be seen."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models.layers.binarisers import ReSTE
from models.layers.binary import BinaryConv2d
from models.layers.modes import Mode
from models.nasbnn.network import BinaryNetwork
from models.nasbnn.supernet import NasBnnSupernet
from models.width.network import WidthNetwork
from search.config.sections import TrainConfig
from search.config.trainings import SupernetConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.seeds import derive_rng
from search.training.batches import Awaited
from search.training.loop import TrainingError, train
from search.training.schedules import learning_rate
from search.training.steps import Batch, add_at_once, plain_step, sandwich_step
from spaces import WidthSpace


@pytest.fixture
def split() -> TensorSplit:
    """Images that say their class: its row is bright."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(96) % 8
    images = torch.randint(0, 90, (96, 1, 8, 8), generator=generator, dtype=torch.uint8)
    images[torch.arange(96), 0, labels] += 150
    return TensorSplit(images, labels, Normalisation((0.3,), (0.3,)), Augmentation(crop_padding=1))


def new_supernet(space, seed=0) -> NasBnnSupernet:
    torch.manual_seed(seed)
    return NasBnnSupernet(space)


def config(**changes) -> SupernetConfig:
    return SupernetConfig(**{"epochs": 3, "batch_size": 32, "learning_rate": 2e-3, **changes})


def batch(split):
    from search.data.order import in_order

    return next(split.batches(16, order=in_order(), device=torch.device("cpu")))


def gradients(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("distillation", [True, False])
@pytest.mark.parametrize("teacher", [Mode.FWBA, Mode.BWBA, Mode.FWFA])
def test_a_sandwich_step_adds_up_its_four_losses(tiny, split, teacher, distillation):
    images, labels = batch(split)
    settings = config(teacher=teacher, distillation=distillation, label_smoothing=0.1)
    supernet = new_supernet(tiny).train()
    loss = sandwich_step(supernet, settings)(Batch(images, labels, 5))
    found = gradients(supernet)

    twin = new_supernet(tiny).train()
    mode = teacher
    logits = twin(images, tiny.largest(), mode)
    taught = F.cross_entropy(logits, labels, label_smoothing=0.1)
    rng = derive_rng(5, "subnets")
    total = taught
    for subnet in (tiny.smallest(), tiny.sample(rng), tiny.sample(rng)):
        student = twin(images, subnet, Mode.BWBA)
        if distillation:
            total = total - (logits.detach().softmax(1) * student.log_softmax(1)).sum(1).mean()
        else:
            total = total + F.cross_entropy(student, labels, label_smoothing=0.1)
    total.backward()
    wanted = gradients(twin)
    assert torch.allclose(loss, taught)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, atol=1e-5), name


def test_gradients_that_are_added_at_once_are_those_that_torch_adds(tiny, split):
    images, labels = batch(split)
    found = []
    for add in (lambda loss, _: loss.backward(), add_at_once):
        supernet = new_supernet(tiny).train()
        parameters = list(supernet.parameters())
        for member, mode in ((tiny.largest(), Mode.FWBA), (tiny.smallest(), Mode.BWBA), (tiny.largest(), Mode.BWBA)):
            add(F.cross_entropy(supernet(images, member, mode), labels), parameters)
        found.append(gradients(supernet))
    wanted, ours = found
    there = [p for p in parameters if p.grad is not None]
    assert all(p.grad.stride() == p.stride() for p in there)
    assert len({p.grad.data_ptr() for p in there}) == len(there)
    assert ours.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.equal(ours[name], gradient), name


@pytest.mark.parametrize("random_subnets", [0, 3])
def test_as_many_random_subnets_as_asked_for(tiny, split, random_subnets, monkeypatch):
    images, labels = batch(split)
    supernet = new_supernet(tiny)
    seen = []
    forward = supernet.forward
    monkeypatch.setattr(supernet, "forward", lambda x, a, mode: seen.append(a) or forward(x, a, mode))
    sandwich_step(supernet, config(random_subnets=random_subnets))(Batch(images, labels, 1))
    assert seen[:2] == [tiny.largest(), tiny.smallest()]
    assert len(seen) == 2 + random_subnets


@pytest.mark.parametrize("sampling", ["uniform", "genes"])
def test_random_subnets_are_drawn_as_asked_for(tiny, split, sampling, monkeypatch):
    images, labels = batch(split)
    supernet = new_supernet(tiny)
    seen, forward = [], supernet.forward
    monkeypatch.setattr(supernet, "forward", lambda x, a, mode: seen.append(a) or forward(x, a, mode))
    sandwich_step(supernet, config(sampling=sampling))(Batch(images, labels, 1))
    rng = derive_rng(1, "subnets")
    draw = {"uniform": tiny.sample, "genes": tiny.sample_genes}[sampling]
    assert seen[2:] == [draw(rng), draw(rng)]


def test_training_interrupted_after_every_epoch_is_bit_for_bit_the_uninterrupted_one(tiny, split, tmp_path):
    settings = config(weight_decay=1e-3)
    clean = new_supernet(tiny)
    epochs = list(train(clean, sandwich_step(clean, settings), split, settings, seed=3))

    for number in range(settings.epochs):
        supernet = new_supernet(tiny, seed=number)  # other initial weights: all must come from the checkpoint
        if number == 0:
            supernet = new_supernet(tiny)
        run = train(supernet, sandwich_step(supernet, settings), split, settings, seed=3, checkpoints=tmp_path)
        epoch = next(run)
        run.close()
        assert (epoch.epoch, epoch.loss) == (number + 1, epochs[number].loss)
    for (name, resumed), uninterrupted in zip(supernet.state_dict().items(), clean.state_dict().values(), strict=True):
        assert torch.equal(resumed, uninterrupted), name
    again = new_supernet(tiny)
    assert list(train(again, sandwich_step(again, settings), split, settings, seed=3, checkpoints=tmp_path)) == []


def test_a_pseudo_gradient_that_changes_goes_on_where_it_was(split, tmp_path):
    """ReSTE's exponent follows the epochs, also in a process that was not there for the first of them."""
    space = WidthSpace("small", "vgg-digits", image_size=8, classes=8, channels=1, binariser="reste")
    settings = TrainConfig(epochs=3, batch_size=32, learning_rate=1e-2)

    def run(network, checkpoints=None):
        return train(network, plain_step(network, settings), split, settings, seed=0, checkpoints=checkpoints)

    clean, stopped, resumed = (WidthNetwork(space, space.uniform(0.25)) for _ in range(3))
    stopped.load_state_dict(clean.state_dict())
    losses = [epoch.loss for epoch in run(clean)]
    assert next(run(stopped, tmp_path)).loss == losses[0]
    assert [epoch.loss for epoch in run(resumed, tmp_path)] == losses[1:]
    (layer, *_) = (module for module in resumed.modules() if isinstance(module, BinaryConv2d))
    assert layer.binariser == ReSTE(progress=2 / 3)


def test_the_global_random_state_does_not_matter(tiny, split):
    settings = config(epochs=1)
    results = []
    for noise in (1, 2):
        supernet = new_supernet(tiny)
        torch.manual_seed(noise)
        (epoch,) = train(supernet, sandwich_step(supernet, settings), split, settings, seed=3)
        results.append((epoch.loss, supernet.classifier.weight.detach().clone()))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


def test_a_network_learns_what_its_images_say(tiny, split):
    torch.manual_seed(0)
    network = BinaryNetwork(tiny, tiny.largest())
    settings = TrainConfig(epochs=25, batch_size=32, learning_rate=1e-2)
    still = replace(split, augmentation=Augmentation())  # a shift would turn one class into the next
    losses = [epoch.loss for epoch in train(network, plain_step(network, settings), still, settings, seed=0)]
    assert losses[-1] < 0.5 < 1.5 < losses[0]


def test_weight_decay_pulls_on_convolution_and_linear_weights_only(tiny, split):
    """With gradients of zero Adam moves just what decays."""
    torch.manual_seed(0)
    network = BinaryNetwork(tiny, tiny.largest())
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    settings = TrainConfig(epochs=1, batch_size=96, learning_rate=1e-3, weight_decay=0.1)

    def no_gradient(batch):
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        return torch.zeros(())

    list(train(network, no_gradient, split, settings, seed=0))
    moved = {name for name, p in network.named_parameters() if not torch.equal(p, before[name])}
    weights = {f"{name}.weight" for name, m in network.named_modules() if getattr(m, "weight", None) is not None}
    wanted = {name for name in weights if before[name].ndim in (2, 4)}
    assert moved == wanted
    assert len(wanted) > 4


def test_a_loss_that_is_not_finite_ends_training_with_a_remedy(tiny, split):
    torch.manual_seed(0)
    network = BinaryNetwork(tiny, tiny.smallest())
    settings = TrainConfig(epochs=1, batch_size=32, learning_rate=1e-3)
    with pytest.raises(TrainingError, match=r"loss of epoch 1 is nan; lower the learning rate"):
        list(train(network, lambda *_: torch.tensor(float("nan")), split, settings, seed=0))


def test_how_long_a_training_waits_for_images_is_counted(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("search.training.batches.time.perf_counter", lambda: clock[0])

    def slow():
        for number in range(3):
            clock[0] += 2.0
            yield number, number
        clock[0] += 0.5  # the end, too, is waited for

    awaited, taken = Awaited(slow()), []
    for batch in awaited:
        taken.append(batch)
        clock[0] += 7.0
    assert taken == [(0, 0), (1, 1), (2, 2)]
    assert awaited.seconds == 6.5


def test_an_epoch_tells_the_share_of_its_time_that_it_waited(tiny, split):
    supernet = NasBnnSupernet(tiny)
    config = SupernetConfig(epochs=1, batch_size=16)
    (epoch,) = train(supernet, sandwich_step(supernet, config), split, config, seed=0)
    assert 0 < epoch.waiting < 1


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine():
    settings = TrainConfig(epochs=10, batch_size=1, learning_rate=0.2, warmup_epochs=2)
    rates = [learning_rate(settings, epoch) for epoch in (0, 1, 2, 6, 10)]
    assert rates == pytest.approx([0, 0.1, 0.2, 0.1, 0], abs=1e-6)


def test_the_other_schedules():
    def rates(schedule, *epochs, **changes):
        settings = TrainConfig(epochs=200, batch_size=1, learning_rate=0.1, schedule=schedule, **changes)
        return [learning_rate(settings, epoch) for epoch in epochs]

    paper = [0.1, 0.1, 0.01, 0.01, 0.001, 0.0001]
    assert rates("steps", 0, 59.9, 60, 119, 120, 180) == pytest.approx(paper)
    assert rates("steps", 49, 50, 100, 135, milestones=(50, 100, 135)) == pytest.approx([0.1, 0.01, 0.001, 0.0001])
    assert rates("one-cycle", 0, 30, 60, 200) == pytest.approx([0.005, 0.0525, 0.1, 0])
    assert rates("constant", 0, 199) == [0.1, 0.1]
    assert rates("cosine", 0, 100, 200, final_learning_rate=0.02) == pytest.approx([0.1, 0.06, 0.02])


class Remembering:
    """A step that counts, keeps its counts with the checkpoints, and notes what every epoch's end told it."""

    def __init__(self, network, settings):
        self.inner = plain_step(network, settings)
        self.steps = torch.zeros((), dtype=torch.int64)
        self.losses = torch.zeros(settings.epochs)

    def __call__(self, batch):
        self.steps += 1
        return self.inner(batch)

    def epoch_ended(self, epoch):
        self.losses[epoch.epoch - 1] = epoch.loss

    def tensors(self):
        return {"steps": self.steps, "losses": self.losses}

    def restore(self, tensors):
        self.steps, self.losses = tensors["steps"].clone(), tensors["losses"].clone()


def noisy(tiny):
    """A network with a layer that draws random numbers."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.Dropout(0.5), nn.BatchNorm1d(32), nn.Linear(32, 10))


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_every_optimiser_goes_on_bit_for_bit_with_the_step_and_the_layers_that_draw(tiny, split, tmp_path, optimiser):
    settings = TrainConfig(epochs=4, batch_size=32, learning_rate=0.01, optimiser=optimiser, weight_decay=1e-3)
    whole = noisy(tiny)
    counted = Remembering(whole, settings)
    losses = [epoch.loss for epoch in train(whole, counted, split, settings, seed=1)]
    parts: list[float] = []
    for until in (1, 3, None):
        torch.manual_seed(until or 9)  # the global generator must not matter
        network = noisy(tiny)
        step = Remembering(network, settings)
        run = train(network, step, split, settings, seed=1, checkpoints=tmp_path, until=until)
        parts += [epoch.loss for epoch in run]
    assert parts == losses
    assert step.steps == counted.steps == 12
    assert torch.equal(step.losses, counted.losses)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


@pytest.mark.parametrize("optimiser", ["adam", "adamw", "sgd"])
def test_weights_in_another_order_of_memory_go_on_bit_for_bit(tiny, split, tmp_path, optimiser):
    """A subnet's weights may lie channels last: the optimiser's numbers must then lie so again."""
    settings = TrainConfig(epochs=3, batch_size=32, learning_rate=0.01, optimiser=optimiser)
    supernet, results = new_supernet(tiny), []
    for stops in ((None,), (1, 2, None)):
        for until in stops:
            network = supernet.extract(tiny.smallest())
            assert any(not parameter.is_contiguous() for parameter in network.parameters())
            folder = tmp_path / str(len(stops))
            list(
                train(network, plain_step(network, settings), split, settings, seed=1, checkpoints=folder, until=until)
            )
        results.append(network.state_dict())
    for name, tensor in results[0].items():
        assert torch.equal(tensor, results[1][name]), name


@pytest.mark.parametrize(
    ("setting", "gone"),
    [
        ("supernet.bi_transformation=false", "bi_transformation"),
        ("supernet.weight_normalisation=none", None),
        ("supernet.teacher=bwba", None),
        ("supernet.distillation=false", None),
        ("space.non_decreasing=false", None),
    ],
)
def test_an_ablation_changes_what_it_says_and_nothing_else(tmp_path, setting, gone):
    """Before training: the same initial weights, but for what is switched off; the switch is kept with the weights."""
    from models.checkpoints.networks import load_supernet
    from search.config.loading import load_config
    from search.pipeline.prepare import prepare
    from search.worker.tasks import Trained, TrainSupernet
    from search.worker.worker import Worker

    def untrained(name, *settings):
        run = prepare(
            load_config("nasbnn-digits", ["supernet.epochs=0", "execution.training_threads=1", *settings]),
            tmp_path / name,
        )
        assert list(Worker(run.path).run(TrainSupernet()))[-1] == Trained()
        return load_supernet(run.supernet)

    whole, ablated = untrained("whole"), untrained("ablated", setting)
    tensors, kept = whole.state_dict(), ablated.state_dict()
    assert kept.keys() == {name for name in tensors if gone is None or gone not in name}
    assert (kept.keys() < tensors.keys()) == (gone is not None)
    for name, tensor in kept.items():
        assert torch.equal(tensor, tensors[name]), name
    assert ablated.options.bi_transformation == ("bi_transformation" not in setting)
    assert (ablated.options.weight_normalisation.value == "none") == ("weight_normalisation" in setting)
    assert ablated.space.non_decreasing == ("non_decreasing" not in setting)
