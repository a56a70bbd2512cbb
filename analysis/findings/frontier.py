"""What a frontier plot shows, as a value: trials, their front and its knee, and what they are compared with."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.findings.front import front_points
from analysis.measures.pareto import Direction, Floats, knee
from analysis.runs.published import published_points
from analysis.runs.schema import BY_NAME
from analysis.runs.trials import Source, directions_of, load_trials, numbers
from analysis.stages import competing, references
from spaces.catalogue import NETWORKS


@dataclass(frozen=True)
class Reference:
    """A published result: the model's name, its place, and its design (auto or manual)."""

    model: str
    x: float
    y: float
    design: str


@dataclass(frozen=True)
class Compared:
    """A network that a run measured for comparison; of `count` trials of one name, the means.

    `name` is the operator of its trials, such as "uniform 2x" or "full precision 1x".
    """

    name: str
    x: float
    y: float
    count: int

    @property
    def full_precision(self) -> bool:
        """Whether it is a twin with float weights and activations, a level to reach rather than a point to beat."""
        return self.name.startswith("full precision")


@dataclass(frozen=True, eq=False)
class FrontierData:
    """What `plot_frontier` draws; all values in the schema's units (fractions, single operations).

    `points` has the shape (finished trials with two finite values, 2), with one entry of `stages` and `generations`
    (NaN where there is none) per point; `front` and `baseline_front` have the shape (points on it, 2), sorted by x.
    `ids` has one entry per point where the trials have ids.
    `counts` has the number of trials of every state, `unusable` that of finished ones without two finite values.
    `compared` are the run's own references, which are not among the points; `trained` are the networks of papers that
    it trained itself, of several trainings of one the means, which are.
    """

    x: str
    y: str
    directions: tuple[Direction, Direction]
    space: str
    dataset: str
    points: Floats
    stages: tuple[str, ...]
    generations: Floats
    front: Floats
    knee: tuple[float, float] | None
    counts: dict[str, int]
    unusable: int
    budget: tuple[float, float] | None
    published: tuple[Reference, ...]
    baseline_name: str
    baseline_front: Floats
    compared: tuple[Compared, ...]
    ids: tuple[str, ...] = ()
    trained: tuple[Compared, ...] = ()

    @property
    def trials(self) -> int:
        """How many trials there are, in any state."""
        return sum(self.counts.values())

    @property
    def placed(self) -> list[Compared | Reference]:
        """The marks that lie at a cost, as trials do; a twin in full precision is a level instead."""
        return [*self.published, *(compared for compared in self.compared if not compared.full_precision)]

    def table(self) -> pd.DataFrame:
        """One row per mark: `kind`, `name`, x and y.

        Kinds are trial, front, knee, reference, trained here, published, baseline and budget.

        `id` is a trial's. The name is a trial's stage, a reference, a published model or the baseline; a budget has two
        rows, its ends, without y.
        """
        ids = self.ids or ("",) * len(self.stages)
        rows: list[tuple[str, str, float, float]] = [
            ("trial", stage, x, y) for stage, (x, y) in zip(self.stages, self.points.tolist(), strict=True)
        ]
        rows += [("front", "", x, y) for x, y in self.front.tolist()]
        rows += [("knee", "", *self.knee)] if self.knee else []
        rows += [("reference", compared.name, compared.x, compared.y) for compared in self.compared]
        rows += [("trained here", network.name, network.x, network.y) for network in self.trained]
        rows += [("published", reference.model, reference.x, reference.y) for reference in self.published]
        rows += [("baseline", self.baseline_name, x, y) for x, y in self.baseline_front.tolist()]
        rows += [("budget", "", end, float("nan")) for end in self.budget or ()]
        table = pd.DataFrame(rows, columns=["kind", "name", self.x, self.y])
        table.insert(2, "id", [*ids, *("" for _ in range(len(rows) - len(ids)))])
        return table


def frontier_data(
    trials: Source,
    x: str = "ops",
    y: str = "accuracy",
    *,
    dataset: str = "",
    budget: tuple[float, float] | None = None,
    published: pd.DataFrame | None = None,
    baseline: tuple[str, Source] | None = None,
    directions: tuple[Direction, Direction] | None = None,
) -> FrontierData:
    """Gather what a frontier plot shows, of trials in all that `load_trials` takes.

    `dataset` is the data set's name; for "imagenet" and operations against accuracy, the binary models of NAS-BNN's
    Table 2 are shown, for "coco" and operations against map the detectors of its Table 3, unless `published` (a frame
    as `published_points` gives it) says otherwise. Published models of 32 bits, without operations, or far beyond the
    trials and the budget are left out. `budget` is the range of `x` that
    was searched, `baseline` the name and the trials of a run to compare with. `x` and `y` are any objectives of the
    schema, such as `params`, `bytes` or `latency_ms` against accuracy, or columns of a table of one's own:
    `directions`, "min" or "max" for each, says which way is better where neither the schema nor a study does.

    Raises `ValueError` where `x` or `y` is not an objective, the budget is not a range, or published points, which are
    accuracy at operations, are asked for beside other objectives.
    """
    if budget is not None and not 0 <= budget[0] < budget[1]:
        raise ValueError(f"a budget is a range from low to high, got {budget}")
    trials = load_trials(trials)
    one, other = directions_of(trials, (x, y), directions)
    directions = (one, other)
    named = [name for name in ("id",) if name in trials.columns]
    numbers(trials, x, y)  # raises where they are not columns of numbers
    # few columns, as copying all of them takes longer than everything else
    compete = competing(trials)
    done = trials.loc[compete, list(dict.fromkeys([*named, "stage", "generation", x, y]))]
    values = numbers(done, x, y)
    usable = np.flatnonzero(np.isfinite(values).all(axis=1))
    points = values[usable]
    best = front_points(trials, x, y, directions)
    at = knee(best, directions)
    states = trials["state"].astype("str").tolist()
    reach = max([*points[:, 0].tolist(), *(budget or ())], default=np.inf)
    return FrontierData(
        x=x,
        y=y,
        directions=directions,
        space=", ".join(sorted(set(trials["space"].dropna().astype("str")))),
        dataset=dataset,
        points=points,
        stages=tuple(done["stage"].astype("str").iloc[usable]),
        generations=numbers(done, "generation")[usable, 0],
        front=best,
        knee=None if at is None else (float(best[at, 0]), float(best[at, 1])),
        counts={state: states.count(state) for state in BY_NAME["state"].choices if state in states},
        unusable=len(values) - len(usable),
        budget=budget,
        published=_published(published, dataset, (x, y), 1.15 * reach),
        baseline_name=baseline[0] if baseline else "",
        baseline_front=front_points(baseline[1], x, y, directions) if baseline else np.empty((0, 2)),
        compared=_compared(references(trials), x, y),
        trained=_trained(trials[compete], x, y),
        ids=tuple(done["id"].astype("str").iloc[usable]) if named else (),
    )


def _compared(trials: pd.DataFrame, x: str, y: str) -> tuple[Compared, ...]:
    """References with two finite values, by name, the cheapest first."""
    return _means(trials["operator"].fillna("reference").astype("str"), numbers(trials, x, y))


def _trained(trials: pd.DataFrame, x: str, y: str) -> tuple[Compared, ...]:
    """Networks of papers among the trials, by name: those whose text form is one, whatever seed they have."""
    if "architecture" not in trials.columns:
        return ()
    names = [str(text).partition(" with ")[0] for text in trials["architecture"]]
    places = [place for place, name in enumerate(names) if name in NETWORKS]
    return _means([names[place] for place in places], numbers(trials, x, y)[places])


def _means(names: Iterable[str], values: Floats) -> tuple[Compared, ...]:
    """The mean of both values of every name, where they are finite, the cheapest first."""
    named: dict[str, list[list[float]]] = {}
    for name, pair in zip(names, values, strict=True):
        if np.isfinite(pair).all():
            named.setdefault(name, []).append(pair.tolist())
    means = {name: np.mean(pairs, axis=0).tolist() for name, pairs in named.items()}
    found = [Compared(name, means[name][0], means[name][1], len(pairs)) for name, pairs in named.items()]
    return tuple(sorted(found, key=lambda compared: (compared.full_precision, compared.x)))


def _published(
    points: pd.DataFrame | None, dataset: str, objectives: tuple[str, str], reach: float
) -> tuple[Reference, ...]:
    """The binary models up to a number of operations, of the points that were given or else of NAS-BNN's tables."""
    y = {("ops", "accuracy"): "top1", ("ops", "map"): "map"}.get(objectives)
    if y is None:
        if points is not None:
            shown = " and ".join(objectives)
            raise ValueError(f"published points have ops and accuracy, and the plot shows {shown}: leave them out")
        return ()
    if points is None and dataset == ("imagenet" if y == "top1" else "coco"):
        points = published_points(dataset)
        points = points[points["source"].str.startswith("NAS-BNN ")]
    if points is None:
        return ()
    found: dict[tuple[float, float], Reference] = {}
    shown = points[(points["precision"] == "1-bit") & (points["ops"] <= reach) & points[y].notna()]
    for model, ops, reached, design in zip(shown["model"], shown["ops"], shown[y], shown["design"], strict=True):
        # several tables list one model, under different names
        found.setdefault((ops, reached), Reference(str(model), float(ops), float(reached), str(design)))
    return tuple(found.values())
