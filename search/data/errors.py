"""The error about data sets, and the list that collects problems before it is raised."""

from spaces.errors import BinarynasError

_SHOWN = 20


class DataError(BinarynasError, ValueError):
    """A data set cannot be used as it is; the message names the file, what is allowed and what to do."""


class Problems:
    """Everything wrong with a data set, to be reported at once: the first 20 sentences, and how many more."""

    def __init__(self) -> None:
        self._shown: list[str] = []
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def add(self, sentence: str) -> None:
        """Note one problem, a whole sentence that names the file."""
        self._count += 1
        if self._count <= _SHOWN:
            self._shown.append(sentence)

    def check(self) -> None:
        """Raise `DataError` with the problems noted so far; do nothing where there are none."""
        if self._count == 1:
            raise DataError(self._shown[0])
        if self._count:
            more = [f"and {self._count - _SHOWN} more."] if self._count > _SHOWN else []
            lines = (f"- {sentence}" for sentence in self._shown + more)
            raise DataError("\n".join([f"{self._count} problems with the data:", *lines]))
