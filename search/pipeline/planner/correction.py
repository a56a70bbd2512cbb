"""The one correction of a planned run: when the supernet is trained, what is left of the time decides the rest."""

from dataclasses import dataclass

from search.config.run import RunConfig

AIM = 0.92
"""The share of its time that a plan means to use."""
LEAST_TRIALS, MOST_NETWORKS = 8, 16
_SEARCH_SHARE = 0.6  # of what is left for search and finetuning
_SLOWDOWN = (0.25, 8.0)


@dataclass(frozen=True)
class Amounts:
    """What is left to decide: candidates of the search, and networks that are finetuned."""

    trials: int
    networks: int


def corrected(config: RunConfig, elapsed: float, supernet_seconds: float, epochs: int) -> Amounts:
    """The amounts that fit, after `elapsed` seconds of the run in all.

    `supernet_seconds` were taken by `epochs` of the supernet just now: by as much as they were slower or faster than
    planned, the rest is taken to be. Without any the plan's own speeds hold.
    """
    plan, finetune = config.plan, config.finetune
    slower = supernet_seconds / (epochs * plan.supernet_epoch) if epochs and plan.supernet_epoch else 1.0
    slower = min(max(slower, _SLOWDOWN[0]), _SLOWDOWN[1])
    networks = finetune.networks + 2
    left = AIM * plan.seconds - elapsed - slower * (networks * plan.network + plan.closing)
    left = max(left, 0.0) / slower
    trials = int(_SEARCH_SHARE * left / plan.candidate) if plan.candidate else config.search.trials
    each = finetune.epochs * plan.finetune_epoch
    tuned = int((1 - _SEARCH_SHARE) * left / each) if each else finetune.networks
    return Amounts(max(LEAST_TRIALS, trials), min(max(tuned, 1), MOST_NETWORKS))
