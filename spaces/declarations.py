"""The families of spaces, and spaces as JSON: a declaration holds the family and every field of a space."""

import dataclasses
from collections.abc import Mapping
from importlib import import_module

from spaces.errors import SpaceError, listed, unknown
from spaces.space import Space
from spaces.tools.json_form import Json

# each family's package and the class in it: a new family adds one line. The class is imported on use; spaces that have
# a name are the `PRESETS` of the package's module `presets`
FAMILIES = {
    "nasbnn": ("spaces.nasbnn", "NasBnnSpace"),
    "width": ("spaces.width", "WidthSpace"),
    "cell": ("spaces.cell", "CellSpace"),
    "hyperparameters": ("spaces.hyperparameters", "HyperparameterSpace"),
    "joint": ("spaces.joint", "JointSpace"),
    "only": ("spaces.joint", "OnlySpace"),
    "networks": ("spaces.joint.networks", "NetworksSpace"),
}


def space_from(data: Json) -> Space[object]:
    """The space of a declaration (`space.declaration()`, as it is or read from JSON).

    A declaration without a family is one of NAS-BNN: files from before there were others have none. Each family reads
    its own fields with `from_declaration(fields)`. Raises `SpaceError` for anything that declares no space.
    """
    if not isinstance(data, Mapping):
        raise SpaceError(f"the declaration of a space is an object with its fields; got {data!r}")
    family = data.get("family", "nasbnn")
    if not isinstance(family, str) or family not in FAMILIES:
        raise SpaceError(unknown("family of spaces", family, FAMILIES, "families"))
    package, name = FAMILIES[family]
    kind: type[Space[object]] = getattr(import_module(package), name)
    given = {key: value for key, value in data.items() if key != "family"}
    fields = {field.name: field for field in dataclasses.fields(kind) if field.init}
    problems = [f"has no field {key!r}" for key in given if key not in fields]
    problems += [f"needs the field {key!r}" for key in fields if key not in given and _is_needed(fields[key])]
    if problems:
        raise SpaceError(f"a space of the family {family!r} {' and '.join(problems)}; its fields are {listed(fields)}")
    try:
        return kind.from_declaration(given)
    except SpaceError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SpaceError(f"this is not a space of the family {family!r}: {error}") from error


def _is_needed(field: dataclasses.Field[object]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
