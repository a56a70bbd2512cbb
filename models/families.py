"""Which classes build the networks of a family of spaces: the one place that knows them all."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from typing import Any, get_type_hints

from torch import nn

from spaces import Space, SpaceError


@dataclass(frozen=True)
class Family:
    """The classes of a family.

    A network is made from (space, architecture, options) and keeps all three as attributes; a supernet from (space,
    options), and `extract(architecture)` gives a network that can be evaluated. Options are frozen dataclasses of plain
    values and enumerations. A family without a supernet has None there.
    """

    network: type[nn.Module]
    network_options: type[Any]
    supernet: type[nn.Module] | None = None
    supernet_options: type[Any] | None = None


_PLACES = {
    "nasbnn": (
        ("models.nasbnn.network", "BinaryNetwork", "NetworkOptions"),
        ("models.nasbnn.supernet", "Supernet", "SupernetOptions"),
    ),
    "width": (("models.width.network", "WidthNetwork", "WidthOptions"),),
    "cell": (
        ("models.cell.network", "CellNetwork", "CellOptions"),
        ("models.cell.supernet", "MixedSupernet", "MixedOptions"),
    ),
}


@cache
def family_of(name: str) -> Family:
    """The family of a space by its name (`space.family`). Raises `SpaceError` for one whose members are no networks."""
    if name not in _PLACES:
        raise SpaceError(f"members of the family {name!r} are no networks; those of {', '.join(_PLACES)} are")
    classes = [getattr(import_module(module), kind) for module, *kinds in _PLACES[name] for kind in kinds]
    return Family(*classes)


def build_network(space: Space[Any], architecture: Any, **options: Any) -> nn.Module:
    """The network of a member, with random weights from torch's global generator.

    `options` are fields of the family's network options; those that are None are left at their defaults, and so is the
    binariser, which belongs to a width space. Raises `SpaceError` for an option that the family does not have.
    """
    family = family_of(space.family)
    known = {field.name for field in dataclasses.fields(family.network_options)}
    given = {name: value for name, value in options.items() if value is not None}
    unknown = sorted(set(given) - known)
    if unknown:
        raise SpaceError(f"networks of space {space.name!r} have no option {', '.join(unknown)}")
    binariser = getattr(space, "binariser", None)
    if binariser is not None and "binariser" in known:
        given["binariser"] = options_from(family.network_options, {"binariser": binariser}).binariser
    return family.network(space, architecture, family.network_options(**given))


def has_option(space: Space[Any], name: str) -> bool:
    """Whether networks of a space have an option of this name."""
    return name in {field.name for field in dataclasses.fields(family_of(space.family).network_options)}


def options_to_json(options: Any) -> dict[str, Any]:
    """Options as JSON values: an enumeration by its value where that is a word, else by its name."""
    return {field.name: _word(getattr(options, field.name)) for field in dataclasses.fields(options)}


def options_from(kind: type[Any], data: Mapping[str, Any]) -> Any:
    """The inverse of `options_to_json`; fields that are missing keep their defaults.

    Raises `ValueError` that names the field, what is allowed and what was given.
    """
    types = get_type_hints(kind)
    unknown = sorted(set(data) - set(types))
    if unknown:
        raise ValueError(f"there is no option {', '.join(map(repr, unknown))}; the options are {', '.join(types)}")
    return kind(**{name: _from_word(name, types[name], value) for name, value in data.items()})


def _word(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value if isinstance(value.value, str) else value.name
    return value


def _from_word(name: str, kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum):
        found = next((member for member in kind if _word(member) == value), None)
        if found is None:
            words = ", ".join(repr(_word(member)) for member in kind)
            raise ValueError(f"{name} must be one of {words}; the checkpoint says {value!r}")
        return found
    if kind in (bool, int, str) and type(value) is not kind:
        raise ValueError(f"{name} must be of type {kind.__name__}; the checkpoint says {value!r}")
    return value
