"""The package `models` as type checkers see it; `binarynas.packages` gives the package itself under this name."""

from models import *  # noqa: F403
