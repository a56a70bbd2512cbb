"""A candidate and its trial: the values that travel between proposers, workers and the study."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class Stage(StrEnum):
    """Where the weights of a trial come from."""

    INHERITED = "inherited"  # a supernet's
    FINETUNED = "finetuned"  # a supernet's, trained on
    TRAINED = "trained"  # a candidate's own, from the training of a search
    SEARCHED = "searched"  # a whole differentiable search
    FINAL = "final"  # final training
    DETECTOR = "detector"  # a detector's own, trained on a given backbone
    SHARED = "shared"  # a shared detector's, with the candidate as its backbone
    REFERENCE = "reference"  # a network to start from or to compare with, never on a front


class State(StrEnum):
    """How far a trial is. Failed trials and pruned ones (stopped early) are never on a front."""

    WAITING = "waiting"
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    PRUNED = "pruned"


@dataclass(frozen=True)
class Proposal:
    """A candidate to try: the text form of an architecture, and how it came about."""

    architecture: str
    id: str
    operator: str
    parents: tuple[str, ...] = ()
    sampler_state: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True)
class Record:
    """One trial. `values` are the objectives in the study's order, `metrics` all that was measured or counted, `facts`
    what was found besides numbers, `rungs` the metrics after each number of epochs at which it was compared."""

    number: int
    stage: Stage
    state: State
    architecture: str
    id: str
    generation: int
    proposer: str
    operator: str
    parents: tuple[str, ...]
    seed: int
    metrics: Mapping[str, float] = field(default_factory=dict[str, float])
    values: tuple[float, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    rungs: Mapping[int, Mapping[str, float]] = field(default_factory=dict[int, Mapping[str, float]])
    sampler_state: Mapping[str, object] = field(default_factory=dict[str, object])
    reason: str | None = None
    attempt: int = 1
    started: datetime | None = None
    seconds: float | None = None
    host: str | None = None
    worker: str | None = None

    @property
    def done(self) -> bool:
        """Whether the trial has ended, well or not."""
        return self.state in (State.FINISHED, State.FAILED, State.PRUNED)

    @property
    def quality(self) -> float:
        """What is maximised: the first objective of a finished trial, the accuracy of one that was stopped early."""
        return self.values[0] if self.values else self.metrics["accuracy"]


@dataclass(frozen=True)
class Outcome:
    """What a worker reports of one trial: metrics, or the reason why there are none."""

    number: int
    metrics: Mapping[str, float]
    reason: str | None
    started: str
    seconds: float
    host: str
    worker: str
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        bad = [name for name, value in self.metrics.items() if not math.isfinite(value)]
        if self.reason is None and (bad or "accuracy" not in self.metrics):
            reason = f"{', '.join(bad)} not finite" if bad else "no accuracy was reported"
            object.__setattr__(self, "reason", reason)


@dataclass(frozen=True)
class EpochReport:
    """What a worker says of one epoch, or of the `share` of it that is done: of which training (`phase` is a trial's
    stage or "supernet", `id` names the network, None where there is one: a supernet's, or that of a shared detector),
    an `Epoch` (`workers` is how many processes train it together, `precision` that of its convolutions, `waiting` the
    share of its time for which the first one waited for images), and the accuracy on validation images where it was
    measured."""

    phase: str
    id: str | None
    epoch: int
    epochs: int
    loss: float
    images_per_second: float
    learning_rate: float
    workers: int = 1
    share: float = 1.0
    precision: str | None = None
    accuracy: float | None = None
    waiting: float = 0.0


UNIFORM, FULL_PRECISION, DEFAULT = "uniform", "full precision", "default training"


def now() -> str:
    """The time as records keep it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat()
