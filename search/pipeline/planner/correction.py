"""The one correction of a planned run: when the supernet is trained, or has taken too long, what is left of the time
decides the rest."""

from dataclasses import dataclass

from search.config.run import RunConfig

AIM = 0.92
"""The share of its time that a plan means to use."""
LEAST_TRIALS, MOST_NETWORKS = 8, 16
SHARES = {"supernet": 0.4, "search": 0.1, "finetune": 0.5}
"""Of the time that is left for training and searching; a supernet that took too long has its share for last epochs."""
_SLOWDOWN = (0.7, 8.0)  # what was faster need not stay so: part of that time is a reserve
_PATIENCE = 1.2  # times what was planned for the supernet


@dataclass(frozen=True)
class Amounts:
    """What is left to decide: epochs of the supernet in all, candidates of the search, networks that are finetuned."""

    epochs: int
    trials: int
    networks: int


def patience(config: RunConfig, epochs: int) -> float | None:
    """Seconds that so many epochs of the supernet may take before the plan is corrected in their midst."""
    return _PATIENCE * epochs * config.plan.supernet_epoch or None


def corrected(config: RunConfig, elapsed: float, supernet_seconds: float, epochs: int, done: int) -> Amounts:
    """The amounts that fit, after `elapsed` seconds of the run in all and `done` epochs of the supernet.

    `supernet_seconds` were taken by `epochs` of the supernet just now: by as much as they were slower or faster than
    planned, the rest is taken to be. Without any the plan's own speeds hold.
    """
    plan, finetune = config.plan, config.finetune
    final = config.final.networks * config.final.total_epochs * plan.final_epoch
    slower = supernet_seconds / (epochs * plan.supernet_epoch) if epochs and plan.supernet_epoch else 1.0
    slower = min(max(slower, _SLOWDOWN[0]), _SLOWDOWN[1])
    networks = finetune.networks + 2
    left = AIM * plan.seconds - elapsed - slower * (networks * plan.network + final + plan.closing)
    left = max(left, 0.0) / slower
    missing = config.supernet.epochs - done
    if missing > 0 and plan.supernet_epoch:
        missing = min(missing, max(1, int(SHARES["supernet"] * left / plan.supernet_epoch)))
        left -= missing * plan.supernet_epoch
    each = finetune.total_epochs * plan.finetune_epoch
    tuned = finetune.networks
    if each:  # one, where that is all that there is time for
        share = SHARES["finetune"] / (SHARES["search"] + SHARES["finetune"])
        tuned = min(int(share * left / each) or int(each <= left), MOST_NETWORKS)
    trials = int((left - tuned * each) / plan.candidate) if plan.candidate else config.search.trials
    return Amounts(done + missing, max(LEAST_TRIALS, trials), tuned)
