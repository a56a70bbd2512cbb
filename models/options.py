"""Choices that the weights of a network depend on, and their JSON, which checkpoints keep."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Self, get_type_hints

from spaces.errors import unknown


@dataclass(frozen=True)
class Options:
    """The base of all options: frozen dataclasses of plain values and enumerations, each with a default.

    >>> @dataclass(frozen=True)
    ... class Example(Options):
    ...     dropout: float = 0.1
    >>> Example(0.5).to_json(), Example.from_json({"dropout": 0.5})
    ({'dropout': 0.5}, Example(dropout=0.5))
    """

    def to_json(self) -> dict[str, object]:
        """JSON values by field: an enumeration is its value where that is a word, else its name."""
        return {field.name: _word(getattr(self, field.name)) for field in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Self:
        """The inverse of `to_json`; fields that are missing keep their defaults.

        Raises `ValueError` that names the field, what is allowed and what was given.
        """
        types = get_type_hints(cls)
        for name in data:
            if name not in types:
                raise ValueError(unknown("option", name, types))
        return cls(**{name: _from_word(name, types[name], value) for name, value in data.items()})


def _word(value: object) -> object:
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    return value


def _from_word(name: str, kind: type, value: object) -> object:
    if issubclass(kind, Enum):
        for member in kind:
            if _word(member) == value:
                return member
        raise ValueError(f"{name} must be one of {', '.join(repr(_word(member)) for member in kind)}; got {value!r}")
    if kind in (bool, int, str) and type(value) is not kind:
        raise ValueError(f"{name} must be of type {kind.__name__}; got {value!r}")
    return value
