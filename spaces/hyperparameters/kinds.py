"""The hyperparameters that trainings of ours read, and the values that each can have; and what others can have."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from spaces.errors import listed, unknown
from spaces.parameters import Value

__all__ = ["BINARISERS", "KNOWN", "Number", "Value", "Whole", "Word", "kind_of", "objections"]

BINARISERS = {
    "dorefa": "DoReFa",
    "xnor": "Xnor",
    "bireal": "BiReal",
    "reactnet": "ReActNet",
    "reste": "ReSTE",
    "recu": "ReCU",
    "ovsw": "OvSW",
    "biper": "BiPer",
}
"""The binarisers by name: the class of each in `models.layers.binarisers`, named here so that no torch is loaded."""


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included."""

    low: int
    high: int

    def allows(self, value: Value) -> bool:
        """Whether a value is of this kind and within the range."""
        return type(value) is int and self.low <= value <= self.high

    def __str__(self) -> str:
        return "whole numbers" if self.high == _MOST else f"whole numbers from {self.low} to {self.high}"


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def allows(self, value: Value) -> bool:
        """Whether a value is of this kind and within the range."""
        return isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high

    def __str__(self) -> str:
        return "numbers" if self.high >= 1e308 else f"numbers from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class Word:
    """One of several words."""

    words: tuple[str, ...]

    def allows(self, value: Value) -> bool:
        """Whether a value is one of the words."""
        return value in self.words

    def __str__(self) -> str:
        return f"words out of {listed(self.words)}"


_RATE = Number(1e-8, 10)

KNOWN: dict[str, Whole | Number | Word] = {
    # every training
    "learning_rate": _RATE,
    "weight_decay": Number(0, 1),
    "optimiser": Word(("sgd", "adam", "adamw")),
    "schedule": Word(("cosine", "steps", "one-cycle", "linear-one-cycle", "constant")),
    "momentum": Number(0, 0.999),
    "label_smoothing": Number(0, 0.99),
    "augmentation": Word(("none", "flip", "crop", "crop+flip")),
    "batch_size": Whole(2, 65_536),
    "epochs": Whole(1, 10_000),
    "warmup_epochs": Number(0, 1_000),
    "binariser": Word(tuple(BINARISERS)),
    "activation_bound": Number(0.01, 100),
    "silent_decay": Number(0, 1),
    "teacher_weight": Number(0, 1),
    "teacher_temperature": Number(0.01, 1_000),
    # differentiable searches
    "seed": Whole(0, 2**31 - 1),
    "entropy_weight": Number(0, 1_000),
    "entropy_decay": Number(1e-3, 1e6),
    "zeroise_discount": Number(1e-3, 1e6),
    "architecture_learning_rate": _RATE,
}


_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST = 2**53  # the whole numbers below are exact as floats, too


def kind_of(name: str, values: Sequence[Value]) -> Whole | Number | Word:
    """What a hyperparameter takes: as `KNOWN` says or, for a name of the user's own, what these values are."""
    if name in KNOWN:
        return KNOWN[name]
    words = tuple(value for value in values if isinstance(value, str))
    if words:
        return Word(words)
    whole = bool(values) and all(type(value) is int for value in values)
    return Whole(-_MOST, _MOST) if whole else Number(-1e308, 1e308)


def objections(name: str, values: tuple[Value, ...]) -> Iterator[str]:
    """Everything wrong with the values that a hyperparameter is to be searched over.

    A name that `KNOWN` lacks is the user's own, for a training step that reads it; one that looks like a known name is
    taken for a slip.
    """
    if name not in KNOWN and get_close_matches(name, KNOWN, n=1, cutoff=0.85):
        yield unknown("hyperparameter", name, KNOWN)
        return
    if not _NAME.fullmatch(name):
        yield f"{name!r} is no name of a hyperparameter: it has letters, digits and underscores, as drop_rate does"
        return
    kind = kind_of(name, values)
    bad = [value for value in values if not kind.allows(value)]
    if name not in KNOWN and isinstance(kind, Word):
        bad += [word for word in kind.words if not _is_word(word)]
    if bad:
        yield f"{name} takes {kind}, got {listed(map(repr, bad))}"


def _is_word(text: str) -> bool:
    """Whether a text is read again from among others as it is: one word, and not a number."""
    try:
        float(text)
    except ValueError:
        return bool(text) and not re.search(r"\s", text)
    return False
