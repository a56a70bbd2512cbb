"""Proposers: what to try next, from finished generations alone."""

from search.proposers.base import History, Proposer, make_proposer
from search.proposers.names import PROPOSER_NAMES

__all__ = ["PROPOSER_NAMES", "History", "Proposer", "make_proposer"]
