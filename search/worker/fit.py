"""Training one network: a candidate up to a rung, the parent, finetuning, final training, a network to compare with."""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from analysis.runs.layout import MANIFEST_FILE
from analysis.stages import PARENT
from models.checkpoints.networks import load_network, save_network
from models.layers.binary import set_mode
from models.layers.modes import Mode
from models.network import AnyNetwork
from search.config.sections import TrainConfig
from search.data.dataset import Split
from search.runs.records import DEFAULT, FULL_PRECISION, Stage
from search.training.loop import plain_step, train
from search.worker.attempt import Trial
from search.worker.context import Candidate, Context
from search.worker.tasks import Report, Task


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: its first weights, the images, the settings; once for every mode."""

    network: AnyNetwork
    images: Split
    config: TrainConfig
    modes: tuple[Mode | None, ...] = (None,)


def fit(context: Context, task: Task) -> Iterator[Report]:
    """Train the network of one trial up to `until` epochs, measure it, and keep it when its training has ended.

    A trial that was killed goes on from its last epoch; one that was killed behind its training is only measured again.
    """
    (each,) = task["candidates"]
    stage, identity = Stage(task["stage"]), PARENT if each.get("reference") == PARENT else each["id"]
    folder = context.run.weights(stage, identity)
    with Trial(each["number"]) as trial:
        candidate = context.candidate(each["architecture"], stage)
        epochs = _settings(context, stage, candidate, each.get("reference", "")).epochs
        until = min(task.get("until", epochs), epochs)
        if (folder / "network" / MANIFEST_FILE).exists():
            network = load_network(folder / "network").to(context.device)
        else:
            recipe = _recipe(context, stage, candidate, identity, each.get("reference", ""))
            network = recipe.network
            yield from _train(context, recipe, stage, identity, until)
            if stage is Stage.FINETUNED:
                context.recalibrate(network)
            if until == epochs:
                save_network(folder / "network", network, {"stage": stage.value})
        twin = each.get("reference", "").startswith(FULL_PRECISION)
        cost = candidate.full_precision_cost() if twin else context.cost(candidate)
        trial.metrics = {**context.validate(network), **cost, "epochs": task["epochs_before"] + until}
        if (folder / "network").exists():
            for checkpoints in folder.glob("checkpoints*"):
                shutil.rmtree(checkpoints)
    yield {**trial.report(), "last": True}


def _train(context: Context, recipe: Recipe, stage: Stage, identity: str, until: int) -> Iterator[Report]:
    """The training in each mode, one behind the other; only the last one may be paused."""
    for place, mode in enumerate(recipe.modes):
        last = place == len(recipe.modes) - 1
        if mode is not None:
            set_mode(recipe.network, mode)
        for epoch in train(
            recipe.network,
            plain_step(recipe.network, recipe.config),
            recipe.images,
            recipe.config,
            seed=context.seed(stage.value, identity, *([] if last else [str(mode)])),
            checkpoints=context.run.weights(stage, identity) / ("checkpoints" if last else f"checkpoints-{mode}"),
            until=until if last else None,
        ):
            report = {"kind": "epoch", "phase": stage.value, "id": identity, **asdict(epoch)}
            if last and stage is not Stage.FINETUNED and epoch.epoch < until:  # the last one is the trial's outcome
                report["accuracy"] = context.validate(recipe.network)["accuracy"]
            yield report


def _settings(context: Context, stage: Stage, candidate: Candidate, reference: str) -> Any:
    """How a stage trains, with the candidate's hyperparameters in their place."""
    config = context.config
    if stage is Stage.FINETUNED:
        return config.finetune
    if reference == PARENT:
        return config.parent
    if stage is Stage.TRAINED or reference == DEFAULT:
        return config.training.with_values(candidate.hyperparameters)
    own = {name: value for name, value in candidate.hyperparameters.items() if name != "epochs"}
    return config.final.with_values(own)  # final training has epochs of its own


def _recipe(context: Context, stage: Stage, candidate: Candidate, identity: str, reference: str) -> Recipe:
    """What a stage trains, from which weights, and how."""
    config, settings = context.config, _settings(context, stage, candidate, reference)
    searching = stage is Stage.TRAINED or reference in (PARENT, DEFAULT)
    images = context.augmented(
        context.search_images if searching else context.data.train, candidate.hyperparameters.get("augmentation")
    )
    if stage is Stage.FINETUNED:
        return Recipe(context.inherited(candidate.architecture), images, settings)
    if reference == PARENT:
        return Recipe(context.new_network(candidate, identity), images, settings)
    if reference.startswith(FULL_PRECISION):
        return Recipe(context.new_network(candidate, identity, mode=Mode.FWFA), images, settings)
    network = context.new_network(candidate, identity, drop_path=settings.drop_path or None)
    if stage is Stage.TRAINED and config.parent.used:
        context.inherit(network)
    if stage is Stage.FINAL and config.final.start == "inherited":
        trained = load_network(context.run.weights(Stage.TRAINED, identity) / "network")
        network.load_state_dict(trained.state_dict())
    return Recipe(network, images, settings, _modes(settings))


def _modes(config: Any) -> tuple[Mode | None, ...]:
    """Multi-stage training has binary activations with float weights first (BNAS v2, section 2.4)."""
    return (Mode.FWBA, Mode.BWBA) if config.multi_stage else (None,)
