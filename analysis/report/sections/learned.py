"""What a search learned, as tables of the report: operators and genes that paid off, and whether ranks persist."""

import math

import numpy as np

from analysis.findings.agreement import operator_table, stage_correlation, two_stages
from analysis.findings.effects import gene_effects
from analysis.findings.facts import RunFacts
from analysis.report.html import Html, join, table, tag
from analysis.runs.trials import numbers
from analysis.units import percent

MOST_EFFECTS = 12
FEWEST_PAIRS = 4  # with fewer a correlation says nothing
_LATER_WORDS = {
    ("inherited", "finetuned"): "Finetuning ranks networks as the inherited weights did",
    ("inherited", "final"): "Training from scratch ranks networks as the inherited weights did",
    ("trained", "final"): "Final training ranks networks as the short training of candidates did",
}


def operators_table(run: RunFacts) -> Html:
    """The operators that made the front's networks."""
    found = operator_table(run.trials)
    if not len(found):
        return tag("p", "No trial has ended yet.", class_="note")
    values = numbers(found, "trials", "failed", "front", "rate", "low", "high").tolist()
    rows = [
        [operator, *(f"{count:,.0f}" for count in counts), f"{percent(rate)} ({100 * low:.0f} to {100 * high:.0f})"]
        for operator, (*counts, rate, low, high) in zip(found["operator"].astype("str"), values, strict=True)
    ]
    words = (
        "Of the search's own trials and their front, with 95 % intervals. Operators that act late have better parents, "
        "so a higher share alone does not make an operator better."
    )
    head = ("operator", "trials", "failed", "on the front", "share")
    return join([table("Operators", head, rows), tag("p", words, class_="note")])


def effects_table(run: RunFacts) -> Html:
    """The choices whose effect at equal operations can be told from none, the largest first."""
    found = gene_effects(run.trials, space=run.space)
    values = numbers(found, "effect", "low", "high") if len(found) else np.empty((0, 3))
    sure = np.flatnonzero((values[:, 1] > 0) | (values[:, 2] < 0))
    if not len(sure):
        words = "No choice of a gene stands out at equal operations, or there are too few trials to tell."
        return tag("p", words, class_="note")
    order = sure[np.argsort(-np.abs(values[sure, 0]), kind="stable")][:MOST_EFFECTS]
    chosen = found.iloc[order]
    columns = (chosen["gene"], chosen["value"], chosen["trials"], (100 * values[order]).tolist())
    rows = [
        [f"{gene.replace('_', ' ')} = {_plain(value)}", f"{trials:,}", f"{effect:+.2f}", f"{low:+.2f} to {high:+.2f}"]
        for gene, value, trials, (effect, low, high) in zip(*columns, strict=True)
    ]
    words = (
        "By how many points of accuracy trials with a choice exceed what trials of their operations usually reach, "
        "where the 95 % interval leaves out zero. One in twenty does so by chance: take it as a hint for a next space."
    )
    head = ("choice", "trials", "points", "95 % interval")
    return join([table("What a choice is worth at equal operations", head, rows), tag("p", words, class_="note")])


def ranks_words(run: RunFacts) -> str:
    """Whether further training ranks networks as the search did; empty without enough networks."""
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
