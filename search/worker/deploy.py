"""The front's networks as files, and their accuracy on the test split: the only place that looks there."""

from collections.abc import Iterator

from models.checkpoints.networks import load_network, save_network
from search.runs.records import Stage
from search.training.evaluation import evaluate
from search.worker.context import Context
from search.worker.tasks import Report, Task


def deploy(context: Context, task: Task) -> Iterator[Report]:
    """Write one network, and measure it on the test split."""
    stage, identity = Stage(task["stage"]), task["id"]
    if stage is Stage.INHERITED:
        network = context.inherited(context.candidate(task["architecture"], stage).architecture)
    else:
        network = load_network(context.run.weights(stage, identity) / "network").to(context.device)
    data = context.data
    facts = {"stage": stage.value, "class_names": data.class_names, "mean": data.mean, "std": data.std}
    if stage is not Stage.REFERENCE:
        save_network(context.run.deployed(identity), network, facts)
    metrics = evaluate(network, data.test, context.config.evaluation.batch_size)
    yield {
        "kind": "deployed",
        "id": identity,
        "stage": stage.value,
        "test_accuracy": metrics["accuracy"],
        "last": True,
    }
