"""What can be done with the networks of a family of spaces, in one value per family.

The value of a family is `FAMILY` in `models/<family>/family.py`, beside the classes that it names:

    FAMILY = Family(network=WidthNetwork, network_options=WidthOptions, lower=lower_width, inherit=inherit)

Whoever has a space asks what its networks can do, never which family it is of:

    >>> from spaces import get_space
    >>> family = family_of(get_space("nasbnn-digits"))
    >>> family.network.__name__, str(family.supernet_training), family.inherit
    ('BinaryNetwork', 'sandwich', None)
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from models.network import AnyNetwork, AnySpace, AnySupernet, Network
from models.options import Options
from spaces import Space, SpaceError
from spaces.joint.networks import NetworksSpace

A = TypeVar("A")


class SupernetTraining(StrEnum):
    """How the weights of a supernet are trained.

    SANDWICH: largest, smallest and random members in every step, taught by the largest (NAS-BNN).
    BILEVEL: a mixture of layer types, whose weights and architecture weights take steps in turn (BNAS).
    """

    SANDWICH = "sandwich"
    BILEVEL = "bilevel"


@dataclass(frozen=True)
class Family:
    """The classes of a family, and what its networks and supernets can be used for.

    `network(space, architecture, options)` and `supernet(space, options)` build with random weights; what says
    "supernet" is None where networks share no weights. `lower(network, builder)` adds operations to a 1-bit program.
    `inherit(network, parent)` gives a network the weights of a larger one; None where candidates cannot have a parent.
    `candidates_deployable`: whether what a supernet extracts is a network of the space, which can be deployed as it is;
    if not, networks of the front must be trained. `engine_exact`: whether the float network rounds as the 1-bit engine
    does, so that both see the same class in every image. `lower_part(part, tensor, builder)` adds one of a network's
    parts to a program, for detectors; None where the engine does not run their backbones.
    """

    network: type[AnyNetwork]
    network_options: type[Options]
    lower: Callable[..., None]
    supernet: type[AnySupernet] | None = None
    supernet_options: type[Options] | None = None
    supernet_training: SupernetTraining | None = None
    candidates_deployable: bool = False
    engine_exact: bool = False
    inherit: Callable[..., None] | None = None
    lower_part: Callable[..., int] | None = None

    def has_option(self, name: str) -> bool:
        """Whether networks have an option of this name: `mode` (trained in stages), `drop_path`, `binariser`."""
        return name in {field.name for field in dataclasses.fields(self.network_options)}


@dataclass(frozen=True)
class SeveralFamilies(Family):
    """What can be done with each of several networks of different families; they are built and lowered as their own."""

    every: tuple[Family, ...] = ()

    def has_option(self, name: str) -> bool:
        """Whether networks of every family have an option of this name."""
        return all(family.has_option(name) for family in self.every)


def family_of(space: AnySpace) -> Family:
    """The family of a space of networks. Raises `SpaceError` for a space whose members are none."""
    if isinstance(space, NetworksSpace):
        every = tuple(dict.fromkeys(family_of(part) for part, _ in space.members.values()))
        return every[0] if len(every) == 1 else SeveralFamilies(Network, Options, _lower_none, every=every)
    return _family(space.family)


def _lower_none(network: AnyNetwork, builder: object) -> None:
    raise SpaceError("a network is lowered by the family of its own space")


@cache
def _family(name: str) -> Family:
    if find_spec(f"models.{name}") is None or find_spec(f"models.{name}.family") is None:
        raise SpaceError(f"spaces of the family {name!r} have no networks")
    return import_module(f"models.{name}.family").FAMILY


def build_network(space: Space[A], architecture: A, **options: object) -> AnyNetwork:
    """The network of an architecture, with random weights from torch's global generator.

    `options` are fields of the family's network options; those that are None keep their defaults, and the binariser is
    that of a width space. Raises `SpaceError` for an option that the family does not have.
    """
    family = family_of(space)
    given = {name: value for name, value in options.items() if value is not None}
    strange = sorted(name for name in given if not family.has_option(name))
    if strange:
        raise SpaceError(f"networks of space {space.name!r} have no option {', '.join(strange)}")
    own = family.network_options.from_json(space.network_options)
    return family.network(space, architecture, dataclasses.replace(own, **given))
