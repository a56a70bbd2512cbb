"""What a search taught, as tables of the report: which operators and genes paid, and whether ranks last."""

from __future__ import annotations

import math

import numpy as np

from analysis.findings.agreement import operator_table, stage_correlation, two_stages
from analysis.findings.effects import gene_effects
from analysis.findings.facts import RunFacts
from analysis.report.html import Html, join, table, tag
from analysis.runs.trials import numbers
from analysis.units import percent

MOST_EFFECTS = 12
FEWEST_PAIRS = 4  # of which a correlation says anything
_LATER_WORDS = {
    ("inherited", "finetuned"): "Finetuning ranks networks as the inherited weights did",
    ("inherited", "final"): "Training from nothing ranks networks as the inherited weights did",
    ("trained", "final"): "Final training ranks networks as the short training of candidates did",
}


def operators_table(run: RunFacts) -> Html:
    """Which operator made the front's networks."""
    found = operator_table(run.trials)
    if not len(found):
        return tag("p", "No trial has ended yet.", class_="note")
    counts = numbers(found, "trials", "failed", "front").tolist()
    shares = numbers(found, "rate", "low", "high").tolist()
    rows = [
        [operator, f"{trials:,.0f}", f"{failed:,.0f}", f"{front:,.0f}",
         f"{percent(rate)} ({100 * low:.0f} to {100 * high:.0f})"]
        for operator, (trials, failed, front), (rate, low, high) in zip(
            found["operator"].astype("str").tolist(), counts, shares, strict=True
        )
    ]  # fmt: skip
    words = (
        "Of the search's own trials and their front, with 95 % intervals. Operators that act late have better parents, "
        "so a higher share alone makes none better."
    )
    return join(
        [table(("operator", "trials", "failed", "on the front", "share"), rows), tag("p", words, class_="note")]
    )


def effects_table(run: RunFacts) -> Html:
    """The choices whose effect at equal operations is told apart from none, the largest first."""
    found = gene_effects(run.trials, space=run.space)
    values = numbers(found, "effect", "low", "high") if len(found) else np.empty((0, 3))
    sure = np.flatnonzero((values[:, 1] > 0) | (values[:, 2] < 0))
    if not len(sure):
        words = "No choice of a gene stands out at equal operations, or there are too few trials to tell."
        return tag("p", words, class_="note")
    order = sure[np.argsort(-np.abs(values[sure, 0]), kind="stable")][:MOST_EFFECTS].tolist()
    genes = [str(gene).replace("_", " ") for gene in found["gene"].tolist()]
    choices = found["value"].tolist()
    counts = numbers(found, "trials")[:, 0].tolist()
    rows = [
        [f"{genes[at]} = {_plain(choices[at])}", f"{counts[at]:,.0f}", f"{100 * values[at, 0]:+.2f}",
         f"{100 * values[at, 1]:+.2f} to {100 * values[at, 2]:+.2f}"]
        for at in order
    ]  # fmt: skip
    words = (
        "How many points of accuracy trials with a choice lie above what trials of their operations usually reach, "
        "where the 95 % interval leaves out zero. One in twenty does so by chance: take it as a hint for a next space."
    )
    head = ("choice", "trials", "points", "95 % interval")
    return join([table(head, rows), tag("p", words, class_="note")])


def ranks_words(run: RunFacts) -> str:
    """Whether later training ranks networks as the search did; empty without enough networks."""
    found = stage_correlation(run.trials)
    tau = found.kendall
    stages = two_stages(run.trials)
    if stages not in _LATER_WORDS or found.pairs < FEWEST_PAIRS or not math.isfinite(tau.value):
        return ""
    return (
        f"{_LATER_WORDS[stages]} with Kendall's tau {tau.value:.2f} "
        f"({tau.low:.2f} to {tau.high:.2f}, {found.pairs} networks): 1 is the same order, 0 none."
    )


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
