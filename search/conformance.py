"""The laws of all proposers, as assertions for the tests of one's own.

    from search.conformance import check_proposer
    check_proposer(MyProposer)

Every law takes a proposer's class, or a function with the arguments of `Proposer.__init__`. Nothing is trained: the
accuracy of a candidate is a function of its operations.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Protocol

from search.config.search import SearchConfig
from search.config.space import AnySpace
from search.proposers.base import History, Proposer
from search.proposers.budget import Coster
from search.runs.records import Proposal, Record, Stage, State
from search.seeds import derive_rng
from spaces import NasBnnSpace, get_space
from spaces import Stage as SpaceStage

AnyProposer = Proposer[Any]
SPACE = get_space("nasbnn-digits")
TINY = NasBnnSpace(
    "tiny",
    stem_widths=(4, 8),
    stem_stride=1,
    stages=(
        SpaceStage(depths=(1, 2), widths=(8, 16), kernel_sizes=(3, 5), groups=(1, 2), stride=2),
        SpaceStage(depths=(1,), widths=(16, 32), kernel_sizes=(3,), groups=(2, 4), stride=2),
    ),
    image_size=8,
    classes=10,
    channels=1,
)
"""A space of some hundred networks for 8-pixel grey images."""


class Make(Protocol):
    """A proposer's class, or a function like it."""

    def __call__(
        self, space: AnySpace, config: SearchConfig, seed: int, coster: Coster | None = None, /
    ) -> AnyProposer:
        """A proposer of one's own."""
        ...


class TextLength:
    """Latencies that have little to do with operations: a millisecond per character of a member's text."""

    def latency_ms(self, member: object) -> float:
        """See `Coster.latency_ms`."""
        return float(len(str(member)))


def check_proposer(make: Make) -> None:
    """Raise `AssertionError` where a proposer breaks one of the laws."""
    for law in LAWS:
        law(make)


def check_members(
    make: Make, space: AnySpace = SPACE, ops_min: float | None = None, ops_max: float | None = None
) -> None:
    """Candidates are members within the limits, as many as are wanted, none twice; names and ids are the space's."""
    config = SearchConfig(ops_min=ops_min, ops_max=ops_max, generation=20)
    records = run(make(space, config, 0), space, generations=3)
    assert len(records) == 60, "a generation is complete as long as the space holds enough members"
    assert len({record.id for record in records}) == 60, "no candidate is proposed twice"
    for record in records:
        member = space.parse(record.architecture)
        assert config.limits.contains(space.cost(member).ops), f"{record.architecture} is outside the limits"
        assert (record.architecture, record.id) == (space.format(member), space.id(member))


def check_narrow_limits(make: Make) -> None:
    """The same within limits that leave few members."""
    check_members(make, ops_min=15e3, ops_max=30e3)
    check_members(make, ops_max=4e3)


def check_repeatable(make: Make, space: AnySpace = SPACE) -> None:
    """The same arguments give the same candidates: from one proposer twice, and from another one after an interruption,
    in whatever order, however often, wherever and how fast the trials ran."""
    config = SearchConfig(generation=20)
    proposer, records = make(space, config, 0), list[Record]()
    for generation in range(4):
        history = History(tuple(records))
        proposals = proposer.propose(generation, 20, history)
        assert proposals == proposer.propose(generation, 20, history), "a proposer keeps no state"
        resumed = make(space, config, 0)
        assert proposals == resumed.propose(generation, 20, History(tuple(map(_elsewhere, records))))
        records += trials(space, proposals, generation, records)


def check_seed(make: Make, space: AnySpace = SPACE) -> None:
    """Another seed gives other candidates."""
    first, second = (run(make(space, SearchConfig(generation=20), seed), space, generations=2) for seed in (1, 2))
    assert {record.id for record in first} != {record.id for record in second}


def check_exhaustion(make: Make, space: AnySpace = TINY) -> None:
    """A small space is tried whole; then there are fewer candidates than wanted, and at last none."""
    records = run(make(space, SearchConfig(generation=50), 0), space, size=50, generations=40)
    assert len({record.id for record in records}) == len(records) == space.count()


def check_failures(make: Make, space: AnySpace = TINY) -> None:
    """Candidates that failed or were stopped early are not tried again, not even where a whole generation failed."""

    def state(number: int) -> State:
        return State.FAILED if number < 20 or number % 3 == 0 else State.PRUNED if number % 5 == 0 else State.FINISHED

    records = run(make(space, SearchConfig(generation=20), 0), space, generations=4, state=state)
    assert len({record.id for record in records}) == len(records) == 80


def check_latency(
    make: Make, space: AnySpace = SPACE, coster: Coster | None = None, latency_max: float | None = None
) -> None:
    """Candidates keep the limits of operations and of latency; by default half of the space is too slow."""
    coster, rng = coster or TextLength(), derive_rng(0, "latencies")
    limit = latency_max or median(coster.latency_ms(space.sample(rng)) for _ in range(64))
    config = SearchConfig(generation=12, latency_max=limit, ops_min=space.cost(space.smallest()).ops + 1)
    records = run(make(space, config, 0, coster), space, size=12, generations=2)
    assert len({record.id for record in records}) == 24
    for record in records:
        member = space.parse(record.architecture)
        assert coster.latency_ms(member) <= limit, f"{record.architecture} is too slow"
        assert config.limits.contains(space.cost(member).ops), f"{record.architecture} is outside the limits"


LAWS: tuple[Callable[[Make], None], ...] = (
    check_members, check_repeatable, check_seed, check_failures, check_exhaustion, check_latency, check_narrow_limits,
)  # fmt: skip


def run(
    proposer: AnyProposer,
    space: AnySpace,
    *,
    size: int = 20,
    generations: int,
    state: Callable[[int], State] = lambda number: State.FINISHED,
) -> list[Record]:
    """The pretended trials of a search, up to the first generation that is empty; `state` is that of a trial number."""
    records: list[Record] = []
    for generation in range(generations):
        proposals = proposer.propose(generation, size, History(tuple(records)))
        if not proposals:
            break
        assert len(proposals) <= size
        records += trials(space, proposals, generation, records, state)
    return records


def trials(
    space: AnySpace,
    proposals: Iterable[Proposal],
    generation: int,
    before: Sequence[Record] = (),
    state: Callable[[int], State] = lambda number: State.FINISHED,
) -> list[Record]:
    """Pretended trials of some proposals, numbered from those before; more operations give more accuracy."""
    found: list[Record] = []
    for number, proposal in enumerate(proposals, len(before)):
        ops = space.cost(space.parse(proposal.architecture)).ops
        failed = state(number) is State.FAILED
        record = Record(
            number=number,
            stage=Stage.INHERITED,
            state=state(number),
            architecture=proposal.architecture,
            id=proposal.id,
            generation=generation,
            proposer="",
            operator=proposal.operator,
            parents=proposal.parents,
            seed=0,
            metrics={} if failed else {"accuracy": 1 - 1 / ops, "ops": ops},
            sampler_state=proposal.sampler_state,
        )
        found.append(record)
    return found


def _elsewhere(record: Record) -> Record:
    """The same trial, run later than those with higher numbers, on another machine, at a second attempt."""
    started = datetime.now(UTC) - timedelta(seconds=record.number)
    return replace(record, attempt=2, started=started, seconds=1.0 + record.number, host="another", worker="9")
