"""The error about data sets, which lists everything wrong with one at once."""

from collections.abc import Sequence

from spaces.errors import BinarynasError

_SHOWN = 20


class DataError(BinarynasError, ValueError):
    """A data set cannot be used as it is; the message names the file, what is allowed and what to do."""


def refuse(problems: Sequence[str]) -> None:
    """Raise `DataError` with the problems of a data set, each a whole sentence that names the file: the first 20, and
    how many more. Does nothing where there are none."""
    if len(problems) == 1:
        raise DataError(problems[0])
    if problems:
        more = [f"and {len(problems) - _SHOWN} more."] if len(problems) > _SHOWN else []
        lines = (f"- {sentence}" for sentence in [*problems[:_SHOWN], *more])
        raise DataError("\n".join([f"{len(problems)} problems with the data:", *lines]))
