"""Hyperparameters as a space: the kinds that exist, lists and grids of values, and their product."""

from spaces.hyperparameters.space import Hyperparameters, HyperparameterSpace
from spaces.hyperparameters.values import Grid, Listed

__all__ = ["Grid", "HyperparameterSpace", "Hyperparameters", "Listed"]
