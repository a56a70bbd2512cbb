"""Networks that a run trains to compare its own with; the frontier plot marks them next to the front."""

from typing import Any

from search.config.run import Method, RunConfig
from search.runs.records import DEFAULT, FULL_PRECISION, UNIFORM, Proposal
from spaces import Space
from spaces.space import content_id, number_text


def reference_proposals(config: RunConfig, space: Space[Any]) -> list[Proposal]:
    """Uniform widths, the full-precision twin of the uniform 1x network or of every network that a run is to train, and
    a given network with its default training (where hyperparameters are searched for it)."""
    proposals: list[Proposal] = []
    if space.uniform_ratios:
        for ratio in config.final.uniform:
            member = space.uniform(ratio)
            name = f"{UNIFORM} {number_text(ratio)}x"
            proposals.append(Proposal(space.format(member), space.id(member), name))
        if config.final.full_precision:
            proposals.append(_twin(space, space.format(space.uniform(1)), "1x"))
    elif config.final.full_precision:
        texts = [space.format(space.unrank(place)) for place in range(space.count())]
        proposals += [_twin(space, text, text) for text in texts]
    if config.method is Method.TRAINING and config.space.architecture is not None and config.space.hyperparameters:
        text = space.format(space.parse(config.space.architecture))
        proposals.append(Proposal(text, _named(space, DEFAULT, text), DEFAULT))
    return proposals


def _twin(space: Space[Any], text: str, name: str) -> Proposal:
    return Proposal(text, _named(space, FULL_PRECISION, text), f"{FULL_PRECISION} {name}")


def _named(space: Space[Any], what: str, text: str) -> str:
    """An id that differs from the architecture's own, since its weights are others."""
    return content_id(space.name, f"{what}: {text}")
