"""The decay of silent weights: it is the paper's, its limits are AGS alone, and a stop cannot be seen in it."""

from dataclasses import replace

import pytest
import torch

from models.layers.binarisers import BiReal, OvSW
from models.layers.binary import BinaryConv2d, Sizes, set_mode
from models.layers.modes import Mode
from models.onebit.engine import Engine
from models.onebit.file import Model, decode, encode
from models.onebit.lowering.lower import lower
from models.width.network import WidthNetwork
from search.config.trainings import FinalConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.data.order import in_order
from search.training.loop import train
from search.training.silent import SilentWeights
from search.training.steps import plain_step
from spaces import WidthSpace

SPACE = WidthSpace("small", "vgg-digits", image_size=8, classes=8, channels=1, binariser="ovsw")


@pytest.fixture
def split():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (72, 1, 8, 8), generator=generator, dtype=torch.uint8)
    return TensorSplit(images, torch.arange(72) % 8, Normalisation((0.5,), (0.3,)), Augmentation(crop_padding=1))


def new_network(**settings):
    """A network with these settings of OvSW."""
    torch.manual_seed(0)
    network = WidthNetwork(SPACE, SPACE.uniform(0.25))
    for layer in binary_layers(network):
        layer.binariser = OvSW(**settings)
    return network


def binary_layers(network):
    return [module for module in network.modules() if isinstance(module, BinaryConv2d)]


def configuration(**changes):
    return FinalConfig(**{"epochs": 3, "batch_size": 24, "learning_rate": 0.01, **changes})


def trained(network, split, config, **options):
    """The network, and the losses of its epochs."""
    epochs = train(network, plain_step(network, config), split, config, seed=0, **options)
    return network, [epoch.loss for epoch in epochs]


def same(one, other):
    pairs = zip(one.state_dict().items(), other.state_dict().values(), strict=True)
    return all(torch.equal(mine, theirs) for (_, mine), theirs in pairs)


def test_the_decay_is_the_papers_for_every_weight_of_every_step():
    """One weight after the other, with the order of the authors' loop: they compare with the weights of the step
    before, count, and add the decay."""
    layer = BinaryConv2d(Sizes(3, 4, 3), OvSW(memory=0.6, rarely=0.3)).double()
    silent, generator = SilentWeights(layer, 0.25), torch.Generator().manual_seed(1)
    weights = layer.weight.detach().flatten().tolist()
    before, counts, found = weights, [0.0] * len(weights), set()
    for _ in range(8):
        gradient = torch.randn(layer.weight.shape, generator=generator, dtype=torch.float64)
        flips = [(now >= 0) != (then >= 0) for now, then in zip(weights, before, strict=True)]
        counts = [0.6 * count + 0.4 * flip for count, flip in zip(counts, flips, strict=True)]
        decays = [0.25 * weight if count < 0.3 else 0.0 for weight, count in zip(weights, counts, strict=True)]
        layer.weight.grad = gradient.clone()
        silent.decay()
        wanted = torch.tensor(decays, dtype=torch.float64)
        torch.testing.assert_close((layer.weight.grad - gradient).flatten(), wanted, rtol=0, atol=1e-12)
        found |= {(count < 0.3, flip) for count, flip in zip(counts, flips, strict=True)}
        before = weights
        with torch.no_grad():
            layer.weight.add_(layer.weight.grad, alpha=-0.1)
        silent.step_taken()
        weights = layer.weight.detach().flatten().tolist()
    assert found == {(True, False), (False, False), (False, True)}, "weights of every kind were seen"


def test_a_weight_is_silent_for_two_thousand_steps_after_a_flip_no_more():
    binariser, counts = OvSW(), torch.zeros(1)
    assert binariser.silent(counts), "at first all are"
    binariser.count_flips(counts, torch.tensor([True]))
    assert not binariser.silent(counts)
    steps = 0
    while not binariser.silent(counts):
        binariser.count_flips(counts, torch.tensor([False]))
        steps += 1
    assert 2290 < steps < 2310


@pytest.mark.parametrize("settings", [{"silent_decay": 0.0}, {"silent_decay": 0.5, "rarely": 0.0}])
@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_without_a_decay_or_without_silent_weights_it_is_the_scaled_gradient_alone(split, optimiser, settings):
    decay, options = settings["silent_decay"], {k: v for k, v in settings.items() if k != "silent_decay"}
    alone, losses = trained(new_network(), split, configuration(optimiser=optimiser))
    limit, found = trained(new_network(**options), split, configuration(optimiser=optimiser, silent_decay=decay))
    assert found == losses
    assert same(limit, alone)
    assert not same(trained(new_network(), split, configuration(optimiser=optimiser, silent_decay=0.5))[0], alone)


def test_where_all_weights_count_as_silent_it_is_plain_weight_decay():
    layers = [BinaryConv2d(Sizes(3, 4, 3), OvSW(rarely=2)).double() for _ in range(2)]
    layers[1].load_state_dict(layers[0].state_dict())
    plain = torch.optim.SGD(layers[0].parameters(), lr=0.1, weight_decay=0.25)
    other, silent = torch.optim.SGD(layers[1].parameters(), lr=0.1), SilentWeights(layers[1], 0.25)
    for layer in layers:
        layer.weight.grad = torch.ones_like(layer.weight)
    plain.step()
    silent.decay()
    other.step()
    torch.testing.assert_close(layers[0].weight, layers[1].weight, rtol=1e-14, atol=0)


@pytest.mark.parametrize("mode", [Mode.FWBA, Mode.FWFA])
def test_other_binarisers_and_float_weights_are_left_alone(mode):
    layers = [BinaryConv2d(Sizes(3, 4, 3), kind) for kind in (BiReal(), OvSW(), OvSW())]
    network = torch.nn.ModuleList(layers)
    set_mode(network, mode)
    layers[1].mode = Mode.BWBA
    for layer in layers[:2]:
        layer.weight.grad = torch.zeros_like(layer.weight)
    silent = SilentWeights(network, 0.25)
    silent.decay()
    assert list(silent.tensors()) == ["1.weight"]
    assert torch.equal(layers[1].weight.grad, 0.25 * layers[1].weight)
    assert not layers[0].weight.grad.any()


def test_a_layer_that_a_step_does_not_move_keeps_its_counts():
    layer = BinaryConv2d(Sizes(3, 4, 3), OvSW())
    silent = SilentWeights(layer, 0.25)
    silent.restore({name: torch.ones_like(counts) for name, counts in silent.tensors().items()})
    silent.decay()
    silent.step_taken()
    (counts,) = silent.tensors().values()
    assert (counts == 1).all()


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
def test_a_training_that_was_interrupted_after_every_epoch_is_bit_for_bit_the_other(split, tmp_path, optimiser):
    config = configuration(optimiser=optimiser, silent_decay=0.5)
    whole, losses = trained(new_network(), split, config)
    parts = []
    for until in (1, 2, None):
        network, found = trained(new_network(), split, config, checkpoints=tmp_path, until=until)
        parts += found
    assert parts == losses
    assert same(network, whole)


def test_one_that_was_interrupted_within_an_epoch_is_so_too(split, tmp_path):
    config = configuration(silent_decay=0.5)
    whole, losses = trained(new_network(), split, config)

    class StopError(Exception):
        pass

    for steps in (2, 3):
        network, done = new_network(), []
        step = plain_step(network, config)

        def counted(batch, step=step, done=done, steps=steps):
            if len(done) == steps:
                raise StopError
            done.append(batch)
            return step(batch)

        with pytest.raises(StopError):
            list(train(network, counted, split, config, seed=0, checkpoints=tmp_path, checkpoint_seconds=0))
    network, found = trained(new_network(), split, config, checkpoints=tmp_path)
    assert found == losses[1:]
    assert same(network, whole)


def test_what_it_leaves_is_exported_exactly(split):
    network, _ = trained(new_network(), split, configuration(silent_decay=0.5))
    network.eval()
    names = tuple(map(str, range(8)))
    stored = decode(encode(Model(lower(network), names, (0.5,), (0.3,)))).program
    plain = replace(split, augmentation=Augmentation())
    images, _ = next(plain.batches(72, order=in_order(), device=torch.device("cpu")))
    with torch.no_grad():
        assert torch.equal(Engine(stored)(images).argmax(1), network(images).argmax(1))
