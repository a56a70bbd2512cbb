"""Spaces as JSON: a declaration holds every field of a space and its family, and makes the space again."""

import dataclasses
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from spaces.errors import SpaceError
from spaces.space import Space

# where the class of each family is, imported on use: a family costs nothing before it is asked for
FAMILIES = {
    "nasbnn": ("spaces.nasbnn", "NasBnnSpace"),
    "width": ("spaces.width", "WidthSpace"),
    "cell": ("spaces.cell", "CellSpace"),
    "hyperparameters": ("spaces.hyperparameters.space", "HyperparameterSpace"),
    "joint": ("spaces.joint.space", "JointSpace"),
    "only": ("spaces.joint.space", "OnlySpace"),
}

PLAIN: dict[Any, str] = {bool: "true or false", int: "an integer", str: "a text"}


def space_from(data: Mapping[str, Any]) -> Space[Any]:
    """The space of a declaration (`space.declaration()`, also once it was JSON).

    A declaration without a family is one of NAS-BNN: files from before there were others have none. Each family reads
    its own fields with `from_declaration(fields)`. Raises `SpaceError` for anything that declares no space.
    """
    if not isinstance(data, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - JSON may hold anything
        raise SpaceError(f"the declaration of a space is an object with its fields; got {data!r}")
    family = data.get("family", "nasbnn")
    if not isinstance(family, str) or family not in FAMILIES:
        near = get_close_matches(str(family), FAMILIES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise SpaceError(f"there is no family of spaces {family!r}{hint} The families are {', '.join(FAMILIES)}")
    module, name = FAMILIES[family]
    kind = getattr(import_module(module), name)
    fields = {key: value for key, value in data.items() if key != "family"}
    known = {field.name: field for field in dataclasses.fields(kind) if field.init}
    unknown = [key for key in fields if key not in known]
    missing = [key for key, field in known.items() if key not in fields and _is_needed(field)]
    if unknown or missing:
        problems = [f"has no field {key!r}" for key in unknown] + [f"needs the field {key!r}" for key in missing]
        listed = " and ".join(problems)
        raise SpaceError(f"a space of the family {family!r} {listed}; its fields are {', '.join(known)}")
    wrong = [
        f"{key} must be {PLAIN[field.type]}, got {fields[key]!r}"
        for key, field in known.items()
        if key in fields and field.type in PLAIN and type(fields[key]) is not field.type
    ]
    if wrong:
        raise SpaceError(f"a space of the family {family!r}: {'; '.join(wrong)}")
    try:
        return kind.from_declaration(fields)
    except SpaceError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SpaceError(f"this declares no space of the family {family!r}: {error}") from error


def _is_needed(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
