"""The configuration that a space, data and options describe: what a run would be asked to do with them."""

# isinstance leaves the members of a space unknown
# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from search.config.loading import check_config, set_values
from search.config.run import RunConfig
from search.config.space import AnySpace, SpaceConfig
from search.data.config import DataConfig, recognise
from spaces import SPACES, JointSpace, OnlySpace, get_space
from spaces.errors import SpaceError

Data = str | Path | DataConfig
"""What `--data` takes, or a section of a configuration."""

_FROM_DATA = {"classes", "channels"}


def make_config(
    space: AnySpace,
    data: Data | None,
    config: RunConfig | None,
    settings: Iterable[str],
    sections: Mapping[str, object],
) -> RunConfig:
    """A configuration of `config` (else the defaults), with this space and these data, what `sections` say and, last,
    `key=value` settings. Raises `ConfigError` or `DataError`."""
    values: dict[str, Any] = (config or RunConfig()).model_dump(mode="json")
    # weights to start from are given, or there are none
    values["parent"] |= {"epochs": 0, "checkpoint": None}
    values["supernet"]["checkpoint"] = None
    values["execution"]["callbacks"] = ()  # those of a Tuner are given to the Tuner
    values["space"] = section_of(space).model_dump(mode="json", exclude_unset=True)
    if data is not None:
        section = data if isinstance(data, DataConfig) else recognise(data)
        values["data"] = section.model_dump(mode="json", exclude_unset=True)
    return check_config(set_values(values, sections, settings), "the trainable")


def section_of(space: AnySpace) -> SpaceConfig:
    """The section that stands for the architectures of a space, a named one or one made in Python.

    Hyperparameters that are joined with them are left out: a trial says which it has.
    """
    if isinstance(space, JointSpace):
        return section_of(space.architectures)
    if isinstance(space, OnlySpace):
        section = section_of(space.space).model_dump(mode="json", exclude_unset=True)
        return SpaceConfig.model_validate({**section, "architecture": space.space.format(space.architecture)})
    if not space.of_architectures:
        raise SpaceError(f"space {space.name!r} has no architectures: join it with some (JointSpace)")
    if space.name not in SPACES:
        return SpaceConfig.of(space)
    named, ours = get_space(space.name).declaration(), space.declaration()
    changed = {name: value for name, value in ours.items() if name not in _FROM_DATA and value != named.get(name)}
    return SpaceConfig.model_validate({"name": space.name, **changed})
