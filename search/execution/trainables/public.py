"""What a Tuner or a study of your own is given: trainables, an objective, and the training of a supernet.

    space = get_space("nasbnn-digits")
    supernet = train_supernet(space, data="digits", epochs=40, out="supernet")
    tuner = tune.Tuner(evaluate_subnet(supernet, data="digits"), param_space=space.param_space())

All take the same options. `data` is what `--data` takes, or a `DataConfig`. `config` is a `RunConfig` (`load_config` of
a preset, or of a run's `config.yaml`) whose settings hold, but for its space; `settings` are `KEY=VALUE` as for `--set`
and come last. With those of a run the metrics are, to the bit on the CPU, those of that run. `scratch` is a folder for
data and weights that every node of a cluster mounts; on one machine it may be left out. All raise `ConfigError`,
`DataError`, `CheckpointError` or `SpaceError` for what cannot be, before anything is trained.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from models.checkpoints.folder import Verify, load_checkpoint, save_checkpoint
from models.checkpoints.networks import load_supernet
from models.families import SupernetTraining, family_of
from search.config.run import Method, RunConfig
from search.config.sections import ConfigError
from search.config.space import AnySpace
from search.execution.trainables.candidate import ARCHITECTURE
from search.execution.trainables.outcome import TrialError, metrics_of
from search.execution.trainables.sections import Data, make_config
from search.execution.trainables.setting import Setting
from search.pipeline.prepare import prepare
from search.training.own import Function, TrainingCode
from search.worker.tasks import Evaluate, TaskError, TrainSupernet, TrialInput
from search.worker.worker import Worker
from spaces.errors import unknown
from spaces.parameters import Suggests

if TYPE_CHECKING:
    from search.execution.trainables.trials import CellTrial, NetworkTrial, SubnetTrial

T = TypeVar("T")
Folder = Path | str


class Trial(Suggests, Protocol):
    """The part of `optuna.Trial` that an objective uses."""

    def set_user_attr(self, key: str, value: Any) -> None:
        """Keep something with the trial."""
        ...


def train_supernet(
    space: AnySpace,
    *,
    out: Folder,
    data: Data | None = None,
    epochs: int | None = None,
    config: RunConfig | None = None,
    settings: Iterable[str] = (),
) -> Path:
    """Train a supernet in this process, as a run does, and write it to the folder `out`, which is returned.

    A long training is better a run, which can be resumed: `evaluate_subnet("RUN/supernet/trained")`.
    """
    out = Path(out).absolute()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already: name another folder for the supernet with out=")
    section = "differentiable" if family_of(space).supernet_training is SupernetTraining.BILEVEL else "supernet"
    sections = {**_one_shot(space), section: {"epochs": epochs}}
    with TemporaryDirectory(prefix="binarynas-supernet-") as name:
        run = prepare(make_config(space, data, config, settings, sections), Path(name) / "run")
        for report in Worker(run.path).run(TrainSupernet()):
            if isinstance(report, TaskError):
                raise TrialError(f"training the supernet failed: {report.reason}")
        save_checkpoint(out, *load_checkpoint(run.supernet))
    return out


def evaluate_subnet(
    supernet: Folder,
    *,
    data: Data | None = None,
    config: RunConfig | None = None,
    settings: Iterable[str] = (),
    scratch: Folder | None = None,
) -> "type[SubnetTrial]":
    """A trainable that measures an architecture with the weights of a supernet, in one step.

    A trial's configuration holds the parameters of the supernet's space (`param_space()`), or an architecture's text as
    `architecture`. With `reuse_actors=True` in the `TuneConfig` a worker goes from trial to trial in milliseconds.
    """
    from search.execution.trainables.trials import SubnetTrial

    setting = _of_supernet(supernet, data, config, settings, scratch)
    return _named("evaluate_subnet", SubnetTrial, setting)


def train_network(
    space: AnySpace,
    *,
    data: Data | None = None,
    epochs: int | None = None,
    parent: Folder | None = None,
    supernet: Folder | None = None,
    loss: str | Function | None = None,
    step: str | Function | None = None,
    config: RunConfig | None = None,
    settings: Iterable[str] = (),
    scratch: Folder | None = None,
) -> "type[NetworkTrial]":
    """A trainable that trains an architecture, an epoch a step, from random weights or those of a `parent` or a
    `supernet`.

    A trial's configuration holds the space's parameters, or an architecture's text as `architecture`; and any setting
    of a training by its name (`learning_rate`, `batch_size`, `epochs`, ...), `augmentation`, `binariser`, and what your
    own `loss` or `step` reads (see `search.training.own`; a function, or `package.module:name`). A trial can be paused,
    and goes on to the same bit on the CPU; schedulers that copy weights do so within one architecture.
    """
    from search.execution.trainables.trials import NetworkTrial

    if parent is not None and supernet is not None:
        raise ConfigError("a training starts from a parent or from a supernet, not from both")
    if supernet is not None:
        sections = {**_one_shot(space), "supernet": {"checkpoint": str(supernet)}, "finetune": {"epochs": epochs}}
    else:
        checkpoint = None if parent is None else str(parent)
        sections = {"method": Method.TRAINING, "parent": {"checkpoint": checkpoint}, "training": {"epochs": epochs}}
    checked = make_config(space, data, config, settings, sections)
    section = checked.training if supernet is None else checked.finetune
    code = TrainingCode.of(loss or section.loss, step or section.step)
    return _named("train_network", NetworkTrial, Setting.prepared(checked, space, code, scratch))


def search_cells(
    space: AnySpace,
    *,
    data: Data | None = None,
    epochs: int | None = None,
    config: RunConfig | None = None,
    settings: Iterable[str] = (),
    scratch: Folder | None = None,
) -> "type[CellTrial]":
    """A trainable that is a whole differentiable search in a cell space, an epoch a step.

    A trial's configuration holds settings of such a search (`seed`, `entropy_weight`, `architecture_learning_rate`,
    ...). Every step reports the genotype that is read after it as `architecture`, with what it costs.
    """
    from search.execution.trainables.trials import CellTrial

    final = {"networks": 1, "batch_size": 2}  # a run would go on to train what was found
    sections = {"method": Method.DIFFERENTIABLE, "differentiable": {"epochs": epochs}, "final": final}
    checked = make_config(space, data, config, settings, sections)
    return _named("search_cells", CellTrial, Setting.prepared(checked, space, TrainingCode(), scratch))


def objective(
    supernet: Folder,
    space: AnySpace | None = None,
    *,
    data: Data | None = None,
    objectives: Sequence[str] = ("accuracy", "ops"),
    config: RunConfig | None = None,
    settings: Iterable[str] = (),
) -> Callable[[Trial], tuple[float, ...]]:
    """An objective for `optuna.Study.optimize` that measures architectures with a supernet's weights, without Ray.

    It returns the `objectives` in their order, names of metrics; every metric, the architecture and its id are user
    attributes of the trial. `space` is the supernet's own where left out. Trials take turns, whatever `n_jobs` is.
    """
    setting = _of_supernet(supernet, data, config, settings, None)
    chosen, worker, turn = space or setting.space, Worker(setting.folder), Lock()

    def measure(trial: Trial) -> tuple[float, ...]:
        member = chosen.suggest(trial)
        task = Evaluate((TrialInput(0, chosen.format(member), chosen.id(member)),))
        with turn:
            metrics = metrics_of(worker.run(task))
        missing = [name for name in objectives if name not in metrics]
        if missing:
            raise ConfigError(f"the objectives name {unknown('metric', missing[0], sorted(metrics))}")
        for name, value in {ARCHITECTURE: task.trials[0].architecture, "id": task.trials[0].id, **metrics}.items():
            trial.set_user_attr(name, value)
        return tuple(metrics[name] for name in objectives)

    return measure


def _of_supernet(
    supernet: Folder,
    data: Data | None,
    config: RunConfig | None,
    settings: Iterable[str],
    scratch: Folder | None,
) -> Setting:
    space = load_supernet(supernet, Verify.SIZES).space
    sections = {**_one_shot(space), "supernet": {"checkpoint": str(supernet)}}
    checked = make_config(space, data, config, settings, sections)
    return Setting.prepared(checked, space, TrainingCode(), scratch)


def _one_shot(space: AnySpace) -> dict[str, object]:
    """Sections of a search with a supernet; one over mixed edges must train networks afterwards."""
    final = {} if family_of(space).candidates_deployable else {"networks": 1, "batch_size": 2}
    return {"method": Method.ONE_SHOT, "final": final}


def _named(name: str, kind: type[T], setting: Setting) -> type[T]:
    """A class of its own for a setting, which reaches the workers with it; Ray shows its name."""
    return cast("type[T]", type(name, (kind,), {"setting": setting, "__doc__": kind.__doc__}))
