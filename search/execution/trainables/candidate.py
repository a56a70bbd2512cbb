"""What the configuration of a Tune trial asks for: a member of the space, and hyperparameters besides."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from search.config.sections import ConfigError
from search.config.space import AnySpace
from spaces.errors import listed, unknown

ARCHITECTURE = "architecture"
"""A text form, in the place of the space's parameters: in a configuration, and in what is reported."""


@dataclass(frozen=True)
class Asked:
    """A member of the space, as text and with its id; the text of its architecture; all hyperparameters by name."""

    member: str
    id: str
    architecture: str
    hyperparameters: Mapping[str, int | float | str]


def read_candidate(space: AnySpace, config: Mapping[str, object], read: Collection[str]) -> Asked:
    """What a trial's configuration asks for.

    Names of the space's parameters are its member, or `architecture` is the member's text; every other name must be one
    of `read`, the hyperparameters that the training reads. Raises `SpaceError` or `ConfigError`.
    """
    values = {name: _plain(value) for name, value in config.items()}
    names = {parameter.name for parameter in space.parameters()}
    if ARCHITECTURE in values:
        if both := sorted(names & values.keys()):
            raise ConfigError(f"the trial has an architecture as text, and {listed(both)} as well: give one of them")
        member = space.parse(str(values.pop(ARCHITECTURE)))
    else:
        if names and not names & values.keys():
            raise ConfigError(
                f"the trial says nothing about space {space.name!r}: put its param_space() into the Tuner's, or an "
                "architecture as text"
            )
        member = space.decode({name: value for name, value in values.items() if name in names})
    others = {name: value for name, value in values.items() if name not in names}
    _require_read(others, read)
    candidate = space.split(space.require(member))
    clash = sorted(others.keys() & candidate.hyperparameters.keys())
    if clash:
        raise ConfigError(f"{listed(clash)} are hyperparameters of space {space.name!r} already")
    architecture = candidate.space.format(candidate.architecture)
    return Asked(space.format(member), space.id(member), architecture, {**candidate.hyperparameters, **others})


def read_settings(config: Mapping[str, object], read: Collection[str]) -> dict[str, int | float | str]:
    """The hyperparameters of a trial's configuration that has no others. Raises `ConfigError`."""
    values = {name: _plain(value) for name, value in config.items()}
    _require_read(values, read)
    return values


def _require_read(values: Mapping[str, object], read: Collection[str]) -> None:
    for name in values:
        if name not in read:
            raise ConfigError(f"nothing reads it: {unknown('hyperparameter', name, sorted(read))}")


def _plain(value: object) -> Any:
    """A value as Python has it: samplers and tables make numpy's numbers."""
    item = getattr(value, "item", None)
    return item() if callable(item) else value
