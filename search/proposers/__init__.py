"""Proposers: what to try next, from finished generations alone."""

from search.proposers.base import History, Picker, Proposer, make_proposer

__all__ = ["History", "Picker", "Proposer", "make_proposer"]
