"""Trainings in stages: what each stage trains with, where it starts, and that a stop within any cannot be seen."""

import shutil

import pytest
import torch
from to_the_end import finished as to_the_end

from models.checkpoints.folder import save_checkpoint
from models.checkpoints.networks import load_network, load_supernet, save_network
from models.layers.binarisers import BiReal, DoReFa, ReSTE, Xnor, make_binariser
from models.layers.binary import BinaryConv2d, set_bound, set_mode
from models.layers.modes import Activations, Mode
from models.layers.unit import binary_convolution
from models.nasbnn.network import BinaryNetwork, ConvolutionUnit
from models.onebit.engine import Engine
from models.onebit.file import Model, decode, encode
from models.onebit.lowering.lower import lower
from models.width.network import WidthNetwork, WidthOptions
from search.config.loading import load_config
from search.config.sections import ConfigError
from search.config.trainings import FinalConfig
from search.data.opening import open_data
from search.data.order import in_order
from search.pipeline.prepare import prepare
from search.training.steps import plain_step
from search.worker.context import Context
from spaces import get_space

FEW = [
    "data.train_limit=64", "data.validation_limit=40", "data.test_limit=40", "execution.executor=inline",
    "evaluation.recalibration_batches=1", "evaluation.recalibration_batch_size=32", "search.trials=2",
    "search.generation=2", "supernet.epochs=1", "supernet.batch_size=32", "finetune.batch_size=32",
    "final.batch_size=32",
]  # fmt: skip
LIST = "[{mode: fwba, epochs: 1, learning_rate: 0.01, weight_decay: 0.1}, {mode: bwba, epochs: 2}]"


def finished(folder, settings, preset="nasbnn-digits", **how):
    """The run at its end; see `to_the_end`."""
    return to_the_end(prepare(load_config(preset, [*FEW, *settings]), folder), **how)


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    """The folder of a float twin."""
    folder = tmp_path_factory.mktemp("twin")
    torch.manual_seed(0)
    space = get_space("vgg-digits")
    save_network(folder, WidthNetwork(space, space.uniform(0.25), WidthOptions(mode=Mode.FWFA)))
    return folder


def staged(twin):
    return [
        "supernet.multi_stage=true", f"supernet.teacher=[fwba, {twin}]",
        "finetune.networks=1", "finetune.epochs=1", "finetune.multi_stage=true", f"finetune.teacher={twin}",
        "final.networks=1", "final.epochs=3", f"final.multi_stage={LIST}", f"final.teacher=[{twin}, {twin}]",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def run(twin, tmp_path_factory):
    """A run all of whose trainings have stages and teachers."""
    return finished(tmp_path_factory.mktemp("staged") / "run", staged(twin))


def weights(run):
    networks = sorted(run.path.glob("f*/*/network"))
    found = {str(path.relative_to(run.path)): load_network(path).state_dict() for path in networks}
    return {"supernet": load_supernet(run.supernet).state_dict(), **found}


def test_a_run_that_was_stopped_within_every_stage_is_bit_for_bit_the_one_that_was_not(run, twin, tmp_path):
    again = finished(tmp_path / "run", staged(twin), reports=1)
    wanted, found = weights(run), weights(again)
    assert found.keys() == wanted.keys()
    assert len(found) == 3
    for name, tensors in wanted.items():
        for key, tensor in tensors.items():
            assert torch.equal(found[name][key], tensor), (name, key)


def test_epochs_are_numbered_through_all_stages_and_counted_in_trials(run):
    events = [line for line in (run.path / "events.jsonl").read_text().splitlines() if '"epoch"' in line]
    shown = [[part for part in event.split(", ") if part.startswith('"epoch')] for event in events]
    assert [f'"epoch": {number}' for number in (1, 2, 1, 2, 1, 2, 3)] == [each[0] for each in shown]
    assert [each[1] for each in shown] == ['"epochs": 2'] * 4 + ['"epochs": 3'] * 3
    from analysis.runs.trials import load_trials

    trials = load_trials(run.path).set_index("stage")
    assert trials.epochs["final"] == 3
    assert trials.epochs["finetuned"] == 2
    assert "teachers" in {path.name for path in run.path.iterdir()}


def test_a_run_is_no_teacher_and_its_networks_are(run, tmp_path):
    config = load_config("nasbnn-digits", [*FEW, f"final.teacher={run.path}"])
    with pytest.raises(ConfigError, match="is a run, which has many networks: give the folder of one, such as "):
        prepare(config, tmp_path / "run")
    front = next(path for path in (run.path / "front").iterdir() if path.is_dir())
    for number, folder in enumerate((front, next(run.path.glob("final/*")), next(run.path.glob("final/*/network")))):
        again = prepare(load_config("nasbnn-digits", [*FEW, f"final.teacher={folder}"]), tmp_path / str(number))
        (teacher,) = Context(again.path).lessons(again.config.final).teachers
        assert teacher.same_normalisation, "both were normalised with the same images"


def test_what_stages_leave_is_a_binary_network_that_is_exported_exactly(run):
    data = open_data(run.config.data, image_size=8, seed=0, cache=run.data_cache)
    images, _ = next(data.test.batches(40, order=in_order(), device=torch.device("cpu")))
    for path in sorted(run.path.glob("f*/*/network")):
        network = load_network(path)
        assert network.options.mode is Mode.BWBA
        stored = decode(encode(Model(lower(network), data.class_names, data.mean, data.std))).program
        with torch.no_grad():
            assert torch.equal(Engine(stored)(images).argmax(1), network(images).argmax(1))


def modes_of(network):
    """What the convolutions multiply with: signs and a scale, or floats."""
    layers = [module for module in network.modules() if isinstance(module, BinaryConv2d | ConvolutionUnit)]
    assert layers
    kernels = [layer.kernel() for layer in layers]
    signs = {bool((kernel.weight.abs() == 1).all()) for kernel in kernels}
    assert len(signs) == 1
    assert all((kernel.scale is not None) == signs.copy().pop() for kernel in kernels)
    return signs.pop()


@pytest.mark.parametrize("preset", ["nasbnn-digits", "width-digits"])
def test_the_first_stage_has_float_weights_and_the_second_starts_where_it_ends(tmp_path, preset):
    run = prepare(load_config(preset, FEW), tmp_path / "run")
    context, config = (
        Context(run.path),
        FinalConfig.model_validate({"epochs": 1, "batch_size": 32, "multi_stage": True}),
    )
    space = run.architectures
    torch.manual_seed(0)
    kind = BinaryNetwork if preset == "nasbnn-digits" else WidthNetwork
    network = kind(space, space.smallest())
    begun, binary = [], []

    def make_step(settings, mode):
        begun.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        step = plain_step(network, settings)

        def watched(batch):
            binary.append((mode, modes_of(network)))
            return step(batch)

        return watched

    ended = []
    epochs = context.train_in_stages(
        network, make_step, context.data.train, config, purpose=("test",), folder=tmp_path / "kept"
    )
    for epoch, last in epochs:
        ended.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        assert (epoch.epochs, last) == (2, epoch.epoch == 2)
    assert set(binary) == {(Mode.FWBA, False), (Mode.BWBA, True)}
    assert all(torch.equal(begun[1][name], tensor) for name, tensor in ended[0].items())
    assert any(not torch.equal(begun[0][name], tensor) for name, tensor in ended[0].items())


def test_stages_have_settings_of_their_own():
    config = FinalConfig.model_validate(
        {
            "epochs": 6,
            "learning_rate": 0.1,
            "weight_decay": 0.5,
            "weight_decay_stages": "first",
            "multi_stage": ["fwfa", {"mode": "fwba", "learning_rate": 0.2}, {"mode": "bwba", "weight_decay": 0.3}],
        }
    )
    found = [
        (stage.mode, stage.settings.epochs, stage.settings.learning_rate, stage.settings.weight_decay)
        for stage in config.stages()
    ]
    assert found == [(Mode.FWFA, 6, 0.1, 0.5), (Mode.FWBA, 6, 0.2, 0.0), (Mode.BWBA, 6, 0.1, 0.3)]
    assert (config.last_epochs, config.epochs_before, config.total_epochs) == (6, 12, 18)
    shared = FinalConfig.model_validate(
        {"epochs": 3, "multi_stage": [{"mode": "fwba", "epochs": 1}, {"mode": "bwba", "epochs": 2}]}
    )
    assert (shared.last_epochs, shared.epochs_before, shared.total_epochs) == (2, 1, 3)
    assert FinalConfig(epochs=3).stages() == ((None, FinalConfig(epochs=3), None),)


def test_a_stage_may_start_from_a_network_of_elsewhere(tmp_path, tiny):
    space = get_space("vgg-digits")
    torch.manual_seed(5)
    other = WidthNetwork(space, space.smallest())
    save_network(tmp_path / "other", other)
    stages = f"[fwba, {{mode: bwba, start: {tmp_path / 'other'}}}]"
    run = prepare(load_config("width-digits", [*FEW, f"final.multi_stage={stages}"]), tmp_path / "run")
    config = run.config.final.model_copy(update={"epochs": 1, "batch_size": 32})
    network, begun = WidthNetwork(space, space.smallest()), []

    def make_step(settings, mode):
        return plain_step(network, settings)

    context = Context(run.path)

    def watched(settings, mode):
        step = make_step(settings, mode)

        def first(batch):
            begun.append((mode, network.classifier.weight.detach().clone()))
            return step(batch)

        return first

    for _ in context.train_in_stages(
        network, watched, context.data.train, config, purpose=("test",), folder=tmp_path / "kept"
    ):
        pass
    starts = {mode: next(weight for each, weight in begun if each is mode) for mode in (Mode.FWBA, Mode.BWBA)}
    assert torch.equal(starts[Mode.BWBA], other.classifier.weight)
    assert not torch.equal(starts[Mode.FWBA], other.classifier.weight)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("final.multi_stage=[{mode: fwba, epochs: 2}, {mode: bwba, epochs: 3}]", "2 + 3 epochs and epochs is 200"),
        ("final.multi_stage=[{mode: fwba, epochs: 2}, bwba]", "2 + ? epochs and epochs is 200: give"),
        ("final.multi_stage=[bwba, fwba]", "is bwba, fwba: name each mode once, and bwba, a binary network, last"),
        ("final.multi_stage=[bwba, bwba]", "name each mode once"),
        ("final.multi_stage=[fwba]", "name each mode once, and bwba, a binary network, last"),
        ("final.multi_stage=perhaps", "give true, false or a list of stages"),
        ("final.multi_stage=[half]", "should be 'bwba', 'fwba' or 'fwfa'"),
        ("final.multi_stage=[fwba, {mode: bwba, start: nowhere}]", "final.multi_stage: .*nowhere does not exist"),
        ("supernet.teacher=[fwba, bwba]", "fwba and bwba: the largest subnet teaches in one mode"),
        ("final.teacher_weight=1.5", "less than or equal to 1"),
        ("final.teacher_temperature=0", "greater than 0"),
        ("final.activation_bound=0", "greater than 0"),
    ],
)  # fmt: skip
def test_stages_that_cannot_be_are_refused_in_one_sentence(tmp_path, setting, words):
    with pytest.raises(ConfigError, match=words.replace("+", r"\+").replace("?", r"\?")):
        prepare(load_config("nasbnn-digits", [*FEW, setting]), tmp_path / "run")


def test_a_start_of_another_kind_is_refused(tmp_path):
    save_checkpoint(tmp_path / "detector", {"weight": torch.zeros(1)}, {"kind": "detector"})
    stages = f"[{{mode: fwba, start: {tmp_path / 'detector'}}}, bwba]"
    config = load_config("nasbnn-digits", [*FEW, f"supernet.multi_stage={stages}"])
    with pytest.raises(ConfigError, match="holds a detector, and the stage fwba starts from a supernet of a"):
        prepare(config, tmp_path / "run")


POINTS = torch.tensor([-2.0, -1.5, -1.0, -0.75, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5])


def tent(bound):
    return lambda x: 2 / bound * (1 - x.abs() / bound).clamp(min=0)


@pytest.mark.parametrize("bound", [0.5, 1.25, 2.0])
@pytest.mark.parametrize(
    ("kind", "slope"),
    [
        (DoReFa, lambda bound: lambda x: 1.0 * ((x - 0.5).abs() <= bound)),
        (Xnor, lambda bound: lambda x: 1.0 * (x.abs() <= bound)),
        (BiReal, tent),
        (ReSTE, lambda bound: lambda x: ReSTE(clip=bound).slope(x, bound)),
    ],
)
def test_the_bound_of_the_activations_gradient_is_a_setting(kind, slope, bound):
    binariser = kind().within(bound)
    x = POINTS.clone().requires_grad_()
    result = binariser.activations(x)
    (gradient,) = torch.autograd.grad(result, x, torch.full_like(x, 3.0))
    assert torch.equal(result, kind().activations(POINTS)), "what is computed forward stays as it is"
    assert torch.allclose(gradient, 3 * slope(bound)(POINTS))
    assert kind().bound is None, "another instance keeps its own"


def test_units_of_nasbnn_have_the_bound_as_well(tiny):
    for bound in (1.0, 1.5):
        x = POINTS.view(1, 1, 1, -1).clone().requires_grad_()
        weight = torch.full((1, 1, 1, 1), 3.0)
        binary_convolution(x, torch.zeros(1), weight, 1, 1, Activations.BINARY, bound).sum().backward()
        assert torch.allclose(x.grad.flatten(), 3 * tent(bound)(POINTS))
    network = BinaryNetwork(tiny, tiny.smallest())
    set_bound(network, 1.5)
    assert {module.bound for module in network.modules() if isinstance(module, ConvolutionUnit)} == {1.5}


@pytest.mark.parametrize("name", ["dorefa", "xnor", "bireal", "reste", "recu"])
def test_a_bound_that_a_class_has_anyway_changes_no_gradient(name):
    own = {"dorefa": 0.5, "reste": 1.5}.get(name, 1.0)
    gradients = []
    for binariser in (make_binariser(name), make_binariser(name).within(own)):
        x = POINTS.clone().requires_grad_()
        binariser.at(0.5).activations(x).sum().backward()
        gradients.append(x.grad)
    assert torch.equal(*gradients)


def test_networks_in_other_modes_are_not_exported(tiny):
    network = BinaryNetwork(tiny, tiny.smallest())
    set_mode(network, Mode.FWBA)
    with pytest.raises(TypeError, match="a network in mode FWBA is not binary"):
        lower(network)


def test_a_trained_supernet_is_given_as_its_run_or_by_its_folder(run, tmp_path):
    (tmp_path / "begun").mkdir()
    shutil.copy(run.path / "run.json", tmp_path / "begun")
    for source, words in ((run.path, "stages are others"), (tmp_path / "begun", "is a run without a trained supernet")):
        with pytest.raises(ConfigError, match=words):
            prepare(load_config("bnext-digits", [*FEW, f"supernet.checkpoint={source}"]), tmp_path / "none")
    wanted = load_supernet(run.supernet).state_dict()
    for number, source in enumerate((run.path, run.supernet)):
        settings = [*FEW, f"supernet.checkpoint={source}"]
        found = load_supernet(prepare(load_config("nasbnn-digits", settings), tmp_path / str(number)).supernet)
        assert all(torch.equal(tensor, wanted[name]) for name, tensor in found.state_dict().items())
