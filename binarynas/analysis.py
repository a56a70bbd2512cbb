"""The package `analysis` as type checkers see it; `binarynas.packages` gives the package itself under this name."""

from analysis import *  # noqa: F403
