"""Training one network: a candidate up to a rung, the parent, finetuning, final training, a network to compare with."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from torch import nn

from analysis.runs.layout import MANIFEST_FILE
from analysis.stages import PARENT
from models.checkpoints.networks import load_network, save_network
from models.layers.binarisers import set_mode
from models.layers.modes import Mode
from search.config.sections import TrainConfig
from search.config.trainings import NetworkTrainConfig
from search.runs.records import DEFAULT, FULL_PRECISION, EpochReport, Stage
from search.training.loop import plain_step, train
from search.worker.attempt import Attempt
from search.worker.context import Candidate, Context
from search.worker.measure import candidate_cost, cost_metrics, validate
from search.worker.tasks import Fit, Report


@dataclass(frozen=True)
class _Training:
    """What is trained for a trial, and how. Weights are kept under `identity`: the trial's id, or `PARENT`."""

    context: Context
    stage: Stage
    reference: str
    identity: str
    candidate: Candidate
    config: TrainConfig

    @property
    def folder(self) -> Path:
        """Where the network and its checkpoints are kept."""
        return self.context.run.weights(self.stage, self.identity)

    @property
    def is_twin(self) -> bool:
        """Whether the network is in full precision."""
        return self.reference.startswith(FULL_PRECISION)

    @property
    def binary(self) -> NetworkTrainConfig | None:
        """The settings of a binary network that is trained from its first weights; None for all others."""
        return self.config if isinstance(self.config, NetworkTrainConfig) and not self.is_twin else None

    @property
    def modes(self) -> tuple[Mode | None, ...]:
        """The modes that the network is trained in, one after another; None leaves it as it was made. Multi-stage
        training has binary activations with float weights first (BNAS v2, section 2.4)."""
        return (Mode.FWBA, Mode.BWBA) if self.binary and self.binary.multi_stage else (None,)


def fit(context: Context, task: Fit) -> Iterator[Report]:
    """Train the network of one trial up to `until` epochs, measure it, and keep it when its training has ended.

    A trial that was killed goes on from its last epoch; one that was killed after its training is only measured again.
    """
    stage, (trial,) = task.stage, task.trials
    with Attempt(trial.number) as attempt:
        candidate = context.candidate(trial.architecture, stage)
        config = _config(context, stage, trial.reference, candidate)
        identity = PARENT if trial.reference == PARENT else trial.id
        training = _Training(context, stage, trial.reference, identity, candidate, config)
        kept = training.folder / "network"
        until = config.epochs if task.until is None else min(task.until, config.epochs)
        if (kept / MANIFEST_FILE).exists():
            network = load_network(kept).to(context.device)
        else:
            network = _first_weights(training)
            yield from _train(training, network, until)
            if stage is Stage.FINETUNED:
                context.recalibrate(network)
            if until == config.epochs:
                save_network(kept, network, {"stage": stage.value})
        full = candidate.space.full_precision_cost
        cost = cost_metrics(full(candidate.architecture)) if training.is_twin else candidate_cost(context, candidate)
        attempt.metrics = {**validate(context, network), **cost, "epochs": task.epochs_before + until}
        if kept.exists():
            for checkpoints in training.folder.glob("checkpoints*"):
                shutil.rmtree(checkpoints)
    yield attempt.outcome()


def _config(context: Context, stage: Stage, reference: str, candidate: Candidate) -> TrainConfig:
    """How a network is trained, with the candidate's hyperparameters in their place."""
    config = context.config
    if stage is Stage.FINETUNED:
        return config.finetune
    if reference == PARENT:
        return config.parent
    if stage is Stage.TRAINED or reference == DEFAULT:
        return config.training.with_values(candidate.hyperparameters)
    own = {name: value for name, value in candidate.hyperparameters.items() if name != "epochs"}
    return config.final.with_values(own)  # final training has epochs of its own


def _first_weights(training: _Training) -> nn.Module:
    """The network with the weights that it is trained from: the supernet's, the parent's, a candidate's, or random."""
    context, candidate, stage = training.context, training.candidate, training.stage
    if stage is Stage.FINETUNED:
        return context.inherited(candidate.architecture)
    mode = Mode.FWFA if training.is_twin else None
    drop_path = training.binary.drop_path or None if training.binary else None
    network = context.new_network(candidate, training.identity, mode=mode, drop_path=drop_path)
    if stage is Stage.TRAINED and context.config.parent.used:
        context.inherit(network)
    if stage is Stage.FINAL and context.config.final.start == "inherited":
        trained = load_network(context.run.weights(Stage.TRAINED, training.identity) / "network")
        network.load_state_dict(trained.state_dict())
    return network


def _train(training: _Training, network: nn.Module, until: int) -> Iterator[Report]:
    """The training in each mode, one after another; only the last one may be paused."""
    context, stage, identity = training.context, training.stage, training.identity
    searching = stage is Stage.TRAINED or training.reference in (PARENT, DEFAULT)
    images = context.augmented(
        context.search_images if searching else context.data.train,
        training.candidate.hyperparameters.get("augmentation"),
    )
    for mode in training.modes:
        last = mode is training.modes[-1]
        if mode is not None:
            set_mode(network, mode)
        for epoch in train(
            network,
            plain_step(network, training.config),
            images,
            training.config,
            seed=context.seed(stage.value, identity, *([] if last else [str(mode)])),
            checkpoints=training.folder / ("checkpoints" if last else f"checkpoints-{mode}"),
            until=until if last else None,
        ):
            accuracy = None
            if last and stage is not Stage.FINETUNED and epoch.epoch < until:  # the last one is the trial's outcome
                accuracy = validate(context, network)["accuracy"]
            yield EpochReport(stage.value, identity, **asdict(epoch), accuracy=accuracy)
