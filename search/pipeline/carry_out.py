"""A run from its first second to its end: what to start from, the search, trainings behind it, the front as files."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from analysis.runs.layout import FRONT_FILE, MANIFEST_FILE
from analysis.stages import PARENT
from models.checkpoints.networks import load_network, load_supernet
from models.families import family_of
from search.config.run import Method
from search.latency.table import Predictor, read_table
from search.outputs.tables import REFERENCES_FILE, draw, export_trials, write_table
from search.pipeline.phases import Chain, Tasks, evaluation_task, fit_task, reference_task, search_task
from search.pipeline.references import reference_proposals
from search.pipeline.trials import EarlyStopping, MakeTask, Propose, Trials
from search.pipeline.view import View
from search.proposers import History, make_proposer
from search.proposers.budget import Budget, require_fast_enough
from search.runs.cleanup import keep_only
from search.runs.folder import Run
from search.runs.fronts import best_per_architecture, front_records, spread
from search.runs.holder import require_held
from search.runs.records import Proposal, Record, Stage, State
from search.runs.study import Study
from search.worker.tasks import Executor, Task, Work

# which stage each method's candidates are in, and which of a run's networks can be deployed as they are
CANDIDATES = {Method.ONE_SHOT: Stage.INHERITED, Method.TRAINING: Stage.TRAINED, Method.DIFFERENTIABLE: Stage.SEARCHED}


def carry_out(run: Run, executor: Executor, view: View) -> None:
    """Do what is left to do of a run; of a finished one, nothing. The caller holds the run's lock."""
    if (run.path / FRONT_FILE).exists():
        return
    _measure_latencies(run, executor, view)
    if run.config.method is Method.ONE_SHOT:
        _train_supernet(run, executor, view)
    elif run.config.parent.used and run.config.method is Method.TRAINING:
        _train_parent(run, executor, view)
    executor.run(Chain(_while_ours(run, _phases(run, view))))


def _measure_latencies(run: Run, executor: Executor, view: View) -> None:
    """The table of latencies, where the search needs one and none is there: before anything else keeps the machine
    busy."""
    if not run.config.search.needs_latency or (run.latencies).exists():
        return
    view.phase("Latencies", 1)
    tasks: list[Task] = [{"kind": "measure_latencies", "exclusive": True}]
    executor.run(Tasks(tasks, view, run.log_epoch, run.config.execution.retries, exclusive=True))


def _train_supernet(run: Run, executor: Executor, view: View) -> None:
    if (run.supernet / MANIFEST_FILE).exists():
        load_supernet(run.supernet)  # raises where it is damaged, before anything is measured with it
        return
    config = run.config
    view.phase("Supernet", run.supernet_epochs)
    tasks: list[Task] = [{"kind": "train_supernet", "exclusive": True}]
    executor.run(Tasks(tasks, view, run.log_epoch, config.execution.retries, exclusive=True))


def _train_parent(run: Run, executor: Executor, view: View) -> None:
    """The largest network, from whose leading channels every candidate starts, as the first trial of the run."""
    known = _study(run, Stage.REFERENCE).records()
    if run.config.parent.checkpoint or any(
        record.operator == PARENT and record.state is State.FINISHED for record in known
    ):
        load_network(run.parent / "network")  # raises where it is damaged, before anything starts from it
        return
    space = run.architectures
    proposal = Proposal(space.format(space.largest()), space.id(space.largest()), PARENT)

    def propose(generation: int, history: History) -> Sequence[Proposal]:
        return [proposal] if generation == 0 else []

    view.phase("Parent", 1)
    executor.run(_trials(run, view, Stage.REFERENCE, propose, reference_task(run.config), "reference", exclusive=True))


def _while_ours(run: Run, phases: Iterator[Work]) -> Iterator[Work]:
    """The phases, as long as the run is held: what stands between two of them writes tables and plots.

    Workers hold nothing. One whose driver was taken for dead ends the epoch or the network it has in hand, and gets no
    other: its report is refused. What it writes until then does no harm, since tensors are named by their content and
    the manifest comes last; on the CPU it is what the new driver's worker writes there.
    """
    for phase in phases:
        yield phase
        require_held(run.path)


def _phases(run: Run, view: View) -> Iterator[Work]:
    """What follows when there is something to start from."""
    searched = _search(run, view)
    yield searched
    export_trials(run)
    found = front_records(searched.records, run.config.search.objectives[1:])
    records = _deployable(run, searched.records)
    for later in (_finetune(run, view, found), _final(run, view, found, searched.records), _references(run, view)):
        if later is not None:
            yield later
            export_trials(run)
            records += _deployable(run, later.records)
    best = best_per_architecture(front_records(records, run.config.search.objectives[1:]))
    compared = [record for record in _references_of(run) if record.state is State.FINISHED]
    deployed = _deploy(run, view, [*best, *compared])
    yield deployed
    draw(run)
    tested = {(result["stage"], result["id"]): result["test_accuracy"] for result in deployed.results}
    if compared:
        write_table(run, REFERENCES_FILE, compared, tested)
    write_table(run, FRONT_FILE, best, tested)  # last: it says that the run has finished


def _search(run: Run, view: View) -> Trials:
    config = run.config
    search, stage = config.search, CANDIDATES[config.method]
    coster = None
    if search.latency_max is not None:
        coster = Predictor(read_table(run.latencies), run.space)
        require_fast_enough(run.space, Budget.of(search, coster))
    proposer = make_proposer(run.space, search, config.seed if search.seed is None else search.seed, coster)
    first = search.first_generation or search.generation

    def propose(generation: int, history: History) -> Sequence[Proposal]:
        before = 0 if generation == 0 else first + (generation - 1) * search.generation
        size = min(search.generation if generation else first, search.trials - before)
        return proposer.propose(generation, size, history) if size > 0 else []

    view.phase("Search", min(search.trials, run.space.count()))
    if config.method is Method.ONE_SHOT:
        many = config.execution.candidates_per_task
        return _trials(run, view, stage, propose, evaluation_task, search.proposer, candidates_per_task=many)
    if config.method is Method.DIFFERENTIABLE:
        return _trials(run, view, stage, propose, search_task, search.proposer)
    training = config.training
    stopping = EarlyStopping(training.rungs, training.reduction) if training.early_stopping else None
    before = training.epochs if training.multi_stage else 0
    task = fit_task(stage, before, stopping.rungs if stopping else ())
    return _trials(
        run, view, stage, propose, task, search.proposer,
        stopping=stopping, ended=lambda records: keep_only(run, stage, records, search.objectives[1:]),
    )  # fmt: skip


def _finetune(run: Run, view: View, found: Sequence[Record]) -> Trials | None:
    """Pipeline 2 of NAS-BNN: networks of the front, trained on from the supernet's weights."""
    config = run.config
    chosen = spread(found, config.finetune.networks)
    if config.method is not Method.ONE_SHOT or not chosen:
        return None
    proposals = [Proposal(record.architecture, record.id, "finetune", (record.id,)) for record in chosen]
    task = fit_task(Stage.FINETUNED)
    return _fixed(run, view, "Finetuning", Stage.FINETUNED, proposals, task)


def _final(run: Run, view: View, found: Sequence[Record], records: Sequence[Record]) -> Trials | None:
    """Final training: of the front's networks or, behind differentiable searches, of the genotypes that were read."""
    config = run.config.final
    if run.config.method is Method.DIFFERENTIABLE:
        proposals = _genotypes(run, config.networks)
    else:
        every = [record for record in records if record.state is State.FINISHED]
        chosen = spread(found if config.choice == "front" else every, config.networks)
        proposals = [Proposal(record.architecture, record.id, "final", (record.id,)) for record in chosen]
    if not proposals:
        return None
    task = fit_task(Stage.FINAL, config.epochs if config.multi_stage else 0)
    return _fixed(run, view, "Final training", Stage.FINAL, proposals, task)


def _genotypes(run: Run, count: int) -> list[Proposal]:
    """The genotypes of the most accurate searches; those that found the same one are its parents together."""
    records = _study(run, Stage.SEARCHED).records()
    finished = [record for record in records if record.state is State.FINISHED]
    finished.sort(key=lambda record: (-record.metrics["accuracy"], record.number))
    space, parents = run.architectures, dict[str, list[str]]()
    for record in finished:
        parents.setdefault(record.facts[run.config.final.genotype], []).append(record.id)
    texts = list(parents)[:count]
    return [Proposal(text, space.id(space.parse(text)), "final", tuple(parents[text])) for text in texts]


def _references(run: Run, view: View) -> Trials | None:
    """Networks to compare with: uniform widths, full-precision twins, the default training."""
    proposals = reference_proposals(run.config, run.architectures)
    if not proposals:
        return None
    generation = 1 if run.config.parent.used and run.config.method is Method.TRAINING else 0
    return _fixed(run, view, "References", Stage.REFERENCE, proposals, reference_task(run.config), generation)


def _references_of(run: Run) -> list[Record]:
    """The networks that the run trained to compare with, the parent left out: its training was another one."""
    return [record for record in _study(run, Stage.REFERENCE).records() if record.operator != PARENT]


def _fixed(
    run: Run, view: View, title: str, stage: Stage, proposals: Sequence[Proposal], task: MakeTask, generation: int = 0
) -> Trials:
    """Trials that are known beforehand; those of earlier generations are there already."""

    def propose(number: int, history: History) -> Sequence[Proposal]:
        if number < generation:
            known = [record for record in _study(run, stage).records() if record.generation == number]
            return [Proposal(record.architecture, record.id, record.operator) for record in known]
        return proposals if number == generation else []

    there = sum(record.generation < generation for record in _study(run, stage).records())
    view.phase(title, there + len(proposals))
    return _trials(run, view, stage, propose, task, "reference" if stage is Stage.REFERENCE else "front")


def _trials(
    run: Run,
    view: View,
    stage: Stage,
    propose: Propose,
    task: MakeTask,
    proposer: str,
    *,
    candidates_per_task: int = 1,
    exclusive: bool = False,
    stopping: EarlyStopping | None = None,
    ended: Callable[[Sequence[Record]], None] | None = None,
) -> Trials:
    execution, space = run.config.execution, run.space

    def encode(text: str) -> Mapping[str, int | str]:
        return space.encode(space.parse(text)) if _is_proposed(stage) else {}

    return Trials(
        _study(run, stage),
        propose,
        encode,
        task,
        view,
        run.log_epoch,
        proposer=proposer,
        candidates_per_task=candidates_per_task,
        workers=execution.workers or os.cpu_count() or 1,
        retries=execution.retries,
        stopping=stopping,
        exclusive=exclusive,
        ended=ended,
    )


def _is_proposed(stage: Stage) -> bool:
    """Whether the trials of a stage are members of the searched space; others are architectures alone."""
    return stage in (*CANDIDATES.values(), Stage.FINETUNED)


def _study(run: Run, stage: Stage) -> Study:
    parameters = run.space.parameters() if _is_proposed(stage) else ()
    return Study(run.journal, stage, run.config.search.objectives, parameters, run.config.seed)


def _deployable(run: Run, records: Sequence[Record]) -> list[Record]:
    """The records whose weights make a network of their own: not those of searches, of mixed edges, of references."""
    without = {Stage.SEARCHED, Stage.REFERENCE}
    if not family_of(run.architectures).candidates_deployable:
        without.add(Stage.INHERITED)
    return [record for record in records if record.stage not in without]


def _deploy(run: Run, view: View, best: Sequence[Record]) -> Tasks:
    """Write the front's networks as files, and measure them on the test split, once."""
    view.phase("Networks", len(best))
    tasks: list[Task] = [
        {"kind": "deploy", "id": record.id, "architecture": record.architecture, "stage": record.stage.value}
        for record in best
    ]
    return Tasks(tasks, view, run.log_epoch, run.config.execution.retries, exclusive=False)
