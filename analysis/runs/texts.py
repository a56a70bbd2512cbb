"""The two parts of a candidate's text form: its architecture, and its hyperparameters."""

import re
from contextlib import suppress

Gene = int | float | str

WITH = " with "  # between an architecture and its hyperparameters
_HYPERPARAMETER = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(\S+)")


def split_text(text: str) -> tuple[str, str]:
    """The architecture and the hyperparameters of a text form; either is empty where the text has none.

    >>> split_text("1-0.5-2 with learning_rate=0.01"), split_text("seed=3"), split_text("1-2")
    (('1-0.5-2', 'learning_rate=0.01'), ('', 'seed=3'), ('1-2', ''))
    """
    architecture, separator, hyperparameters = text.partition(WITH)
    if not separator and _HYPERPARAMETER.match(text):
        return "", text
    return architecture.strip(), hyperparameters.strip()


def hyperparameters_of(text: str) -> dict[str, Gene]:
    """The hyperparameters of a text form, alone or after an architecture; numbers are numbers.

    Raises `ValueError` for a word that is not a hyperparameter.

    >>> hyperparameters_of("1-0.5-2 with learning_rate=0.01 optimiser=sgd epochs=4")
    {'learning_rate': 0.01, 'optimiser': 'sgd', 'epochs': 4}
    """
    found: dict[str, Gene] = {}
    for word in split_text(text)[1].split():
        match = _HYPERPARAMETER.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is not a hyperparameter; write name=value, as in learning_rate=0.01")
        found[match[1]] = _number(match[2])
    return found


def _number(text: str) -> Gene:
    for kind in (int, float):
        with suppress(ValueError):
            return kind(text)
    return text
