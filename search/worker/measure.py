"""How networks are measured: accuracy and loss on the validation images, and what they cost."""

from collections.abc import Callable

import torch
from torch import nn

from analysis.runs.schema import LATENCY, TEST_ACCURACY
from models.families import family_of
from models.onebit.engine import Engine
from models.onebit.lowering.lower import lower
from search.data.dataset import Split
from search.latency.programs import program_of
from search.latency.table import measure_network
from search.training.evaluation import evaluate, evaluate_calls
from search.worker.context import Context
from search.worker.device import has_vectors
from spaces import Candidate

FEWEST_IMAGES = 128
"""On fewer images the 1-bit engine takes longer than torch to evaluate a network, as it must be lowered first."""


def validate(context: Context, network: nn.Module) -> dict[str, float]:
    """Accuracy and loss on the validation split; with `evaluation.test` the test split's accuracy as well."""

    def measure(split: Split) -> dict[str, float]:
        return evaluate(network, split, context.config.evaluation.batch_size)

    return _measured(context, measure)


def validate_candidate(context: Context, network: nn.Module) -> dict[str, float]:
    """As `validate`, with the 1-bit engine where the configuration asks for it, or where that is faster."""
    if not _wants_engine(context):
        return validate(context, network)
    engine, threads = Engine(lower(network)), context.config.execution.threads

    def call(images: torch.Tensor) -> torch.Tensor:
        return engine(images, threads=threads)

    def measure(split: Split) -> dict[str, float]:
        return evaluate_calls(call, split, context.config.evaluation.batch_size, torch.device("cpu"))

    return _measured(context, measure)


def _measured(context: Context, measure: Callable[[Split], dict[str, float]]) -> dict[str, float]:
    tested = {TEST_ACCURACY: measure(context.data.test)["accuracy"]} if context.config.evaluation.test else {}
    return {**measure(context.data.validation), **tested}


def _wants_engine(context: Context) -> bool:
    """Whether candidates of a supernet are evaluated by the 1-bit engine. `auto` takes it where it was measured to be
    faster: networks of NAS-BNN on the CPU, where it is native with vectors, and at least `FEWEST_IMAGES`. Signs, and so
    classes, are those of the float simulation (`models.layers.tail.Tail.finish`), which other machines take."""
    wanted = context.config.evaluation.engine
    if wanted != "auto":
        return wanted == "onebit"
    enough = len(context.data.validation) >= FEWEST_IMAGES
    exact = family_of(context.run.architectures).engine_exact
    return exact and enough and context.device.type == "cpu" and has_vectors()


def candidate_cost(context: Context, candidate: Candidate) -> dict[str, float]:
    """What a candidate costs, as metrics; with its latency where the search asks for that."""
    space, architecture = candidate.space, candidate.architecture
    metrics = candidate.cost()
    if not context.config.search.needs_latency:
        return metrics
    if context.config.execution.latency == "measured":
        latency = measure_network(context.run.latencies, space, architecture)
    else:
        latency = context.latencies.predict(program_of(space, architecture))
    return {**metrics, LATENCY: latency}
