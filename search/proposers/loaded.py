"""Proposers that a configuration names as `package.module:Name`: a sampler, or a proposer of the user's own."""

import inspect
import math
from datetime import UTC, datetime
from typing import cast

from optuna.samplers import BaseSampler

from search.config.search import SearchConfig
from search.config.sections import ConfigError
from search.extensions import load_extension
from search.proposers.base import A, History, Proposer, make_proposer
from search.proposers.budget import Coster
from search.proposers.samplers import AnySamplerProposer
from search.runs.records import Proposal, Record, Stage, State
from search.seeds import derive_rng
from spaces import Space
from spaces.errors import BinarynasError

_REHEARSED = 12  # trials with which samplers leave their random beginning


def loaded_proposer(space: Space[A], config: SearchConfig, seed: int, coster: Coster | None = None) -> Proposer[A]:
    """The proposer that `config.proposer` names; `optuna:GPSampler` stands for `optuna.samplers:GPSampler`.

    Raises `ConfigError` for what is neither a sampler nor a proposer, or cannot be made with the options.
    """
    package, _, name = config.proposer.partition(":")
    where = f"optuna.samplers:{name}" if package == "optuna" else config.proposer
    kind = load_extension(where, "search.proposer")
    if not isinstance(kind, type) or inspect.isabstract(kind):
        raise ConfigError(f"search.proposer {config.proposer} is {kind!r}: name a class that can be made")
    if issubclass(kind, BaseSampler):
        return AnySamplerProposer(kind, space, config, seed, coster)
    if not issubclass(kind, Proposer):
        raise ConfigError(
            f"search.proposer {config.proposer} is neither a sampler of Optuna's kind (optuna.samplers.BaseSampler) "
            "nor a Proposer of ours (search.Proposer)"
        )
    try:
        return cast("type[Proposer[A]]", kind)(space, config, seed, coster)
    except TypeError as error:
        raise ConfigError(
            f"search.proposer {config.proposer} is made with space, config, seed and coster, which failed: {error}"
        ) from error


def rehearse(space: Space[A], config: SearchConfig, seed: int) -> None:
    """Let the proposer of a configuration propose, after trials that are made up, so that what is wrong with it is
    found before anything is trained. Raises `ConfigError`."""
    config = config.model_copy(update={"latency_max": None})
    proposer = make_proposer(space, config, seed)
    rng, records = derive_rng(seed, "rehearsal"), list[Record]()
    try:
        _check(space, config, proposer.propose(0, 2, History(())))
        for _ in range(_REHEARSED):
            records.append(_made_up(space, config, space.sample(rng), len(records)))
        _check(space, config, proposer.propose(1, 2, History(tuple(records))))
    except BinarynasError:
        raise
    except Exception as error:  # whatever a user's code or a sampler raises
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"search.proposer {config.proposer} cannot propose for this search: {reason}") from error


def _made_up(space: Space[A], config: SearchConfig, member: A, number: int) -> Record:
    accuracy = 0.5 + 0.4 * math.sin(number)
    others = dict.fromkeys((*config.objectives, *config.constraints), 1.0 + number)
    metrics = {**others, **space.cost(member).metrics(), "accuracy": accuracy, "loss": 1 - accuracy}
    return Record(
        number=number,
        stage=Stage.INHERITED,
        state=State.FINISHED,
        architecture=space.format(member),
        id=space.id(member),
        generation=0,
        proposer=config.proposer,
        operator="random",
        parents=(),
        seed=0,
        metrics=metrics,
        started=datetime.now(UTC),
    )


def _check(space: Space[A], config: SearchConfig, proposals: object) -> None:
    """Raise `ConfigError` for what is no list of proposals of different members."""
    found = cast("list[object]", proposals) if isinstance(proposals, list) else [proposals]
    given = [each for each in found if isinstance(each, Proposal)]
    if len(given) < len(found):
        wrong = next(each for each in found if each not in given)
        raise ConfigError(f"search.proposer {config.proposer} must return a list of Proposal, got {wrong!r}")
    ids = [each.id for each in given]
    real = [space.id(space.parse(each.architecture)) for each in given]
    if ids != real or len(set(ids)) < len(ids):
        raise ConfigError(f"search.proposer {config.proposer} must return members once each, with the space's own ids")
