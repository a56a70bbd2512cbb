"""The stages of trials: which are a search's own, which may be on a front, and what they are called."""

from typing import TYPE_CHECKING

from analysis.runs.schema import BY_NAME

if TYPE_CHECKING:  # the names of stages are read where pandas is not needed
    import pandas as pd

STAGES = BY_NAME["stage"].choices
SEARCH_STAGES = ("inherited", "trained", "detector", "shared")  # the candidates of a search, one trial each
# references are measured to compare with; a differentiable search is not a network, but finds one that is trained later
NEVER_ON_A_FRONT = ("searched", "reference")
PARENT = "parent"  # the operator of the network from whose weights candidates start
# the stage in which networks of a stage are trained further
LATER = {"inherited": "finetuned", "trained": "final", "searched": "final"}
WORDS = {
    "inherited": "weights from the supernet",
    "finetuned": "finetuned",
    "scratch": "trained from scratch",
    "trained": "trained as candidates",
    "searched": "differentiable searches",
    "final": "trained to the end",
    "reference": "for comparison",
    "detector": "trained detectors",
    "shared": "weights from a shared detector",
    "trial": "trials",  # that no run of ours made
}
# whose weights a network of a table has
SHORT = WORDS | {
    "inherited": "supernet's",
    "scratch": "from scratch",
    "trained": "candidate's",
    "final": "final",
    "shared": "shared detector's",
}


def score_of(stage: str) -> str:
    """What the column `accuracy` is in trials of a stage, in words.

    >>> score_of("detector"), score_of("final")
    ('mAP', 'accuracy')
    """
    return "mAP" if stage in ("detector", "shared") else "accuracy"


def search_stage(trials: "pd.DataFrame") -> str:
    """The stage whose trials a search is judged by: its candidates, inherited or trained.

    For differentiable searches it is that of the networks that they found, which are trained to the end, as are given
    networks, of a run without a search.

    >>> import pandas as pd
    >>> search_stage(pd.DataFrame({"stage": ["trained", "final", "reference"]}))
    'trained'
    >>> search_stage(pd.DataFrame({"stage": ["final"]}))
    'final'
    """
    found = set(trials["stage"].dropna().astype("str"))
    if "searched" in found and not found & set(SEARCH_STAGES):
        return LATER["searched"]
    others = [stage for stage in found if stage not in STAGES]  # that no run of ours made
    others += ["final"] if "final" in found else []
    return next((stage for stage in SEARCH_STAGES if stage in found), (*others, SEARCH_STAGES[0])[0])


def of_stage(trials: "pd.DataFrame", stage: str | None = None) -> "pd.DataFrame":
    """The trials of a stage, by default of the one that the search is judged by (see `search_stage`)."""
    return trials[trials["stage"] == (stage or search_stage(trials))]


def competing(trials: "pd.DataFrame") -> "pd.Series[bool]":
    """Which trials compete for the front: the finished ones, except references and differentiable searches.

    A pruned trial was trained for a part of its budget only, so its accuracy does not count either. The index is that
    of `trials`.
    """
    return (trials["state"] == "finished").fillna(value=False) & ~trials["stage"].isin(NEVER_ON_A_FRONT)


def references(trials: "pd.DataFrame") -> "pd.DataFrame":
    """The finished trials that were measured for comparison, except the parent, whose training differs from theirs."""
    return trials[(trials["state"] == "finished") & (trials["stage"] == "reference") & (trials["operator"] != PARENT)]
