"""Hyperparameters as a space: lists, grids and ranges of values, conditions, and their product."""

from spaces.hyperparameters.space import Hyperparameters, HyperparameterSpace
from spaces.hyperparameters.values import Between, Grid, Listed

__all__ = ["Between", "Grid", "HyperparameterSpace", "Hyperparameters", "Listed"]
