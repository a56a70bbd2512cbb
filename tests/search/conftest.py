"""What several search tests share: a tiny space, an accuracy that costs nothing to compute, and a loop over a phase."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from search.config.search import SearchConfig
from search.conformance import TINY
from search.pipeline.trials import Plan, Trials
from search.proposers import make_proposer
from search.runs.records import Outcome, Record, Stage, now
from search.runs.study import Study
from search.worker.tasks import Evaluate, TrialInput, inputs
from spaces import Architecture, NasBnnSpace, get_space

sys.path.insert(0, str(Path(__file__).parent))  # tests of the kit take what those of tables have


class SilentView:
    """A view that shows nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args: None


@pytest.fixture(scope="session")
def tiny() -> NasBnnSpace:
    """A space of some hundred networks for 8-pixel grey images."""
    return TINY


def pretended_accuracy(architecture: Architecture) -> float:
    """Wider and larger kernels are better, with a ripple so that no gene decides alone."""
    capacity = sum(layer.width * layer.kernel_size / layer.groups for layer in architecture.layers())
    return 1 - 1 / (1 + capacity / 200) + 0.01 * math.sin(capacity)


class Search:
    """A search whose trials are pretended, in a folder, that can be stopped after some reports and begun anew."""

    def __init__(self, folder: Path, config: SearchConfig, seed: int = 0, retries: int = 1) -> None:
        self.space = get_space("nasbnn-digits")
        self.config = config
        proposer = make_proposer(self.space, config, seed)
        size = config.generation

        def propose(generation, history):
            wanted = min(size, config.trials - generation * size)
            return proposer.propose(generation, wanted, history) if wanted > 0 else []

        self.trials = Trials(
            Study(folder / "journal.log", Stage.INHERITED, config.objectives, self.space.parameters(), seed),
            Plan(
                propose,
                lambda records: Evaluate(inputs(records)),
                config.proposer,
                lambda text: self.space.encode(self.space.parse(text)),
                candidates_per_task=3,
            ),
            SilentView(),
            lambda report: None,
            workers=2,
            retries=retries,
        )

    def outcome(self, trial: TrialInput, **changes) -> Outcome:
        """What a worker would report of a trial."""
        architecture = self.space.parse(trial.architecture)
        cost = self.space.cost(architecture)
        metrics = {"accuracy": pretended_accuracy(architecture), "ops": cost.ops, "params": cost.params}
        outcome = Outcome(trial.number, metrics, None, now(), 0.1, "host", "1")
        return replace(outcome, **changes) if changes else outcome

    def run(self, reports: int | None = None, *, backwards: bool = False) -> list[Record]:
        """Pass on reports until the search ends or so many have been passed on."""
        while reports != 0 and (task := self.trials.next_task()) is not None:
            for trial in reversed(task.trials) if backwards else task.trials:
                if reports == 0:
                    break
                self.trials.report(task, self.outcome(trial))
                reports = None if reports is None else reports - 1
        return self.trials.records


@pytest.fixture(scope="session")
def search_in() -> type[Search]:
    """Makes a pretended search in any folder."""
    return Search


@pytest.fixture
def make_search(tmp_path: Path) -> Callable[..., Search]:
    """A pretended search in a folder of the test's, or a folder within it."""

    def make(folder: str = "run", seed: int = 0, retries: int = 1, **settings) -> Search:
        (tmp_path / folder).mkdir(exist_ok=True)
        config = SearchConfig(**{"trials": 60, "generation": 20, **settings})
        return Search(tmp_path / folder, config, seed, retries)

    return make
