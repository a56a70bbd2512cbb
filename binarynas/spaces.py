"""The package `spaces` as type checkers see it; `binarynas.packages` gives the package itself under this name."""

from spaces import *  # noqa: F403
