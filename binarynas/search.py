"""The package `search` as type checkers see it; `binarynas.packages` gives the package itself under this name."""

from search import *  # noqa: F403
