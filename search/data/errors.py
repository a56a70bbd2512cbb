"""The one error that a user of a data set sees, and the list in which problems gather before it is raised."""

from spaces.errors import BinarynasError

SHOWN = 20


class DataError(BinarynasError, ValueError):
    """A data set cannot be used as it is; the message names the file, what is allowed and what to do."""


class Problems:
    """Everything wrong with a data set, gathered so that all of it is told at once.

    `add` keeps the first 20 sentences and counts the rest; `check` raises one `DataError` if there are any.
    """

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, sentence: str) -> None:
        """Note one problem, a whole sentence that names the file."""
        self._count += 1
        if len(self._shown) < SHOWN:
            self._shown.append(sentence)

    def check(self) -> None:
        """Raise `DataError` with every problem noted so far; do nothing when there is none."""
        if not self._count:
            return
        if self._count == 1:
            raise DataError(self._shown[0])
        lines = [f"- {sentence}" for sentence in self._shown]
        if self._count > len(self._shown):
            lines.append(f"- and {self._count - len(self._shown)} more.")
        raise DataError("\n".join([f"{self._count} problems with the data:", *lines]))
