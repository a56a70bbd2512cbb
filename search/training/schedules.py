"""How the learning rate and the momentum move within a training."""

import math

from search.config.sections import Schedule, TrainConfig

STEP_SHARES, STEP_FACTOR = (0.3, 0.6, 0.9), 0.1
CYCLE_START, CYCLE_RISE = 20.0, 0.3
LINEAR_RISE, CYCLE_MOMENTUM = 0.45, (0.95, 0.85)


def learning_rate(config: TrainConfig, epochs_done: float) -> float:
    """The rate after a number of epochs, fractions counted: a linear rise over `warmup_epochs`, then the schedule.

    Cosine and linear fall to `final_learning_rate`. Steps multiply by 0.1 after each of `milestones` (0.3, 0.6 and 0.9
    of the epochs where none are given: 60, 120 and 180 of the width search's 200). One-cycle rises from a twentieth
    over three tenths of the epochs and falls to `final_learning_rate`, both as a cosine. Linear one-cycle, that of
    BNAS's public code, rises from a twentieth over 45 % of the epochs, falls back over as many, and then to a hundredth
    of that.
    """
    warmup = min(config.warmup_epochs, config.epochs)
    if epochs_done < warmup:
        return config.learning_rate * (epochs_done + 1e-8) / warmup
    top, last = config.learning_rate, config.final_learning_rate
    progress = min((epochs_done - warmup) / max(config.epochs - warmup, 1e-8), 1.0)
    match config.schedule:
        case Schedule.COSINE:
            return _cosine(top, last, progress)
        case Schedule.STEPS:
            milestones = config.milestones or tuple(share * config.epochs for share in STEP_SHARES)
            return top * STEP_FACTOR ** sum(epochs_done >= milestone for milestone in milestones)
        case Schedule.ONE_CYCLE:
            if progress < CYCLE_RISE:
                return _cosine(top / CYCLE_START, top, progress / CYCLE_RISE)
            return _cosine(top, last, (progress - CYCLE_RISE) / (1 - CYCLE_RISE))
        case Schedule.LINEAR_ONE_CYCLE:
            start = top / CYCLE_START
            if progress > 2 * LINEAR_RISE:
                return start * (1 - 0.99 * (progress - 2 * LINEAR_RISE) / (1 - 2 * LINEAR_RISE))
            return start + (top - start) * _height(progress)
        case Schedule.LINEAR:
            return top + (last - top) * progress
        case Schedule.CONSTANT:
            return top


def momentum(config: TrainConfig, epochs_done: float) -> float:
    """That of SGD after a number of epochs: constant but for linear one-cycle, where it falls from 0.95 to 0.85 while
    the rate rises, and rises again while it falls."""
    if config.schedule is not Schedule.LINEAR_ONE_CYCLE:
        return config.momentum
    warmup = min(config.warmup_epochs, config.epochs)
    progress = min(max(epochs_done - warmup, 0.0) / max(config.epochs - warmup, 1e-8), 1.0)
    high, low = CYCLE_MOMENTUM
    return high - (high - low) * _height(progress)


def _height(progress: float) -> float:
    """How far up the linear cycle is: 0 at its start, 1 at its top, 0 again from twice `LINEAR_RISE` on."""
    return max(0.0, 1 - abs(progress - LINEAR_RISE) / LINEAR_RISE)


def _cosine(start: float, end: float, progress: float) -> float:
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * progress))
