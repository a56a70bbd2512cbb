"""What the stages of trials stand for: which are a search's own, which may be on a front, what they are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analysis.runs.schema import BY_NAME

if TYPE_CHECKING:
    import pandas as pd

STAGES = BY_NAME["stage"].choices
SEARCH_STAGES = ("inherited", "trained")  # the candidates of a search, one by one
# a reference is there to compare with, and a differentiable search is no network: its genotype is one, trained later
NEVER_ON_A_FRONT = ("searched", "reference")
PARENT = "parent"  # the operator of the network from whose weights candidates start
# the stage in which the networks of a stage are trained on
LATER = {"inherited": "finetuned", "trained": "final", "searched": "final"}

WORDS = {
    "inherited": "weights from the supernet",
    "finetuned": "finetuned",
    "scratch": "trained from scratch",
    "trained": "trained as candidates",
    "searched": "differentiable searches",
    "final": "trained to the end",
    "reference": "for comparison",
}
SHORT = {
    "inherited": "supernet's", "finetuned": "finetuned", "scratch": "from scratch", "trained": "candidate's",
    "searched": "a search", "final": "final", "reference": "for comparison",
}  # fmt: skip


def search_stage(trials: pd.DataFrame) -> str:
    """The stage whose trials a search is judged by: its candidates, inherited or trained.

    For differentiable searches these are the networks that were read out of them, which are trained to the end.

    >>> import pandas as pd
    >>> search_stage(pd.DataFrame({"stage": ["trained", "final", "reference"]}))
    'trained'
    """
    found = set(trials["stage"].dropna().astype("str"))
    if "searched" in found and not found & set(SEARCH_STAGES):
        return LATER["searched"]
    return next((stage for stage in SEARCH_STAGES if stage in found), SEARCH_STAGES[0])


def of_stage(trials: pd.DataFrame, stage: str | None = None) -> pd.DataFrame:
    """The trials of a stage; where none is named, of the one that the search is judged by (see `search_stage`)."""
    return trials[trials["stage"] == (stage or search_stage(trials))]


def competing(trials: pd.DataFrame) -> pd.Series[bool]:
    """Which trials count: finished ones, except those that are there for comparison and differentiable searches.

    A pruned trial has the accuracy of a part of its budget, so it does not count either. The index is that of `trials`.
    """
    return (trials["state"] == "finished").fillna(value=False) & ~trials["stage"].isin(NEVER_ON_A_FRONT)


def references(trials: pd.DataFrame) -> pd.DataFrame:
    """The finished trials that are there for comparison; the parent, whose training was another one, is not."""
    return trials[(trials["state"] == "finished") & (trials["stage"] == "reference") & (trials["operator"] != PARENT)]
