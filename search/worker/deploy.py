"""The front's networks as files, and their accuracy on the test split: the only place that looks there."""

from models.checkpoints.networks import load_network, save_network
from search.runs.records import Stage
from search.training.evaluation import evaluate
from search.worker.context import Context
from search.worker.tasks import Deploy, Deployed


def deploy(context: Context, task: Deploy) -> Deployed:
    """Write one network, unless it is a reference, and measure it on the test split."""
    data, stage = context.data, task.stage
    if stage is Stage.INHERITED:
        network = context.inherited(context.candidate(task.architecture, stage).architecture)
    else:
        network = load_network(context.run.weights(stage, task.id) / "network").to(context.device)
    facts = {"stage": stage.value, "class_names": data.class_names, "mean": data.mean, "std": data.std}
    if stage is not Stage.REFERENCE:
        save_network(context.run.deployed(task.id), network, facts)
    metrics = evaluate(network, data.test, context.config.evaluation.batch_size)
    return Deployed(task.id, stage, metrics["accuracy"], metrics["balanced_accuracy"])
