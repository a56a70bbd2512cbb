"""A family of spaces that this room has never heard of: its runs have a report, and plots that do not apply say so."""

import json
import random
from dataclasses import asdict, dataclass
from typing import ClassVar

import pytest

from analysis import (
    cell_data,
    channels_data,
    choose,
    frontier_data,
    gene_effects,
    gene_importance,
    gene_table,
    genes_data,
    load_trials,
    parallel_data,
    plot_frontier,
    plot_gene_effects,
    plot_gene_frequency,
    plot_genes_along_front,
    plot_importance,
    plot_parallel,
    report_html,
    run_facts,
    summary_table,
)
from spaces import Cost, LayerCost, declarations

RUNGS = (2, 3, 5)


@dataclass(frozen=True)
class LadderSpace:
    """Ladders of three rungs, each of a width, on posts of a kind: what this room asks a space for, and no more."""

    family: ClassVar[str] = "ladder"

    name: str
    posts: tuple[str, ...] = ("oak", "pine")
    image_size: int = 8
    classes: int = 10
    channels: int = 1

    @classmethod
    def from_declaration(cls, fields):
        return cls(**{**fields, "posts": tuple(fields["posts"])})

    def declaration(self):
        return {"family": self.family, **asdict(self)}

    def genes(self):
        return {"post": self.posts, **{f"rung_{place}": RUNGS for place in (1, 2, 3)}}

    def count(self):
        return len(self.posts) * len(RUNGS) ** 3

    def smallest(self):
        return ("oak", 2, 2, 2)

    def largest(self):
        return ("oak", 5, 5, 5)

    def format(self, member):
        return "#".join(map(str, member))

    def parse(self, text):
        post, *rungs = text.split("#")
        return (post, *map(int, rungs))

    def encode(self, member):
        return {"post": member[0]} | {f"rung_{place}": rung for place, rung in enumerate(member[1:], 1)}

    def cost(self, member):
        return Cost(tuple(LayerCost(f"rung {n}", n, 8, 0, 0, 64_000 * n, n, n) for n in member[1:]))


LADDERS = LadderSpace("ladders")


@pytest.fixture
def run(make_run, make_row, monkeypatch):
    """A finished run whose accuracy is decided by the first rung and, a little, by the posts."""
    monkeypatch.setitem(declarations.FAMILIES, "ladder", (__name__, "LadderSpace"))
    rng = random.Random(0)
    rows = []
    for number in range(120):
        member = (rng.choice(LADDERS.posts), *(rng.choice(RUNGS) for _ in range(3)))
        cost = LADDERS.cost(member)
        accuracy = 0.5 + 0.05 * member[1] + 0.02 * (member[0] == "oak") + 0.002 * sum(member[2:])
        text = {"architecture": LADDERS.format(member), "id": f"{number:012x}", "space": LADDERS.name}
        rows.append(make_row(number, cost.ops, accuracy, stage="trained", params=cost.params, **text))
    folder = make_run(rows=rows)
    info = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(info | {"space": LADDERS.declaration()}))
    return folder


def test_its_runs_are_read_and_reported(run):
    facts = run_facts(run)
    assert (facts.space, facts.notes) == (LADDERS, ())
    page = report_html([run])
    for said in ("ladders: 54 networks of 6.00 K OPs to 15.0 K OPs", "rung 5", "post", "rung 1 = 5", "finished trials"):
        assert said in page, said
    assert "cannot be" not in page
    assert "The cells of the front" not in page
    assert "How the runs compare" in report_html([run, run / "trials.parquet"])
    assert choose(run).architecture.startswith("oak#5")


def test_its_genes_are_those_of_the_space(run):
    trials = load_trials(run)
    table = gene_table(trials["architecture"], LADDERS)
    assert list(table.columns) == ["post", "rung_1", "rung_2", "rung_3"]
    assert table.iloc[0].tolist() == [*LADDERS.parse(trials["architecture"][0])]
    found = gene_importance(trials, space=LADDERS)
    assert found.frame["feature"][0] == "rung_1"
    effects = gene_effects(trials, space=LADDERS).set_index(["gene", "value"])["effect"]
    assert effects["rung_1", 5] > effects["rung_1", 3] > effects["rung_1", 2]
    assert effects["post", "oak"] > effects["post", "pine"]
    assert "oak" in words(plot_gene_effects(effects.reset_index().assign(low=0.0, high=0.1)))
    assert "rung_1" in words(plot_importance(found))


def test_plots_of_other_families_say_so_in_a_sentence(run):
    trials = load_trials(run)
    assert summary_table(trials["architecture"]).isna().all().all()
    assert gene_table(trials["architecture"]).shape == (120, 0)
    assert "inherited" not in words(plot_frontier(frontier_data(trials)))
    assert "120 trials" in words(plot_parallel(parallel_data(trials)))
    data = genes_data(trials)
    for figure in (plot_gene_frequency(data), plot_genes_along_front(data)):
        assert "of the front without stages of layers" in words(figure)
    with pytest.raises(ValueError, match="space 'ladders' have no stages of layers"):
        channels_data(trials["architecture"], LADDERS)
    with pytest.raises(ValueError, match="'oak#"):
        cell_data("oak#2#3#5")


def words(figure) -> str:
    figure.draw_without_rendering()
    axes = figure.axes[0]
    ticks = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    return "\n".join([axes.get_title(loc="left"), *(text.get_text() for text in [*axes.texts, *ticks])])
