"""Trainables in a Tuner of one's own: equal to a run to the bit, paused, copied, stopped, restored, logged."""

import csv
import os
import random
from pathlib import Path

import pytest

ray = pytest.importorskip("ray")
from ray import tune  # noqa: E402
from ray.tune.logger import CSVLoggerCallback, TBXLoggerCallback  # noqa: E402
from ray.tune.schedulers import (  # noqa: E402
    ASHAScheduler,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
)

from analysis import front, load_trials  # noqa: E402
from models import load_network  # noqa: E402
from search import (  # noqa: E402
    ConfigError,
    evaluate_subnet,
    load_config,
    objective,
    read_records,
    search_cells,
    train_network,
    train_supernet,
)
from search.config.environment import set_up  # noqa: E402
from search.execution.tune import InTurn  # noqa: E402
from spaces import get_space  # noqa: E402

SMALL = ["data.train_limit=128", "data.validation_limit=64", "data.test_limit=64", "execution.training_threads=1"]
ONE_SHOT = [*SMALL, "evaluation.recalibration_batches=1", "evaluation.recalibration_batch_size=64"]
MEASURES = ("accuracy", "loss", "ops", "params", "bytes")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """One Ray for the tests of this file."""
    before = {name: os.environ.pop(name, None) for name in ("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS",)}
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield tmp_path_factory.mktemp("tune")
    ray.shutdown()
    os.environ.update({name: value for name, value in before.items() if value is not None})


@pytest.fixture(scope="module")
def supernet(tmp_path_factory) -> Path:
    """A supernet that was trained for an epoch."""
    config = load_config("nasbnn-digits", ONE_SHOT)
    out = tmp_path_factory.mktemp("weights") / "supernet"
    return train_supernet(get_space("nasbnn-digits"), config=config, epochs=1, out=out)


def test_a_ray_that_is_there_keeps_its_authentication(monkeypatch):
    """Ray reads it once: a Ray imported without tokens could not speak to the processes that it starts."""
    monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    set_up()
    assert "RAY_AUTH_MODE" not in os.environ


def test_a_trial_whose_process_is_starting_gets_no_other_one():
    """Tune would end the process that starts: see `InTurn`."""
    scheduler = InTurn()
    first, second = (tune.experiment.Trial("PPO", stub=True) for _ in range(2))
    for trial in (first, second):
        scheduler.on_trial_add(None, trial)
    assert [scheduler.choose_trial_to_run(None) for _ in range(4)] == [first, second, None, None]


def tuner(trainable, space, folder: Path, name: str, *, callbacks=(), stop=None, **options) -> tune.Tuner:
    return tune.Tuner(
        trainable,
        param_space=space,
        tune_config=tune.TuneConfig(reuse_actors=True, **options),
        run_config=tune.RunConfig(name=name, storage_path=str(folder), verbose=0, callbacks=list(callbacks), stop=stop),
    )


def finished(grid) -> list[dict]:
    assert not grid.errors, grid.errors
    return [result.metrics for result in grid]


@pytest.fixture
def run_search(cli, tmp_path):
    """The trials of a search from the command line, but for final training."""

    def run(preset: str, settings: list[str], *more: str) -> list:
        given = [f"--set={setting}" for setting in (*settings, *more, "execution.executor=inline")]
        done = cli("search", preset, "--out", tmp_path / "run", *given)
        assert done.returncode == 0, done.stderr
        stages = ("inherited", "trained", "searched")
        return [each for each in read_records(tmp_path / "run" / "journal.log") if each.stage in stages]

    return run


class Seen(tune.Callback):
    """A user's callback: what it saw."""

    def __init__(self):
        self.accuracies = []

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.accuracies.append(result["accuracy"])


@pytest.fixture(scope="module")
def widths() -> dict:
    """Settings of the parameters of the width space."""
    space = get_space("vgg-digits")
    return dict(space.encode(space.parse("0.5-1-1-0.5")))


def test_subnets_are_those_of_a_run_to_the_bit(cluster, supernet, run_search):
    from optuna.samplers import NSGAIISampler
    from ray.tune.search.optuna import OptunaSearch

    config = load_config("nasbnn-digits", ONE_SHOT)
    space = get_space("nasbnn-digits")
    run = run_search("nasbnn-digits", ONE_SHOT, f"supernet.checkpoint={supernet}", "search.trials=6",
                     "search.generation=6", "finetune.networks=0")  # fmt: skip
    trainable = tune.with_resources(evaluate_subnet(supernet, config=config), {"cpu": 0.5})
    texts = [record.architecture for record in run]
    seen = Seen()
    grid = tuner(trainable, {"architecture": tune.grid_search(texts)}, cluster, "same", callbacks=[seen],
                 max_concurrent_trials=2).fit()  # fmt: skip
    for record, metrics in zip(run, finished(grid), strict=True):
        assert metrics["id"] == record.id
        assert [metrics[name] for name in MEASURES] == [record.metrics[name] for name in MEASURES]
    assert len(seen.accuracies) == 6
    # the parameters of the space, two objectives, Optuna's searcher; and Optuna alone
    searcher = OptunaSearch(metric=["accuracy", "ops"], mode=["max", "min"], sampler=NSGAIISampler(seed=0))
    grid = tuner(trainable, space.param_space(), cluster, "two", search_alg=searcher, num_samples=5,
                 max_concurrent_trials=2).fit()  # fmt: skip
    ids = [metrics["id"] for metrics in finished(grid)]
    assert len(set(ids)) == 5
    trials = load_trials(grid)
    assert trials["id"].tolist() == ids
    assert set(trials["state"]) == {"finished"}
    assert set(front(grid)["id"]) <= set(ids)
    import optuna

    study = optuna.create_study(directions=["maximize", "minimize"])
    values = dict(space.encode(space.parse(texts[0])))
    study.enqueue_trial(values)
    study.optimize(objective(supernet, space, config=config), n_trials=1)
    assert study.trials[0].values == [run[0].metrics["accuracy"], run[0].metrics["ops"]]
    assert study.trials[0].user_attrs["id"] == run[0].id


def test_networks_are_those_of_a_run_to_the_bit(cluster, run_search):
    settings = [*SMALL, "training.epochs=2", "parent.epochs=0", "final.networks=0", "final.uniform=[]"]
    settings += ["final.full_precision=false", "training.early_stopping=false"]
    run = run_search("width-digits", settings, "search.trials=2", "search.generation=2", "search.proposer=random")
    trainable = train_network(get_space("vgg-digits"), config=load_config("width-digits", settings))
    texts = {"architecture": tune.grid_search([record.architecture for record in run])}
    loggers = [CSVLoggerCallback(), TBXLoggerCallback()]
    found = tuner(trainable, texts, cluster, "widths", callbacks=loggers).fit()
    for record, metrics in zip(run, finished(found), strict=True):
        assert metrics["training_iteration"] == metrics["epochs"] == 2
        assert [metrics[name] for name in MEASURES] == [record.metrics[name] for name in MEASURES]
    (row, last) = csv.DictReader((Path(found[0].path) / "progress.csv").open())
    assert float(row["accuracy"]) > 0
    assert (last["epochs"], last["id"]) == ("2", run[0].id)
    assert list(Path(found[0].path).glob("events.out.tfevents*"))


def test_a_paused_training_goes_on_to_the_same_bit(widths, tmp_path):
    hyper = load_config("hyperparameters-digits", SMALL).space.build()
    trainable = train_network(hyper, epochs=3, config=load_config("hyperparameters-digits", SMALL))
    config = dict(hyper.encode(hyper.sample(random.Random(0))))
    whole, first, second = (trainable(dict(config)) for _ in range(3))
    wanted = [whole.train() for _ in range(3)]
    first.train()
    first.save(str(tmp_path / "one"))
    second.train()  # what a reused process did before is forgotten
    second.restore(str(tmp_path / "one"))
    got = [second.train() for _ in range(2)]
    for one, other in zip(wanted[1:], got, strict=True):
        assert [one[name] for name in (*MEASURES, "train_loss", "epochs")] == [
            other[name] for name in (*MEASURES, "train_loss", "epochs")
        ]
    second.save(str(tmp_path / "end"))
    assert load_network(tmp_path / "end" / "training" / "network").architecture is not None
    files = {path.suffix for path in tmp_path.rglob("*") if path.is_file()}
    assert files <= {".json", ".safetensors"}, "no pickle"
    place = Path(whole._place.name)
    for each in (whole, first, second):
        each.stop()
    assert not place.exists()
    other = trainable(dict(hyper.encode(hyper.sample(random.Random(1)))))
    assert other.reset_config({**config}) is True
    assert other.train()["train_loss"] == wanted[0]["train_loss"]


def test_weights_stay_within_one_architecture(tmp_path, widths):
    trainable = train_network(get_space("vgg-digits"), data="digits", epochs=2, settings=SMALL)
    one = trainable(dict(widths))
    one.train()
    one.save(str(tmp_path / "one"))
    with pytest.raises(ValueError, match=r"of architecture 0.5-1-1-0.5, the trial has 1-1-1-1.*OnlySpace"):
        trainable({"architecture": "1-1-1-1"}).restore(str(tmp_path / "one"))
    with pytest.raises(ValueError, match="not the checkpoint of a trial"):
        trainable(dict(widths)).restore(str(tmp_path))


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({}, "says nothing about space"),
        ({"architecture": "0.5-1"}, "0.5-1"),
        ({"architecture": "1-1-1-1", "conv1_ratio": 1}, "give one of them"),
        ({"architecture": "1-1-1-1", "learnig_rate": 0.1}, "did you mean 'learning_rate'"),
        ({"architecture": "1-1-1-1", "learning_rate": -1.0}, "learning_rate"),
    ],
)
def test_bad_configurations_say_what_is_wrong(config, problem):
    trainable = train_network(get_space("vgg-digits"), data="digits", epochs=2, settings=SMALL)
    with pytest.raises(ValueError, match=problem):
        trainable(config).train()


def test_bad_arguments_say_what_is_wrong(tmp_path, supernet):
    space = get_space("vgg-digits")
    with pytest.raises(ConfigError, match="not from both"):
        train_network(space, data="digits", parent="one", supernet="two")
    with pytest.raises(ConfigError, match="has no supernet"):
        train_supernet(space, data="digits", out=tmp_path / "net")
    with pytest.raises(ConfigError, match="there already"):
        train_supernet(get_space("nasbnn-digits"), data="digits", out=supernet)
    with pytest.raises(ConfigError, match="only cells"):
        search_cells(space, data="digits")
    with pytest.raises(ConfigError, match="a step or a loss, not both"):
        train_network(space, data="digits", loss=len, step=len)
    with pytest.raises(ValueError, match="has no architectures"):
        train_network(load_config("hyperparameters-digits").space.hyperparameter_space(), data="digits")


@pytest.fixture(scope="module")
def learning():
    """A training of four epochs that learns."""
    return train_network(get_space("vgg-digits"), data="digits", epochs=4, settings=[*SMALL, "training.batch_size=16"])


BETTER = {"metric": "accuracy", "mode": "max"}
RATES = (1e-2, 3e-3, 1e-6, 1e-7)


@pytest.mark.long
def test_asha_and_median_stopping_end_trials_early(cluster, learning, widths):
    space = {**widths, "learning_rate": tune.grid_search(list(RATES))}
    asha = ASHAScheduler(**BETTER, max_t=4, grace_period=1, reduction_factor=2)
    grid = tuner(learning, space, cluster, "asha", scheduler=asha).fit()
    epochs = {metrics["config"]["learning_rate"]: metrics["epochs"] for metrics in finished(grid)}
    assert max(epochs.values()) == 4
    assert min(epochs[1e-6], epochs[1e-7]) < 4, "the worst ended early"
    rule = MedianStoppingRule(**BETTER, time_attr="training_iteration", grace_period=1, min_samples_required=1)
    assert len(finished(tuner(learning, space, cluster, "median", scheduler=rule).fit())) == 4


@pytest.mark.long
def test_hyperband_pauses_trials(cluster, learning, widths):
    space = {**widths, "learning_rate": tune.grid_search(list(RATES))}
    band = HyperBandScheduler(**BETTER, max_t=4, reduction_factor=2)
    grid = tuner(learning, space, cluster, "band", scheduler=band).fit()
    assert max(metrics["epochs"] for metrics in finished(grid)) == 4


@pytest.mark.long
def test_pbt_copies_weights_with_hyperparameters(cluster, learning, widths):
    copying = PopulationBasedTraining(
        time_attr="training_iteration", **BETTER, perturbation_interval=1, quantile_fraction=0.5,
        synch=True,
        hyperparam_mutations={"learning_rate": tune.loguniform(1e-4, 1e-1)},
    )  # fmt: skip
    space = {**widths, "learning_rate": tune.grid_search([1e-7, 1e-2])}
    grid = tuner(learning, space, cluster, "pbt", scheduler=copying).fit()
    assert [metrics["epochs"] for metrics in finished(grid)] == [4, 4]
    rates = [metrics["config"]["learning_rate"] for metrics in finished(grid)]
    assert 1e-7 not in rates, "the bad one took over the good one's"


@pytest.mark.long
def test_an_interrupted_experiment_is_restored(cluster, widths, tmp_path):
    """A trial that failed goes on from its checkpoint when the experiment is restored, to the same bit."""
    trainable = train_network(get_space("vgg-digits"), data="digits", epochs=3, settings=SMALL)
    whole = trainable(dict(widths))
    wanted = [whole.train() for _ in range(3)][-1]
    mark = tmp_path / "broken"

    class Breaking(trainable):
        def step(self):
            if self._done == 1 and not mark.exists():
                mark.touch()
                raise RuntimeError("the plug was pulled")
            return super().step()

    first = tune.Tuner(
        Breaking,
        param_space=dict(widths),
        run_config=tune.RunConfig(
            name="restored", storage_path=str(cluster), verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
        ),
    )  # fmt: skip
    assert "the plug was pulled" in str(first.fit().errors[0])
    again = tune.Tuner.restore(str(cluster / "restored"), trainable=Breaking, resume_errored=True)
    (metrics,) = finished(again.fit())
    assert [metrics[name] for name in (*MEASURES, "epochs")] == [wanted[name] for name in (*MEASURES, "epochs")]
    assert metrics["iterations_since_restore"] == 2


@pytest.mark.long
def test_a_cell_search_reports_every_epoch(cluster, run_search):
    settings = [*SMALL, "differentiable.epochs=2", "final.epochs=1"]
    run = run_search("bnas-digits", settings)
    trainable = search_cells(get_space("bnas-digits"), config=load_config("bnas-digits", settings))
    seen = Seen()
    (metrics,) = finished(tuner(trainable, {"seed": 0}, cluster, "cells", callbacks=[seen]).fit())
    assert len(seen.accuracies) == 2
    assert [metrics[name] for name in MEASURES] == [run[0].metrics[name] for name in MEASURES]
    assert metrics["architecture"] == metrics["genotype"] == run[0].facts["genotype"]


def test_a_trial_takes_weights_and_keeps_its_hyperparameters(learning, widths, tmp_path):
    """What population-based training does to a trial: another one's checkpoint, with another learning rate."""
    good = learning({**widths, "learning_rate": 1e-2})
    good.train()
    good.save(str(tmp_path / "good"))
    bad = learning({**widths, "learning_rate": 1e-7})
    alone = bad.train()["train_loss"]
    assert bad.reset_config({**widths, "learning_rate": 5e-3}) is True
    bad.restore(str(tmp_path / "good"))
    found = bad.train()
    assert found["epochs"] == 2
    assert found["train_loss"] < alone


def test_from_a_supernet_and_from_a_parent(supernet, tmp_path):
    space = get_space("nasbnn-digits")
    trainable = train_network(space, supernet=supernet, config=load_config("nasbnn-digits", ONE_SHOT), epochs=2)
    found = [trial.train() for trial in [trainable({"architecture": space.format(space.smallest())})] for _ in "12"]
    assert [each["epochs"] for each in found] == [1, 2]
    assert found[0]["loss"] != found[1]["loss"]


def focal(logits, labels, gamma=0.0):
    import torch.nn.functional as F

    wrong = 1 - F.softmax(logits, 1).gather(1, labels[:, None])[:, 0]
    return (wrong**gamma * F.cross_entropy(logits, labels, reduction="none")).mean()


def own_step(network, batch, label_smoothing):
    import torch.nn.functional as F

    loss = F.cross_entropy(network(batch.images), batch.labels, label_smoothing=label_smoothing)
    loss.backward()
    return loss


def test_a_loss_and_a_step_of_ones_own(widths):
    def first(**options):
        space = get_space("vgg-digits")
        return train_network(space, data="digits", epochs=1, settings=SMALL, **options)(dict(widths)).train()

    usual = first()
    assert first(loss="torch.nn.functional:cross_entropy")["train_loss"] == usual["train_loss"]
    assert first(step=own_step)["train_loss"] == usual["train_loss"], "with the setting of that name"
    assert first(loss=focal)["train_loss"] == pytest.approx(usual["train_loss"])
    with pytest.raises(RuntimeError, match="one number as a tensor"):
        first(loss=lambda logits, labels: logits)
    with pytest.raises(RuntimeError, match="needs gamma: give each as a hyperparameter"):
        first(loss=lambda logits, labels, gamma: logits.mean())
    with pytest.raises(ConfigError, match="has no cross_entropi; did you mean 'cross_entropy'"):
        first(loss="torch.nn.functional:cross_entropi")
