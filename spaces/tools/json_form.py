"""Plain values as JSON: the type of what JSON can hold, and how frozen dataclasses are written and read."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias, TypeVar, cast, get_type_hints

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
T = TypeVar("T")

_WORDS: dict[object, str] = {bool: "true or false", int: "an integer", str: "a text"}  # types that must be exact


def plain(value: object) -> Json:
    """A value made of frozen dataclasses, tuples, numbers and texts as JSON: objects and lists."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [plain(item) for item in cast("tuple[object, ...]", value)]
    return cast("Json", value)


def as_object(data: Json) -> Mapping[str, Json]:
    """The fields of a JSON object; raises `TypeError` for anything else."""
    if not isinstance(data, Mapping):
        raise TypeError(f"expected an object with fields, got {data!r}")
    return data


def as_list(data: Json) -> Sequence[Json]:
    """The entries of a JSON list; raises `TypeError` for anything else."""
    if isinstance(data, str) or not isinstance(data, Sequence):
        raise TypeError(f"expected a list, got {data!r}")
    return data


def built(kind: Callable[..., T], data: Json, **parts: object) -> T:
    """The dataclass or named tuple whose fields a JSON object holds, but for `parts` that were read already.

    Raises `TypeError` for a missing or an unknown field, and for all that must be an integer, a text, or true or false
    and are not. Other types are for the class to check.
    """
    fields = {**as_object(data), **parts}
    wrong = [
        f"{name} must be {_WORDS[hint]}, got {fields[name]!r}"
        for name, hint in get_type_hints(kind).items()
        if name in fields and hint in _WORDS and type(fields[name]) is not hint
    ]
    if wrong:
        raise TypeError("; ".join(wrong))
    return kind(**fields)
