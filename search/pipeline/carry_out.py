"""A run from its first second to its end: what to start from, the search, later trainings, the front as files."""

import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from analysis.runs.layout import FRONT_FILE, MANIFEST_FILE, NETWORKS_FILE
from analysis.stages import PARENT
from analysis.tables.table import Table, load_table
from models.checkpoints.networks import load_network, load_supernet
from models.families import family_of
from search.config.run import Method
from search.latency.table import Predictor, read_table
from search.outputs.tables import REFERENCES_FILE, draw, export_trials, write_table
from search.pipeline.detection import detector_proposals, proposed_space
from search.pipeline.networks import given_proposals
from search.pipeline.phases import Chain, Networks, Tasks
from search.pipeline.planner.correction import corrected, patience
from search.pipeline.references import reference_proposals
from search.pipeline.stopping.plateau import plateau
from search.pipeline.trials import EarlyStopping, Encode, Plan, Propose, Trials, fit_task
from search.pipeline.view import View
from search.proposers import History, make_proposer
from search.proposers.budget import Budget, require_fast_enough
from search.runs.cleanup import keep_only
from search.runs.folder import Run
from search.runs.fronts import best_per_architecture, front_records, spread
from search.runs.holder import require_held
from search.runs.progress import PLAN, epochs_trained
from search.runs.records import Proposal, Record, Stage, State
from search.runs.study import Study
from search.worker import tasks
from search.worker.tasks import Executor, Work, inputs

CANDIDATES = {
    Method.ONE_SHOT: Stage.INHERITED,
    Method.TRAINING: Stage.TRAINED,
    Method.DIFFERENTIABLE: Stage.SEARCHED,
    Method.DETECTION: Stage.DETECTOR,
    Method.SHARED_DETECTOR: Stage.SHARED,
    Method.NETWORKS: Stage.FINAL,
}
"""The stage of each method's candidates."""

PROPOSED = (*{*CANDIDATES.values()} - {Stage.FINAL}, Stage.FINETUNED)
"""The stages whose trials are members of the searched space; those of others may be architectures alone."""


def carry_out(run: Run, executor: Executor, view: View) -> None:
    """Do what is left to do of a run; of a finished one, nothing. The caller holds the run's lock."""
    if not (run.path / FRONT_FILE).exists():
        Pipeline(run, executor, view).carry_out()


@dataclass(frozen=True)
class Pipeline:
    """A run that is being carried out, and the studies of its stages."""

    run: Run
    executor: Executor
    view: View
    _studies: dict[Stage, Study] = field(default_factory=dict[Stage, Study], init=False)
    _begun: float = field(default_factory=time.monotonic, init=False)

    def carry_out(self) -> None:
        """Make what the candidates start from, and do all phases after it."""
        config = self.run.config
        if config.search.needs_latency and not self.run.latencies.exists():
            # before anything else keeps the machine busy
            self._do("Latencies", 1, tasks.MeasureLatencies())
        if config.method is Method.ONE_SHOT:
            self._train_supernet()
        elif config.method is Method.SHARED_DETECTOR:
            self._train_shared()
        elif config.method is Method.TRAINING and config.parent.used:
            self._train_parent()
        phases = self._while_held(self._phases())
        # phases whose trainings are shared by several workers need others than those that measure candidates
        for work in phases if config.execution.several else (Chain(phases),):
            self.executor.run(work)

    def _do(self, title: str, total: int, task: tasks.Task) -> None:
        """A phase of one task, which has the machine to itself."""
        self.view.phase(title, total)
        self.executor.run(Tasks([task], self.run, self.view))

    def _train_supernet(self) -> None:
        """Train it, or go on; of a planned run with the one correction of the plan after it, or in its midst where
        it takes too long."""
        if (self.run.supernet / MANIFEST_FILE).exists():
            load_supernet(self.run.supernet)  # raises where it is damaged, before anything is measured with it
        if self._to_correct:
            before = epochs_trained(self.run)
            epochs = self.run.supernet_epochs
            self._supernet_epochs(epochs, patience(self.run.config, epochs - before))
            self._correct_plan(before)
        self._supernet_epochs(self._amount("epochs", self.run.supernet_epochs))

    def _supernet_epochs(self, epochs: int, seconds: float | None = None) -> None:
        if not (self.run.supernet / MANIFEST_FILE).exists():
            shown = epochs + self.run.config.supernet.epochs_before
            self._do("Supernet", shown, tasks.TrainSupernet(epochs, seconds))

    @property
    def _to_correct(self) -> bool:
        study = self.study(Stage.INHERITED)
        return self.run.config.plan.seconds > 0 and study.noted(PLAN) is None and not study.records()

    def _correct_plan(self, before: int) -> None:
        """Decide, once and in the journal, how much a planned run still does. The epochs that were trained `before`,
        in an earlier sitting, count with the time that was planned for them."""
        config, seconds, done = self.run.config, time.monotonic() - self._begun, epochs_trained(self.run)
        earlier = before * config.plan.supernet_epoch
        amounts = corrected(config, config.plan.spent + earlier + seconds, seconds, done - before, done)
        self.study(Stage.INHERITED).note(PLAN, asdict(amounts))

    def _train_shared(self) -> None:
        if not (self.run.shared / MANIFEST_FILE).exists():
            self._do("Shared detector", self.run.config.detection.epochs, tasks.TrainShared())

    @property
    def _trials_wanted(self) -> int:
        return self._amount("trials", self.run.config.search.trials)

    def _amount(self, name: str, planned: int) -> int:
        """An amount of the configuration, or what the correction of the plan says instead."""
        noted = self.study(Stage.INHERITED).noted(PLAN) if self.run.config.plan.seconds else None
        return planned if noted is None else noted.get(name, planned)

    def _train_parent(self) -> None:
        """The largest network, from whose leading channels every candidate starts, as the first trial of the run."""
        known = self.study(Stage.REFERENCE).records()
        trained = any(record.operator == PARENT and record.state is State.FINISHED for record in known)
        if self.run.config.parent.checkpoint or trained:
            load_network(self.run.parent / "network")  # raises where it is damaged, before anything starts from it
            return
        space = self.run.architectures
        proposal = Proposal(space.format(space.largest()), space.id(space.largest()), PARENT)
        trials = self._fixed("Parent", Stage.REFERENCE, [proposal])
        assert trials is not None, "there is a proposal"
        self.executor.run(trials)

    def _while_held(self, phases: Iterator[Work]) -> Iterator[Work]:
        """The phases, as long as this process holds the run: between two of them it writes tables and plots.

        Workers hold nothing. One whose driver was taken for dead ends the epoch or the network that it has in hand, and
        gets no other: its report is refused. What it writes until then does no harm, since tensors are named by their
        content and the manifest comes last; on the CPU it is what the new driver's worker writes there.
        """
        for phase in phases:
            yield phase
            require_held(self.run.path)

    def _phases(self) -> Iterator[Work]:
        """What follows when there is something to start from."""
        run, costs = self.run, self.run.config.search.objectives[1:]
        searched = self._search()
        yield searched
        export_trials(run)
        front = front_records(searched.records, costs)
        records = self._deployable(searched.records)
        finetune, final = partial(self._finetune, front), partial(self._final, front, searched.records)
        for begin in (finetune, final, self._references):  # one after another: each tells that its phase begins
            if (later := begin()) is not None:
                yield later
                export_trials(run)
                records += self._deployable(later.records)
        best = best_per_architecture(front_records(records, costs))
        references = self.study(Stage.REFERENCE).records()  # but the parent, whose training was another one
        compared = [each for each in references if each.operator != PARENT and each.state is State.FINISHED]
        given = self.run.config.method is Method.NETWORKS  # all of which someone asked for
        finished = [record for record in records if record.state is State.FINISHED] if given else []
        deploying = [*best, *compared, *(record for record in finished if record not in best)]
        self.view.phase("Networks", len(deploying))
        deployed = Networks(deploying, run, self.view, self.study)
        yield deployed
        draw(run)
        results = [result for result in deployed.results if isinstance(result, tasks.Deployed)]
        tested = {(result.stage.value, result.id): result for result in results}
        if compared:
            write_table(run, REFERENCES_FILE, compared, tested)
        if finished:
            write_table(run, NETWORKS_FILE, finished, tested)
        write_table(run, FRONT_FILE, best, tested)  # last: it says that the run has finished

    def _search(self) -> Trials:
        if self.run.config.method is Method.DETECTION:
            trials = self._fixed("Detectors", Stage.DETECTOR, detector_proposals(self.run))
            assert trials is not None, "`prepare_detection` sees to it that there are networks"
            return trials
        if self.run.config.method is Method.NETWORKS:
            trials = self._fixed("Networks to train", Stage.FINAL, given_proposals(self.run.space))
            assert trials is not None, "a space has members"
            return trials
        run, config, search = self.run, self.run.config, self.run.config.search
        coster = None
        if search.latency_max is not None:
            coster = Predictor(read_table(run.latencies), run.space)
            require_fast_enough(run.space, Budget.of(search, coster))
        seed = config.seed if search.seed is None else search.seed
        proposer = make_proposer(proposed_space(run), search, seed, coster)
        first, wanted = search.first_generation or search.generation, self._trials_wanted

        def propose(generation: int, history: History) -> Sequence[Proposal]:
            before = 0 if generation == 0 else first + (generation - 1) * search.generation
            size = min(search.generation if generation else first, wanted - before)
            if size > 0 and search.stop == "plateau":
                reason = plateau(history.finished, search.objectives, search.plateau)
                if reason:
                    self.study(stage).note_end(reason)
                    self.view.note(f"Search ended after {before} of {wanted} trials: {reason}")
                    return []
            return proposer.propose(generation, size, history) if size > 0 else []

        table = load_table(config.table.source or "") if config.method is Method.TABLE else None
        stage = Stage(table.stage) if table else CANDIDATES[config.method]
        self.view.phase("Search", min(wanted, run.space.count()))
        encode = self._encoder(stage)
        match config.method:
            case Method.ONE_SHOT | Method.SHARED_DETECTOR:
                several = config.execution.candidates_per_task
                plan = Plan(
                    propose,
                    lambda records: tasks.Evaluate(inputs(records), stage),
                    search.proposer,
                    encode,
                    several,
                )
            case Method.DIFFERENTIABLE:
                plan = Plan(propose, lambda records: tasks.SearchCells(inputs(records)), search.proposer, encode)
            case Method.TRAINING:
                training = config.training
                stopping = EarlyStopping(training.rungs, training.reduction) if training.early_stopping else None
                plan = Plan(
                    propose,
                    fit_task(stage, stopping),
                    search.proposer,
                    encode,
                    stopping=stopping,
                    ended=lambda records: keep_only(run, stage, records, search.objectives[1:]),
                )
            case Method.TABLE:
                assert table is not None, "it is loaded above"
                plan = self._lookup_plan(table, stage, propose, encode)
            case Method.DETECTION | Method.NETWORKS:
                raise AssertionError("they are fixed beforehand")
        return self._trials(stage, plan)

    def _lookup_plan(self, table: Table, stage: Stage, propose: Propose, encode: Encode) -> Plan:
        """The plan of a search on a table, in which candidates may be stopped at the epochs that it has them for."""
        config = self.run.config
        if not config.table.early_stopping:
            return Plan(propose, lambda each: tasks.Evaluate(inputs(each), stage), config.search.proposer, encode)
        stopping = EarlyStopping(config.training.rungs_among(table.rungs), config.training.reduction)
        return Plan(propose, fit_task(stage, stopping), config.search.proposer, encode, stopping=stopping)

    def _finetune(self, front: Sequence[Record]) -> Trials | None:
        """Pipeline 2 of NAS-BNN: networks of the front, trained on from the supernet's weights."""
        config = self.run.config
        chosen = (
            spread(front, self._amount("networks", config.finetune.networks))
            if config.method is Method.ONE_SHOT
            else []
        )
        return self._fixed("Finetuning", Stage.FINETUNED, _again(chosen, "finetune"))

    def _final(self, front: Sequence[Record], searched: Sequence[Record]) -> Trials | None:
        """Final training: of networks of the front or, after differentiable searches, of genotypes that they found."""
        config = self.run.config.final
        if self.run.config.method is Method.DIFFERENTIABLE:
            proposals = self._genotypes(searched, config.networks)
        else:
            every = [record for record in searched if record.state is State.FINISHED]
            proposals = _again(spread(front if config.choice == "front" else every, config.networks), "final")
        return self._fixed("Final training", Stage.FINAL, proposals)

    def _genotypes(self, searched: Sequence[Record], count: int) -> list[Proposal]:
        """The genotypes of the most accurate searches; those that found the same one are its parents together."""
        finished = [record for record in searched if record.state is State.FINISHED]
        finished.sort(key=lambda record: (-record.metrics["accuracy"], record.number))
        space, parents = self.run.architectures, dict[str, list[str]]()
        for record in finished:
            parents.setdefault(record.facts[self.run.config.final.genotype], []).append(record.id)
        texts = list(parents)[:count]
        return [Proposal(text, space.id(space.parse(text)), "final", tuple(parents[text])) for text in texts]

    def _references(self) -> Trials | None:
        """Networks to compare with: uniform widths, full-precision twins, the default training."""
        proposals = reference_proposals(self.run.config, self.run.architectures)
        after_parent = self.run.config.method is Method.TRAINING and self.run.config.parent.used
        return self._fixed("References", Stage.REFERENCE, proposals, 1 if after_parent else 0)

    def _fixed(self, title: str, stage: Stage, proposals: Sequence[Proposal], generation: int = 0) -> Trials | None:
        """Trainings that are known beforehand, in one generation; those of earlier ones are in the journal. None
        without proposals."""
        if not proposals:
            return None
        earlier = [record for record in self.study(stage).records() if record.generation < generation]

        def propose(number: int, history: History) -> Sequence[Proposal]:
            if number < generation:
                known = [record for record in earlier if record.generation == number]
                return [Proposal(record.architecture, record.id, record.operator) for record in known]
            return proposals if number == generation else []

        self.view.phase(title, len(earlier) + len(proposals))
        task, proposer = fit_task(stage), "reference" if stage is Stage.REFERENCE else "front"
        exclusive = any(proposal.operator == PARENT for proposal in proposals)
        plan = Plan(propose, task, proposer, self._encoder(stage), exclusive=exclusive, together=True)
        return self._trials(stage, plan)

    def _trials(self, stage: Stage, plan: Plan) -> Trials:
        execution, log = self.run.config.execution, self.run.log_epoch
        workers = execution.workers or os.cpu_count() or 1
        return Trials(self.study(stage), plan, self.view, log, workers=workers, retries=execution.retries)

    def study(self, stage: Stage) -> Study:
        """The study of a stage, opened once."""
        if stage not in self._studies:
            config = self.run.config
            parameters = self.run.space.parameters() if stage in PROPOSED else ()
            search = config.search
            study = Study(self.run.journal, stage, search.objectives, parameters, config.seed, search.constraints)
            self._studies[stage] = study
        return self._studies[stage]

    def _encoder(self, stage: Stage) -> Encode:
        space = self.run.space
        return (lambda text: space.encode(space.parse(text))) if stage in PROPOSED else (lambda text: {})

    def _deployable(self, records: Sequence[Record]) -> list[Record]:
        """The records whose weights are a network of its own: not those of searches, mixed edges or references."""
        without = {Stage.SEARCHED, Stage.REFERENCE}
        if not family_of(self.run.architectures).candidates_deployable:
            without.add(Stage.INHERITED)
        return [record for record in records if record.stage not in without]


def _again(records: Sequence[Record], operator: str) -> list[Proposal]:
    """The candidates of some trials, for a later stage."""
    return [Proposal(record.architecture, record.id, operator, (record.id,)) for record in records]
