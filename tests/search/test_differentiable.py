"""The bilevel search: its objective in closed form, who moves what, what is read from it, and its resumption."""

import dataclasses
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError

from models.cell.mixture import Mixture, mixed_edges, mixture_of
from models.cell.supernet import MixedNetwork, MixedSupernet
from search.config.trainings import DifferentiableConfig
from search.data.augment import Augmentation
from search.data.dataset import Normalisation, TensorSplit
from search.data.order import in_order
from search.training.alphas import Alphas, discounted, entropy, entropy_term, read_genotype
from search.training.bilevel import BilevelStep, architecture_order, halves
from search.training.bilevel_history import History, history_table
from search.training.loop import train
from search.training.steps import Batch
from spaces.cell import LAYER_TYPES, CellSpace

CPU = torch.device("cpu")
SPACE = CellSpace("tiny", "cifar", cells=3, width=2, image_size=8, classes=4, channels=1, nodes=2)
FOUR = replace(SPACE, nodes=4)
EDGES = len(mixed_edges(2))


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def split():
    """Images whose brightest quarter says their class."""
    labels = torch.arange(48) % 4
    images = torch.randint(0, 90, (48, 1, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    for quarter in range(4):
        images[labels == quarter, 0, 2 * quarter : 2 * quarter + 2] += 150
    return TensorSplit(images, labels, Normalisation((0.3,), (0.3,)), Augmentation(crop_padding=1))


def config(**changes):
    return DifferentiableConfig(**{"epochs": 4, "batch_size": 8, "architecture_learning_rate": 0.1, **changes})


def new_supernet(seed=0, space=SPACE):
    torch.manual_seed(seed)
    return MixedSupernet(space).train()


def random_alphas(space=SPACE, seed=0, dtype=torch.float64):
    shape = 2, len(mixed_edges(space.nodes)), len(space.layer_types)
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
    return Alphas(*(cell.clone().requires_grad_() for cell in values))


def a_batch(split, first=0, epoch=0, index=0):
    part = split.subset(torch.arange(first, first + 8))
    images, labels = next(part.batches(8, order=in_order(), device=CPU))
    return Batch(images, labels, seed=1, epoch=epoch, index=index)


def gradients(network):
    return {name: None if p.grad is None else p.grad.clone() for name, p in network.named_parameters()}


# The objective -------------------------------------------------------------------------------------------------------


def test_the_gradient_of_the_entropy_term_is_the_closed_form():
    alphas, weight, decay, epoch = random_alphas(FOUR), 0.7, 7.7, 5
    entropy_term(alphas, weight, decay, epoch).backward()
    for values in alphas:
        p = values.detach().softmax(1)
        row_entropy = -(p * p.log()).sum(1, keepdim=True)
        wanted = weight * math.exp(-epoch / decay) / 28 * p * (p.log() + row_entropy)
        assert torch.allclose(values.grad, wanted, rtol=1e-12, atol=1e-15)


def test_entropy_is_the_mean_over_the_rows_of_both_cells():
    even = Alphas(torch.zeros(3, 7), torch.zeros(3, 7))
    assert entropy(even).item() == pytest.approx(math.log(7))
    sure = 1000.0 * torch.eye(7)[:3]
    assert entropy(Alphas(sure, sure)).item() == 0
    for alphas in (Alphas(sure, even.reduce), Alphas(even.normal, sure)):
        assert entropy(alphas).item() == pytest.approx(math.log(7) / 2)


def test_diversity_falls_exponentially_and_can_be_switched_off():
    alphas = random_alphas()
    first, later = (entropy_term(alphas, 1.0, 7.7, epoch) for epoch in (0, 10))
    assert first.item() == pytest.approx(-entropy(alphas).item())
    assert (later / first).item() == pytest.approx(math.exp(-10 / 7.7))
    assert entropy_term(alphas, 0.0, 7.7, 0).item() == 0


# The two passes of a step --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("entropy_weight", [0.0, 1.0])
def test_a_step_is_adam_on_the_architecture_half_and_then_a_gradient_on_the_batch(split, entropy_weight):
    """With no entropy this is DARTS, first order."""
    settings = config(entropy_weight=entropy_weight, architecture_weight_decay=0.01)
    supernet, twin = new_supernet(), new_supernet()
    step = BilevelStep(supernet, split.subset(torch.arange(24, 48)), settings, seed=3)
    alphas = [values.detach().clone().requires_grad_() for values in step.alphas]
    adam = torch.optim.Adam(alphas, lr=0.1, betas=(0.5, 0.999), weight_decay=0.01)
    half = split.subset(torch.arange(24, 48))
    for index in range(2):
        batch = a_batch(split, 8 * index, epoch=2, index=index)
        loss = step(batch)

        order = architecture_order(3, 2, index, 3)
        images, labels = next(half.batches(8, order=order, device=CPU))
        probabilities = Mixture(*(values.softmax(1) for values in alphas))
        rows = torch.cat(probabilities)
        diversity = -(rows * rows.log()).sum(1).mean()
        wanted = F.cross_entropy(twin(images, probabilities), labels) - entropy_weight * math.exp(-2 / 7.7) * diversity
        adam.zero_grad()
        wanted.backward()
        adam.step()
        twin.zero_grad()
        fixed = Mixture(*(values.detach().softmax(1) for values in alphas))
        wanted = F.cross_entropy(twin(batch.images, fixed), batch.labels)
        wanted.backward()

        assert torch.allclose(loss, wanted)
        for found, value in zip(step.alphas, alphas, strict=True):
            assert torch.allclose(found, value, atol=1e-5)
        for name, gradient in gradients(supernet).items():
            other = twin.get_parameter(name).grad
            assert (gradient is None) == (other is None)
            assert gradient is None or torch.allclose(gradient, other, atol=1e-5), name
        supernet.zero_grad()


def test_the_alpha_pass_leaves_no_gradient_on_the_network(split):
    supernet = new_supernet()
    step = BilevelStep(supernet, split, config(), seed=0)
    step._move_alphas(a_batch(split))
    assert all(gradient is None for gradient in gradients(supernet).values())


def test_the_training_batch_moves_no_alpha_and_the_architecture_half_does(split):
    def after(batch, half):
        step = BilevelStep(new_supernet(), half, config(), seed=0)
        initial = [values.detach().clone() for values in step.alphas]
        step(batch)
        assert not torch.equal(step.alphas.normal, initial[0])
        assert not torch.equal(step.alphas.reduce, initial[1])
        return step.alphas

    usual = after(a_batch(split), split.subset(torch.arange(24, 48)))
    other_batch = after(a_batch(split, 8), split.subset(torch.arange(24, 48)))
    other_half = after(a_batch(split), split.subset(torch.arange(20, 44)))
    assert torch.equal(usual.normal, other_batch.normal)
    assert not torch.equal(usual.normal, other_half.normal)


def test_no_alpha_is_a_parameter_of_the_supernet(split):
    supernet = new_supernet()
    step = BilevelStep(supernet, split, config(), seed=0)
    own = {id(parameter) for parameter in supernet.parameters()}
    assert own.isdisjoint(map(id, step.alphas))
    assert step.alphas.normal.shape == (EDGES, 7)


def test_alphas_begin_small_and_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = Alphas.initial(FOUR, seed=0)
    torch.manual_seed(2)
    again, other = Alphas.initial(FOUR, seed=0), Alphas.initial(FOUR, seed=1)
    assert torch.equal(first.normal, again.normal)
    assert not torch.equal(first.normal, other.normal)
    assert not torch.equal(first.normal, first.reduce)
    assert 5e-4 < torch.cat(first).std().item() < 2e-3


# The halves ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fraction", [0.5, 0.25, 0.001, 0.999])
def test_halves_are_a_stratified_partition(split, fraction):
    split.labels[:3] = torch.tensor([1, 1, 1])  # 11, 14, 11, 12 images of the classes
    parts = halves(split, fraction, seed=0)
    assert sum(map(len, parts)) == 48
    images = [{image.numpy().tobytes() for image in part.images} for part in parts]
    assert images[0].isdisjoint(images[1])
    counts = torch.bincount(split.labels)
    taken = torch.bincount(parts[1].labels, minlength=4)
    assert torch.equal(taken, (counts * fraction).round().clamp(min=1).minimum(counts - 1).long())
    again, other = halves(split, fraction, seed=0), halves(split, fraction, seed=1)
    assert torch.equal(parts[1].images, again[1].images)
    assert not torch.equal(parts[1].images, other[1].images)


def test_a_class_of_one_image_cannot_be_halved(split):
    split.labels[split.labels == 2] = 1
    split.labels[5] = 2
    with pytest.raises(ValueError, match=r"class 2 has one image .* add images"):
        halves(split, 0.5, seed=0)


def test_an_epoch_passes_over_the_architecture_half_as_often_as_it_needs(split):
    half = split.subset(torch.arange(24))  # three batches
    still = replace(half, augmentation=Augmentation())

    def images(epoch, index):
        order = architecture_order(0, epoch, index, 3)
        return next(still.batches(8, order=order, device=CPU))[0]

    passes = [torch.cat([images(0, index) for index in range(start, start + 3)]) for start in (0, 3)]
    everything = {image.numpy().tobytes() for image in next(still.batches(24, order=in_order(), device=CPU))[0]}
    for one in passes:
        assert {image.numpy().tobytes() for image in one} == everything
    assert not torch.equal(passes[0], passes[1])
    assert not torch.equal(images(0, 0), images(1, 0))
    assert torch.equal(images(1, 4), images(1, 4))


def test_batches_of_a_step_do_not_depend_on_what_was_asked_for_before(split):
    half = split.subset(torch.arange(24))
    batches = BilevelStep(new_supernet(), half, config(), seed=0)._batches
    in_turn = [batches.at(0, index) for index in range(5)] + [batches.at(1, index) for index in range(2)]
    for (epoch, index), one in zip([*((0, i) for i in range(5)), (1, 0), (1, 1)], in_turn, strict=True):
        order = architecture_order(0, epoch, index, 3)
        wanted = next(half.batches(8, order=order, device=CPU))
        assert all(torch.equal(a, b) for a, b in zip(one, wanted, strict=True))
    assert torch.equal(batches.at(0, 3)[0], in_turn[3][0])


# Reading a genotype --------------------------------------------------------------------------------------------------


def weights(**edges):
    """(5, 7) weights of a cell of two nodes; e3="conv3:0.9" on the edges named, 1/7 elsewhere."""
    rows = torch.full((EDGES, 7), 1 / 7, dtype=torch.float64)
    for name, text in edges.items():
        for pair in text.split():
            layer, weight = pair.split(":")
            rows[int(name[1:]), LAYER_TYPES.index(layer)] = float(weight)
    return rows


def test_a_node_keeps_the_two_edges_whose_best_layer_weighs_most():
    # edges 0 and 1 lead from states 0 and 1 to state 2; 2, 3 and 4 from 0, 1 and 2 to state 3
    normal = weights(e0="conv3:0.5", e1="none:0.4", e2="dil5:0.3", e3="avg:0.6", e4="conv5:0.31")
    reduce = weights(e0="max:0.3", e1="max:0.3", e2="conv5:0.9", e3="none:0.95 conv3:0.94", e4="dil3:0.2")
    found = read_genotype(SPACE, Mixture(normal, reduce))
    assert str(found) == "normal: conv3@0 none@1 ; avg@1 conv5@2 | reduce: max@0 max@1 ; conv5@0 none@1"
    assert SPACE.contains(found)


def test_of_equal_weights_the_first_edge_and_the_first_type_win():
    even = torch.full((EDGES, 7), 1 / 7)
    assert str(read_genotype(SPACE, Mixture(even, even)).normal) == "none@0 none@1 ; none@0 none@1"
    tied = weights(e2="conv3:0.3", e3="conv3:0.3 dil3:0.3", e4="conv3:0.3")
    assert str(read_genotype(SPACE, Mixture(tied, tied)).normal) == "none@0 none@1 ; conv3@0 dil3@1"


def test_reading_a_genotypes_own_mixture_gives_its_layers():
    genotype = FOUR.parse(
        "normal: none@1 dil3@0 ; conv3@1 none@2 ; none@2 none@3 ; none@3 none@4 | "
        "reduce: max@0 none@1 ; max@0 none@2 ; none@3 none@2 ; none@3 none@4"
    )
    assert read_genotype(FOUR, mixture_of(FOUR, genotype)) == genotype


def test_a_discount_divides_the_weight_of_zeroise_and_nothing_else():
    mixture = random_alphas(FOUR).mixture()
    found = discounted(FOUR, mixture, 3.0)
    for before, after in zip(mixture, found, strict=True):
        assert torch.allclose(after[:, 0] * 3, before[:, 0])
        assert torch.equal(after[:, 1:], before[:, 1:])
    assert all(torch.equal(*pair) for pair in zip(discounted(FOUR, mixture, 1.0), mixture, strict=True))


def test_a_discount_changes_the_genotype_where_zeroise_leads_narrowly():
    narrow = weights(e0="none:0.4 conv3:0.35", e1="none:0.9 conv3:0.2", e2="dil3:0.5", e3="avg:0.5")
    mixture = Mixture(narrow, narrow)
    before, after = (read_genotype(SPACE, discounted(SPACE, mixture, gamma)) for gamma in (1.0, 3.0))
    assert before == read_genotype(SPACE, mixture)
    assert str(before.normal) == "none@0 none@1 ; dil3@0 avg@1"
    assert str(after.normal) == "dil3@0 avg@1 ; conv3@0 none@1"  # 0.9 / 3 still leads 0.2
    # an edge of Zeroise may lose its place altogether
    rows = weights(e2="none:0.6", e3="conv3:0.3", e4="conv5:0.25")
    texts = [str(read_genotype(SPACE, discounted(SPACE, Mixture(rows, rows), gamma)).normal) for gamma in (1.0, 3.0)]
    assert [text.partition(" ; ")[2] for text in texts] == ["none@0 conv3@1", "conv3@1 conv5@2"]


def test_a_space_without_zeroise_is_left_alone():
    space = replace(SPACE, layer_types=("max", "conv3"))
    mixture = random_alphas(space).mixture()
    assert discounted(space, mixture, 3.0) is mixture


@pytest.mark.parametrize("gamma", [0.0, -1.0, math.nan])
def test_a_discount_that_cannot_be_is_refused(gamma):
    with pytest.raises(ValueError, match="must be positive"):
        discounted(SPACE, random_alphas().mixture(), gamma)


# History, checkpoints ------------------------------------------------------------------------------------------------


def test_the_table_of_a_history_has_a_row_for_every_layer_type():
    alphas = random_alphas(dtype=torch.float32)
    numbers = {"loss": 2.0, "architecture_loss": 2.5, "architecture_accuracy": 0.25}
    history = History.empty(EDGES, 7).with_epoch(alphas.mixture(), accuracy=0.5, **numbers)
    history = history.with_epoch(random_alphas(seed=1).mixture(), accuracy=math.nan, **numbers)
    rows = history_table(history, LAYER_TYPES)
    assert len(history) == 2
    assert len(rows) == 2 * 2 * EDGES * 7
    assert len({(r["epoch"], r["cell"], r["edge"], r["layer"]) for r in rows}) == len(rows)
    row = next(r for r in rows if (r["epoch"], r["cell"], r["edge"], r["layer"]) == (1, "reduce", 3, "dil5"))
    probabilities = alphas.reduce.detach().softmax(1)[3]
    assert (row["from"], row["to"]) == (1, 3)
    assert row["probability"] == pytest.approx(probabilities[LAYER_TYPES.index("dil5")].item())
    assert row["entropy"] == pytest.approx(-(probabilities * probabilities.log()).sum().item(), rel=1e-5)
    assert (row["accuracy"], row["loss"], row["architecture_accuracy"]) == (0.5, 2.0, 0.25)
    assert {r["accuracy"] for r in rows if r["epoch"] == 2} == {None}
    assert read_genotype(SPACE, history.mixture(0)) == read_genotype(SPACE, alphas.mixture())


def everything(supernet, step):
    return {**supernet.state_dict(), **step.tensors()}


def test_a_resumed_search_is_bit_for_bit_the_uninterrupted_one(split, tmp_path):
    """Weights, architecture weights, Adam's state and history, after an interruption behind every epoch."""
    settings = config(epochs=3)
    network_half, architecture_half = halves(split, 0.4, seed=0)

    def search(seed):
        supernet = new_supernet(seed)
        measured = []

        def measure(network):
            assert isinstance(network, MixedNetwork)
            measured.append(network.mixture.normal[0, 0].item())
            return measured[-1]

        return supernet, BilevelStep(supernet, architecture_half, settings, 5, measure)

    clean, clean_step = search(0)
    epochs = list(train(clean, clean_step, network_half, settings, seed=5))
    for number in range(3):
        supernet, step = search(number)  # other initial weights: all must come from the checkpoint
        (epoch,) = train(supernet, step, network_half, settings, seed=5, checkpoints=tmp_path, until=number + 1)
        assert (epoch.epoch, epoch.loss) == (number + 1, epochs[number].loss)
    wanted, found = everything(clean, clean_step), everything(supernet, step)
    assert found.keys() == wanted.keys()
    assert any(name.startswith("adam.reduce.") for name in found)
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name
    assert len(step.history) == 3
    assert step.history.loss.tolist() == pytest.approx([epoch.loss for epoch in epochs])
    last = step.history.mixture(2)
    assert torch.equal(last.normal, step.mixture().normal)
    assert step.history.accuracy[2].item() == last.normal[0, 0].item()
    assert not torch.equal(step.history.probabilities[0], step.history.probabilities[1])


def test_accuracy_on_the_architecture_half_is_that_of_its_batches(split):
    settings = config(epochs=1, architecture_learning_rate=1e-12)
    supernet = new_supernet()
    step = BilevelStep(supernet, split.subset(torch.arange(24, 48)), settings, seed=1)
    seen = []
    supernet.register_forward_hook(lambda module, inputs, output: seen.append(output.detach()))
    list(train(supernet, step, split.subset(torch.arange(24)), settings, seed=1))
    labels = [step._batches.at(0, index)[1] for index in range(3)]
    correct = sum((logits.argmax(1) == batch).sum().item() for logits, batch in zip(seen[::2], labels, strict=True))
    losses = [F.cross_entropy(logits, batch).item() for logits, batch in zip(seen[::2], labels, strict=True)]
    assert step.history.architecture_accuracy.tolist() == [correct / 24]
    assert step.history.architecture_loss.tolist() == pytest.approx([sum(losses) / 3], rel=1e-5)
    assert step.history.accuracy.isnan().all()


def test_a_search_learns_its_images_and_makes_up_its_mind(split):
    settings = config(epochs=6, learning_rate=0.05, architecture_learning_rate=0.02, entropy_decay=2.0)
    supernet = new_supernet(space=replace(SPACE, width=4))
    step = BilevelStep(supernet, split, settings, seed=0)
    epochs = list(train(supernet, step, replace(split, augmentation=Augmentation()), settings, seed=0))
    assert epochs[-1].loss < epochs[0].loss / 1.5
    entropies = step.history.entropies().mean((1, 2))
    assert entropies[-1] < entropies[0]
    assert SPACE.contains(read_genotype(SPACE, step.mixture()))


def test_the_settings_are_the_papers():
    settings = DifferentiableConfig()
    assert (settings.epochs, settings.batch_size, settings.cells, settings.width) == (50, 64, 8, 16)
    assert (settings.entropy_weight, settings.entropy_decay, settings.zeroise_discount) == (1.0, 7.7, 3.0)
    assert settings.architecture_betas == (0.5, 0.999)
    for wrong in ({"architecture_betas": (0.5, 1.0)}, {"architecture_fraction": 1.0}, {"zeroise_discount": 0}):
        with pytest.raises(ValidationError):
            DifferentiableConfig(**wrong)
    assert {field.name for field in dataclasses.fields(History)} >= {"probabilities", "accuracy"}
