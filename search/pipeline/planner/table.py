"""A plan as a table: what, how much, how long."""

from collections.abc import Iterator

from analysis.units import plural
from search.config.run import RunConfig
from search.config.sections import StagedTrainConfig
from search.config.trainings import FinalConfig, FinetuneConfig
from search.pipeline.planner.survey import Machine, Survey


def rows(config: RunConfig, found: Survey, here: Machine) -> list[tuple[str, str, str]]:
    """The rows for a person: each part of the run, its amount, and the predicted time."""
    plan, smallest, largest = config.plan, min(found.per_class), max(found.per_class)
    deployed = config.finetune.networks + 2
    amounts = (
        ("images", f"{found.train} to train on, {found.validation} to choose by, {found.test} to test", 0.0),
        ("classes", f"{found.classes}, of {smallest} to {largest} training images", 0.0),
        ("sizes", f"{found.smallest_side} to {found.largest_side} pixels, {found.channels} channels", 0.0),
        ("machine", f"{here.cores} cores, {here.memory / 2**30:.0f} GiB{', CUDA' if here.cuda else ''}", 0.0),
        ("space", f"{config.space.name}, one-shot: a supernet, then its members", 0.0),
        ("augmentation", f"shift by {config.data.crop_padding or 0} pixels, policy {config.data.policy}", 0.0),
        ("reading, measuring", "", plan.spent),
        (
            "supernet",
            f"{config.supernet.epochs} epochs in batches of {config.supernet.batch_size}{_taught(config.supernet)}",
            config.supernet.epochs * plan.supernet_epoch,
        ),
        ("search", f"{config.search.trials} candidates", config.search.trials * plan.candidate),
        (
            "finetuning",
            _of_networks(config.finetune),
            config.finetune.networks * config.finetune.total_epochs * plan.finetune_epoch,
        ),
        *_final(config),
        ("networks of the front", f"about {deployed}, tested and written", deployed * plan.network + plan.closing),
    )
    total = sum(seconds for *_, seconds in amounts)
    all_of = ("in all", f"of {duration(plan.seconds)}" if plan.seconds else "", total)
    return [(what, much, duration(seconds) if seconds else "") for what, much, seconds in (*amounts, all_of)]


def _final(config: RunConfig) -> Iterator[tuple[str, str, float]]:
    final = config.final
    if final.networks:
        seconds = final.networks * final.total_epochs * config.plan.final_epoch
        yield "final training", _of_networks(final), seconds


def _of_networks(training: FinetuneConfig | FinalConfig) -> str:
    return f"{plural(training.networks, 'network')}, {training.total_epochs} epochs{_taught(training)}"


def _taught(training: StagedTrainConfig) -> str:
    return f", {len(training.teachers)} teaching" if training.teachers else ""


def duration(seconds: float) -> str:
    """Seconds for people.

    >>> duration(45), duration(600), duration(5400)
    ('45 s', '10.0 min', '1.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
