"""What can be done with the networks of a family of spaces, in one value per family.

A family is known by its folders: `models.<family>.family` holds its `FAMILY`, next to the classes that this names.
"""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, get_type_hints

from torch import nn

from spaces import Space, SpaceError


class SupernetTraining(StrEnum):
    """How the weights of a supernet are trained.

    SANDWICH: largest, smallest and random members in every step, taught by the largest (NAS-BNN).
    BILEVEL: a mixture of layer types, whose weights and architecture weights move in turn (BNAS).
    """

    SANDWICH = "sandwich"
    BILEVEL = "bilevel"


@dataclass(frozen=True)
class Family:
    """The classes of a family, and what its networks and supernets can be used for.

    A network is made from (space, architecture, options) and keeps all three as attributes; a supernet from (space,
    options), and `extract(architecture)` gives a network that can be evaluated. Options are frozen dataclasses of plain
    values and enumerations.

    `lower(network, builder)` adds the operations of one of the `exportable` networks to a 1-bit program.
    `candidates_deployable`: whether an extracted candidate is a network of the space, which can be deployed as it is;
    if not, networks of the front must be trained. `engine_exact`: whether the float simulation rounds as the 1-bit
    engine does, so that both see the same class in every image. `inherit(network, parent)` gives a network the weights
    of a larger one; None where candidates cannot start from a parent.
    """

    network: type[nn.Module]
    network_options: type[Any]
    lower: Callable[..., None]
    exportable: tuple[type[nn.Module], ...]
    supernet: type[nn.Module] | None = None
    supernet_options: type[Any] | None = None
    supernet_training: SupernetTraining | None = None
    candidates_deployable: bool = False
    engine_exact: bool = False
    inherit: Callable[[Any, Any], None] | None = None

    def has_option(self, name: str) -> bool:
        """Whether networks have an option of this name: `mode` (trained in stages), `drop_path`, `binariser`."""
        return name in {field.name for field in dataclasses.fields(self.network_options)}


@cache
def _family(name: str) -> Family:
    if find_spec(f"models.{name}") is None or find_spec(f"models.{name}.family") is None:
        raise SpaceError(f"members of the family {name!r} are no networks")
    return import_module(f"models.{name}.family").FAMILY


def family_of(space: Space[Any]) -> Family:
    """The family of a space of networks. Raises `SpaceError` for a space whose members are none."""
    return _family(space.family)


def build_network(space: Space[Any], architecture: Any, **options: Any) -> nn.Module:
    """The network of a member, with random weights from torch's global generator.

    `options` are fields of the family's network options; those that are None are left at their defaults, and so is the
    binariser, which belongs to a width space. Raises `SpaceError` for an option that the family does not have.
    """
    family = family_of(space)
    given = {name: value for name, value in options.items() if value is not None}
    unknown = sorted(name for name in given if not family.has_option(name))
    if unknown:
        raise SpaceError(f"networks of space {space.name!r} have no option {', '.join(unknown)}")
    own = options_from(family.network_options, space.network_options)
    return family.network(space, architecture, dataclasses.replace(own, **given))


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
