"""The hyperparameters that can be searched, and the values that each can have."""

from collections.abc import Iterator
from dataclasses import dataclass

from spaces.errors import listed, unknown

Value = int | float | str

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
        return f"whole numbers from {self.low} to {self.high}"


@dataclass(frozen=True)
class Number:
    """A number from `low` to `high`, both included."""

    low: float
    high: float

    def allows(self, value: Value) -> bool:
        """Whether a value is of this kind and within the range."""
        return type(value) in (int, float) and self.low <= float(value) <= self.high

    def __str__(self) -> str:
        return f"numbers from {self.low:g} to {self.high:g}"


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
    "schedule": Word(("cosine", "steps", "one-cycle", "constant")),
    "momentum": Number(0, 0.999),
    "label_smoothing": Number(0, 0.99),
    "augmentation": Word(("none", "flip", "crop", "crop+flip")),
    "batch_size": Whole(2, 65_536),
    "epochs": Whole(1, 10_000),
    "warmup_epochs": Number(0, 1_000),
    "binariser": Word(tuple(BINARISERS)),
    # differentiable searches
    "seed": Whole(0, 2**31 - 1),
    "entropy_weight": Number(0, 1_000),
    "entropy_decay": Number(1e-3, 1e6),
    "zeroise_discount": Number(1e-3, 1e6),
    "architecture_learning_rate": _RATE,
}


def objections(name: str, values: tuple[Value, ...]) -> Iterator[str]:
    """Everything wrong with the values that a hyperparameter is to be searched over."""
    if name not in KNOWN:
        yield unknown("hyperparameter", name, KNOWN)
        return
    bad = [value for value in values if not KNOWN[name].allows(value)]
    if bad:
        yield f"{name} takes {KNOWN[name]}, got {listed(map(repr, bad))}"
