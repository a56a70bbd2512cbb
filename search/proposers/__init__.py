"""Proposers: what to try next, from finished generations alone."""

from search.config.search import PROPOSER_NAMES
from search.proposers.base import History, Proposer
from search.proposers.registry import make_proposer

__all__ = ["PROPOSER_NAMES", "History", "Proposer", "make_proposer"]
