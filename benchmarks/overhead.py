"""What the platform itself costs: seconds a trial that Tune and the study add to a bare loop, how they grow with the
number of trials, and how many bytes of a supernet's weights reach the workers of several nodes.

    python benchmarks/overhead.py [added] [growth] [bytes]

`added` runs 500 trivial trials with 1, 2 and 8 workers on Ray; `growth` proposes and finishes up to 10,000 pretended
trials and resumes them; `bytes` evaluates 200 candidates on two nodes of one machine. All three without a name.
"""

import argparse
import json
import logging
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from analysis.units import quantity
from search.config.run import RunConfig
from search.config.search import SearchConfig
from search.pipeline.trials import Plan, Trials
from search.proposers import make_proposer
from search.runs.records import Outcome, Stage, now
from search.runs.study import Study
from search.worker.tasks import REPORTS, Evaluate, Report, Task, TrialInput, from_json, inputs
from spaces import get_space

ROUNDS = 3
LIMIT = 150
"""Seconds for one search on Ray."""

UNITS = {
    "added": "ms a trial in all",
    "between": "ms a trial from the first report to the last",
    "processor": "ms of this process's processor time a trial",
    "edges": "s before the first report and after the last",
}


class Silent:
    """A view that shows nothing."""

    def __getattr__(self, name: str):
        return lambda *args: None


def trials_in(folder: Path, count: int, *, workers: int, per_task: int, proposer: str = "evolution") -> Trials:
    """A search of the digits space in a folder."""
    space = get_space("nasbnn-digits")
    config = SearchConfig(trials=count, generation=64, proposer=proposer)
    proposals = make_proposer(space, config, 0)

    def propose(generation: int, history):
        wanted = min(config.generation, count - generation * config.generation)
        return proposals.propose(generation, wanted, history) if wanted > 0 else []

    return Trials(
        Study(folder / "journal.log", Stage.INHERITED, config.objectives, space.parameters(), 0),
        Plan(
            propose,
            lambda records: Evaluate(inputs(records)),
            proposer,
            lambda text: space.encode(space.parse(text)),
            candidates_per_task=per_task,
        ),
        Silent(),
        lambda report: None,
        workers=workers,
        retries=0,
    )


class Trivial:
    """A worker whose accuracies are made up."""

    def __init__(self, path: Path) -> None:
        self._space = get_space("nasbnn-digits")

    def run(self, task: Evaluate) -> Iterator[Report]:
        for trial in task.trials:
            cost = self._space.cost(self._space.parse(trial.architecture))
            metrics = {"accuracy": random.Random(trial.id).random(), "ops": cost.ops, "params": cost.params}
            yield Outcome(trial.number, metrics, None, now(), 0.0, "here", str(os.getpid()))


def bare_loop(count: int) -> float:
    """Seconds a trial of the trivial evaluation alone, of architectures drawn at random."""
    space, worker, rng = get_space("nasbnn-digits"), Trivial(Path()), random.Random(0)
    texts = [space.format(space.sample(rng)) for _ in range(count)]
    start = time.perf_counter()
    for number, text in enumerate(texts):
        list(worker.run(Evaluate((TrialInput(number, text, text),))))
    return (time.perf_counter() - start) / count


def work_off(trials: Trials) -> None:
    """Do every task here, one after another."""
    worker = Trivial(Path())
    while (task := trials.next_task()) is not None:
        for report in worker.run(task):
            trials.report(task, report)


def measured(make: Any, count: int, workers: int) -> dict[str, float] | None:
    """One search on Ray; milliseconds are a trial. None, and a line why, where it does not end in time."""
    from search.execution.cluster import connect

    with tempfile.TemporaryDirectory() as name:
        execution = {"workers": workers, "threads": 1, "training_threads": 8}
        space = get_space("nasbnn-digits")
        run = SimpleNamespace(path=Path(name), space=space, config=RunConfig.model_validate({"execution": execution}))
        connect(run.config.execution, None)
        trials, marks = trials_in(run.path, count, workers=workers, per_task=4), list[float]()
        take = trials.report

        def report(task: Task, report: Report) -> None:
            marks.append(time.perf_counter())
            take(task, report)

        trials.report = report  # type: ignore[method-assign]
        signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
        signal.alarm(LIMIT)
        start, processor = time.perf_counter(), time.process_time()
        try:
            make(run).run(trials)
        except KeyboardInterrupt:
            waited = f"the first after {marks[0] - start:.0f} s, " if marks else ""
            print(f"{workers} workers: stopped at {LIMIT} s with {len(marks)} of {count} trials, {waited}", end="")
            return None
        finally:
            signal.alarm(0)
        end, processor = time.perf_counter(), time.process_time() - processor
    between = marks[-1] - marks[0]
    each = {"added": end - start, "between": between, "processor": processor}
    return {**{key: 1000 * value / count for key, value in each.items()}, "edges": end - start - between}


def added(count: int = 500) -> None:
    """What Tune and the study add to a trial."""
    import search.execution.tune as tune_executor

    bare = bare_loop(count)
    print(f"bare loop: {1000 * bare:.2f} ms a trial")
    with tempfile.TemporaryDirectory() as name:
        start, processor = time.perf_counter(), time.process_time()
        work_off(trials_in(Path(name), count, workers=1, per_task=4))
        alone, processor = (time.perf_counter() - start) / count, (time.process_time() - processor) / count
    print(
        f"with the study, in one process: {1000 * (alone - bare):.2f} ms a trial added, "
        f"{1000 * processor:.2f} ms of the processor"
    )
    tune_executor.Worker = Trivial  # type: ignore[assignment,misc]

    class Hollow(tune_executor.RunTrial):
        """The trainable around a trivial worker: made here, so that it travels by value."""

        def setup(self, config):
            self._limit = self._problem = None
            self._run_name = "trivial"
            self.worker = Trivial(Path())
            self.reset_config(config)

    tune_executor.RunTrial = Hollow  # type: ignore[misc]
    for workers, rounds in ((2, ROUNDS), (1, ROUNDS), (8, 1)):
        found = [measured(tune_executor.TuneExecutor, count, workers) for _ in range(rounds)]
        print(f"{workers} workers, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: ", end="")
        if None in found:
            print("no result", flush=True)
            continue
        for name, unit in UNITS.items():
            values = [case[name] for case in found if case]
            print(f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f}) {unit}; ", end="")
        print(flush=True)
    import ray

    ray.shutdown()


def growth() -> None:
    """How proposing, the journal and resuming grow."""
    for proposer in ("evolution", "nsga2"):
        for count in (500, 2000, 10_000):
            with tempfile.TemporaryDirectory() as name:
                start = time.perf_counter()
                trials = trials_in(Path(name), count, workers=2, per_task=4, proposer=proposer)
                work_off(trials)
                took = time.perf_counter() - start
                size = (Path(name) / "journal.log").stat().st_size
                start = time.perf_counter()
                again = trials_in(Path(name), count, workers=2, per_task=4, proposer=proposer)
                assert again.next_task() is None
                resumed = time.perf_counter() - start
            print(
                f"{proposer}, {count} trials: {1000 * took / count:.2f} ms a trial to propose and record, "
                f"journal {quantity(size, 'B')}, resumed in {resumed:.2f} s",
                flush=True,
            )


def mapping(pid: int, file: str) -> dict[str, int]:
    """How many bytes of a file that a process maps are in memory, and how many of them it has a copy of its own of."""
    sums, within = {"Rss": 0, "Private_Dirty": 0}, False
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        name, _, value = line.partition(":")
        if "-" in name.split(" ")[0]:
            within = file in line
        elif within and name in sums:
            sums[name] += 1024 * int(value.split()[0])
    return sums


def sent_bytes() -> None:
    """What reaches the workers of two nodes for 200 candidates."""
    import search.execution.tune as tune_executor  # sets up what Ray reads when it is imported

    # isort: split
    import ray
    from ray.cluster_utils import Cluster

    from search.config.loading import load_config
    from search.pipeline.carry_out import carry_out
    from search.pipeline.prepare import prepare
    from search.runs.locking import writing

    sizes = ["data.train_limit=256", "data.validation_limit=128", "data.test_limit=64", "search.trials=200"]
    settings = [*sizes, "supernet.epochs=0", "evaluation.recalibration_batches=1", "finetune.networks=0"]
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    counts = {"tasks": 0, "reports": 0, "trials": 0, "store": 0}
    seen: dict[str, dict[str, int]] = {}
    make = tune_executor._Feeder.suggest

    def counted(self, trial_id: str):
        trial = make(self, trial_id)
        if isinstance(trial, dict):
            counts["tasks"] += len(json.dumps(trial))
            counts["trials"] += 1
        return trial

    class Listener(tune_executor._Listener):
        def _take_result(self, trial_id, result):
            counts["reports"] += len(result.get("report", ""))
            total, free = ray.cluster_resources(), ray.available_resources()
            used = total.get("object_store_memory", 0) - free.get("object_store_memory", 0)
            counts["store"] = max(counts["store"], int(used))
            report = from_json(result["report"], REPORTS) if result.get("report") else None
            if isinstance(report, Outcome) and report.number % 10 == 9:
                sums = mapping(int(report.worker), "supernet/trained/tensors")
                best = seen.setdefault(report.worker, {})
                best.update({kind: max(value, best.get(kind, 0)) for kind, value in sums.items()})
            super()._take_result(trial_id, result)

    tune_executor._Feeder.suggest = counted  # type: ignore[method-assign]
    tune_executor._Listener = Listener  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as name:
        config = load_config("nasbnn-digits", settings, {"execution": {"workers": 2, "address": cluster.address}})
        run = prepare(config, Path(name) / "run")
        with writing(run):
            carry_out(run, tune_executor.TuneExecutor(run), Silent())  # type: ignore[arg-type]
        weights = sum(file.stat().st_size for file in (run.supernet).glob("*.safetensors"))
    print(f"weights {quantity(weights, 'B')}; 200 copies of them would be {quantity(200 * weights, 'B')}")
    print(f"sent: {quantity(counts['tasks'], 'B')} of tasks, {quantity(counts['reports'], 'B')} of reports")
    print(f"in Ray's object stores at most {quantity(counts['store'], 'B')}")
    for pid, sums in seen.items():
        there, own = sums.get("Rss", 0), sums.get("Private_Dirty", 0)
        print(f"worker {pid} maps the file: {quantity(there, 'B')} of it in memory, {quantity(own, 'B')} copied")
    ray.shutdown()
    cluster.shutdown()


def main() -> None:
    """Run what was named."""
    parts = {"added": added, "growth": growth, "bytes": sent_bytes}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[[], *parts], default=[])
    chosen = parser.parse_args().parts or list(parts)
    for part in chosen:
        print(f"== {part}")
        parts[part]()


if __name__ == "__main__":
    sys.exit(main())
