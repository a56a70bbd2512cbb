"""Training one network: a candidate up to a rung, the parent, finetuning, final training, a network to compare with."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, replace

from analysis.runs.layout import MANIFEST_FILE
from analysis.stages import PARENT
from models.checkpoints.networks import load_network, save_network
from models.layers.modes import Mode
from models.network import AnyNetwork
from search.config.sections import PlainTrainConfig
from search.config.trainings import NetworkTrainConfig
from search.runs.records import DEFAULT, FULL_PRECISION, EpochReport, Stage
from search.training.batches import class_weights
from search.training.own import TrainingCode
from search.worker.attempt import Attempt
from search.worker.context import Context
from search.worker.measure import candidate_cost, validate
from search.worker.tasks import Fit, Report


class _Training:
    """What is trained for a trial: its settings, its first weights, its images and where it is kept."""

    def __init__(self, context: Context, task: Fit) -> None:
        (trial,) = task.trials
        self.context, self.stage, self.reference = context, task.stage, trial.reference
        self.identity = PARENT if trial.reference == PARENT else trial.id
        self.folder = context.run.weights(task.stage, self.identity)
        self.candidate = context.candidate(trial.architecture, task.stage)
        self.is_twin = trial.reference.startswith(FULL_PRECISION)
        self.config = self._config()
        self.binary = self.config if isinstance(self.config, NetworkTrainConfig) and not self.is_twin else None
        """The settings of a binary network that is trained from its first weights; None for all others."""

    def _config(self) -> PlainTrainConfig:
        """How the network is trained, with the candidate's hyperparameters in their place."""
        config, values = self.context.config, self.candidate.hyperparameters
        if self.stage is Stage.FINETUNED:
            return config.finetune.with_values(values)
        if self.reference == PARENT:
            return config.parent
        if self.stage is Stage.TRAINED or self.reference == DEFAULT:
            return config.training.with_values(values)
        # final training has epochs of its own
        final = config.final.with_values({name: value for name, value in values.items() if name != "epochs"})
        return final.plain() if self.is_twin else final

    def first_weights(self) -> AnyNetwork:
        """The network with the weights that it starts from: the supernet's, the parent's, a candidate's, or random."""
        context, candidate = self.context, self.candidate
        if self.stage is Stage.FINETUNED:
            return context.inherited(candidate.architecture)
        mode = Mode.FWFA if self.is_twin else None
        drop_path = self.binary.drop_path or None if self.binary else None
        network = context.new_network(candidate, self.identity, mode=mode, drop_path=drop_path)
        if self.stage is Stage.TRAINED and context.config.parent.used:
            context.inherit(network)
        if self.stage is Stage.FINAL and context.config.final.start == "inherited":
            trained = load_network(context.run.weights(Stage.TRAINED, self.identity) / "network")
            network.load_state_dict(trained.state_dict())
        return network

    def run(self, network: AnyNetwork, until: int) -> Iterator[Report]:
        """Train in every stage, one after another; only the last one may be paused, after `until` epochs of its own."""
        searching = self.stage is Stage.TRAINED or self.reference in (PARENT, DEFAULT)
        images = self.context.search_images if searching else self.context.data.train
        images = self.context.augmented(images, self.candidate.hyperparameters.get("augmentation"))
        code = self.context.code or TrainingCode.of(self.config.loss, self.config.step)
        weights = class_weights(self.config, images, self.context.device)
        for epoch, last in self.context.train_in_stages(
            network,
            lambda settings, _: code.make_step(
                network, settings, self.candidate.hyperparameters, weights, self.context.precision
            ),
            images,
            self.config,
            purpose=(self.stage.value, self.identity),
            folder=self.folder,
            until=until,
        ):
            accuracy = None
            goes_on = epoch.epoch < self.config.epochs_before + until  # the outcome has the last one
            if last and self.stage is not Stage.FINETUNED and goes_on:
                accuracy = validate(self.context, network)["accuracy"]
            if code.step is not None:
                epoch = replace(epoch, precision=None)  # a step of a user's own chooses it
            yield EpochReport(self.stage.value, self.identity, **asdict(epoch), accuracy=accuracy)

    def cost(self) -> dict[str, float]:
        """What the network costs, as metrics."""
        return self.candidate.full_precision_cost() if self.is_twin else candidate_cost(self.context, self.candidate)


def fit(context: Context, task: Fit) -> Iterator[Report]:
    """Train the network of one trial up to `until` epochs, measure it, and keep it when its training has ended.

    A trial that was killed goes on from its last epoch; one that was killed after its training is only measured again.
    """
    with Attempt(task.trials[0].number) as attempt:
        training = _Training(context, task)
        kept, epochs = training.folder / "network", training.config.last_epochs
        until = epochs if task.until is None else min(task.until, epochs)
        if (kept / MANIFEST_FILE).exists():
            network = load_network(kept).to(context.device)
        else:
            network = training.first_weights()
            yield from training.run(network, until)
            if task.stage is Stage.FINETUNED:
                context.recalibrate(network)
            if until == epochs and context.keeps:
                save_network(kept, network, {"stage": task.stage.value})
        metrics = {**validate(context, network), **training.cost()}
        attempt.metrics = {**metrics, "epochs": training.config.epochs_before + until}
        if kept.exists() and context.keeps:
            for checkpoints in training.folder.glob("checkpoints*"):
                shutil.rmtree(checkpoints)
    yield attempt.outcome()
