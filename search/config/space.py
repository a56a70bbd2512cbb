"""Which space a run searches: a named one and what is changed about it, or a declared one; and hyperparameters."""

import dataclasses
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any, Self, cast

from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from search.config.sections import Section
from spaces import (
    SPACES,
    Between,
    Grid,
    HyperparameterSpace,
    JointSpace,
    Listed,
    OnlySpace,
    Space,
    get_space,
    space_from,
)
from spaces.catalogue import resized
from spaces.declarations import FAMILIES
from spaces.errors import SpaceError, listed
from spaces.hyperparameters.kinds import BINARISERS, KNOWN, Word
from spaces.hyperparameters.values import Hyperparameter

AnySpace = Space[Any]
"""A space of any family."""
_COMMON = {"name", "image_size", "architecture", "hyperparameters"}
"""Keys that every family has. Each of the others is a field of the spaces of some family."""
_FROM_DATA = {"classes", "channels"}


def _kinds(given: Mapping[str, object]) -> list[type[Any]]:
    """The classes of which these fields declare a space: one, or none where they change a named one."""
    kinds: list[type[Any]] = [getattr(import_module(module), name) for module, name in FAMILIES.values()]
    return [kind for kind in kinds if kind.declared_by[:1] and kind.declared_by[0] in given]


class StageConfig(Section):
    """A stage of a declared space: its choices, in rising order; its first layer has the stride."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    groups: tuple[int, ...]
    stride: int
    excites: tuple[int, ...] = Field(default=(0,), description="bits of squeeze-and-excites, of blocks: bnext")


When = dict[str, int | float | str | tuple[int | float | str, ...]]
_WHEN = Field(default_factory=dict, description="counts only beside these values of others, such as {optimiser: sgd}")


class GridConfig(Section):
    """Values of a hyperparameter from `low` to `high`, both included, evenly spaced (with `log`: their logarithms)."""

    low: float
    high: float
    steps: int = Field(default=9, ge=2)
    log: bool = True
    when: When = _WHEN

    def declared(self, name: str) -> Hyperparameter:
        """The hyperparameter of a name."""
        return Grid(name, self.low, self.high, self.steps, self.log, self.when)


class RangeConfig(Section):
    """Any number, or with `whole` any whole one, between two ends; with `log`, drawn evenly by its logarithm."""

    range: tuple[float, float]
    log: bool = False
    whole: bool = False
    when: When = _WHEN

    def declared(self, name: str) -> Hyperparameter:
        """The hyperparameter of a name."""
        return Between(name, *self.range, self.log, self.whole, self.when)


class ListConfig(Section):
    """A list of values, where there is more to say."""

    values: tuple[int | float | str, ...]
    when: When = _WHEN

    def declared(self, name: str) -> Hyperparameter:
        """The hyperparameter of a name."""
        return Listed(name, tuple(_value(name, value) for value in self.values), self.when)


_KINDS = {"values": ListConfig, "range": RangeConfig, "low": GridConfig}


def _kind_of_values(given: object) -> object:
    """Which of the sections above a mapping is, so that what is wrong in it is said of that one alone."""
    if not isinstance(given, Mapping):
        return given
    fields = cast("Mapping[str, object]", given)
    kinds = [key for key in _KINDS if key in fields]
    if len(kinds) != 1:
        raise ValueError("give values, or range, or low and high, and one of them alone")
    kind = _KINDS[kinds[0]]
    foreign = [key for key in fields if key not in kind.model_fields]
    if foreign:
        raise ValueError(
            f"{listed(foreign)} cannot be said beside {kinds[0]}: the keys are {listed(kind.model_fields)}"
        )
    return kind.model_validate(fields)


HyperparameterConfig = Annotated[
    tuple[int | float | str, ...] | GridConfig | RangeConfig | ListConfig, BeforeValidator(_kind_of_values)
]


class SpaceConfig(Section):
    """A named space and what is changed about it; or, with `stages`, `base`, `template` or `networks`, a space of one's
    own under a new name, which is then part of the run's configuration. Classes and channels follow the data.

    Keys that are not listed here are fields of the spaces of other families, which check them.
    """

    model_config = ConfigDict(extra="allow")

    stages: tuple[StageConfig, ...] | None = Field(default=None, description="declares a NAS-BNN space, stage by stage")
    base: str | None = Field(default=None, description="declares a width space over this network")
    template: str | None = Field(default=None, description="declares a cell space: cifar or imagenet")
    networks: tuple[str, ...] | None = Field(
        default=None, description="declares a space of these: names of networks (`binarynas networks`), or SPACE: TEXT"
    )
    name: str = Field(
        default="nasbnn-digits", description="a space of `binarynas spaces`, or a new name for a declared one"
    )
    image_size: int | None = Field(default=None, ge=1, description="pixels; the named space's own where left out")
    stem_widths: tuple[int, ...] | None = Field(default=None, description="of a declared NAS-BNN space")
    stem_stride: int | None = Field(default=None, description="of a declared NAS-BNN space")
    non_decreasing: bool | None = Field(
        default=None, description="NAS-BNN's constraint of equation 3; false is the paper's ablation"
    )
    ratios: tuple[float, ...] | None = Field(default=None, description="of a width space, in rising order")
    binariser: str | None = Field(default=None, description=f"of a width space: {listed(BINARISERS)}")
    layer_types: tuple[str, ...] | None = Field(default=None, description="of a cell space: none, max, avg, dil3, ...")
    nodes: int | None = Field(default=None, description="of a cell")
    cells: int | None = Field(default=None, description="of the final network of a cell space")
    width: int | None = Field(default=None, description="channels of the first cells of a cell space's final network")
    groups: int | None = Field(default=None, description="of the cells' convolutions (BNAS v2)")
    inter_cell_skip: bool | None = Field(default=None, description="of a cell space; false is the paper's ablation")
    architecture: str | None = Field(default=None, description="one member: only its hyperparameters are searched")
    hyperparameters: dict[str, HyperparameterConfig] = Field(
        default_factory=dict,
        description="searched as well: a list of values; low, high, steps and log; or range, log and whole; "
        "with `when` only beside some values of others",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        given = self._given()
        declared = _kinds(given)
        if len(declared) > 1:
            keys = " and ".join(each.declared_by[0] for each in declared)
            raise ValueError(f"{keys} exclude each other: give one of them")
        if declared and self.name in SPACES:
            raise self._refusal(["name"], "is a space already: give a declared one another name")
        try:
            kind: Any = declared[0] if declared else type(get_space(self.name))
        except SpaceError as error:
            raise self._refusal(["name"], str(error)) from error
        fields = {field.name: field for field in dataclasses.fields(kind) if field.name not in _FROM_DATA}
        unknown = [key for key in self.model_extra or {} if key not in fields]
        if unknown:
            raise self._refusal(unknown)
        alien = [key for key in given if key not in fields]
        if alien:
            what = f"a {kind.family} space" if declared else f"space {self.name!r}, a {kind.family} space"
            raise ValueError(f"{' and '.join(alien)} cannot be said of {what}: leave them out")
        parts = " and ".join(key for key in kind.declared_by[1:] if key in given)
        if parts and not declared:
            first = kind.declared_by[0]
            raise ValueError(f"{parts} without {first} declare no space: give {first}, too, or leave them out")
        needed = [name for name, field in fields.items() if field.default is dataclasses.MISSING]
        missing = [name for name in needed if name not in given and getattr(self, name, None) is None]
        if declared and missing:
            raise ValueError(f"a declared space needs {', '.join(missing)}, too")
        self.build()
        return self

    def _given(self) -> dict[str, Any]:
        """The fields of the space that are set here."""
        return self.model_dump(mode="json", exclude=_COMMON, exclude_none=True)

    def _refusal(self, keys: list[str], problem: str | None = None) -> ValidationError:
        """The error about these keys: the problem, or that they are unknown."""
        kind = PydanticCustomError("space", "{problem}", {"problem": problem}) if problem else "extra_forbidden"
        details = [InitErrorDetails(type=kind, loc=(key,), input=dict(self).get(key)) for key in keys]
        return ValidationError.from_exception_data("space", details)

    @classmethod
    def of(cls, space: AnySpace) -> "SpaceConfig":
        """The section that declares a space made in Python; raises `ValidationError` for the name of a named space."""
        fields = space.declaration().items()
        return cls.model_validate({name: value for name, value in fields if name not in {"family", *_FROM_DATA}})

    def build(self, classes: int | None = None, channels: int | None = None) -> AnySpace:
        """What is searched, for data with these classes and channels: architectures, hyperparameters, or both."""
        return self.searched(self.architectures(classes, channels))

    def searched(self, space: AnySpace) -> AnySpace:
        """What is searched: all of the architectures or one of them, with hyperparameters where there are any."""
        if self.architecture is not None:
            space = OnlySpace(space, space.parse(self.architecture))
        hyperparameters = self.hyperparameter_space()
        return space if hyperparameters is None else JointSpace(space, hyperparameters)

    def architectures(self, classes: int | None = None, channels: int | None = None) -> AnySpace:
        """The space of architectures alone."""
        given = self._given()
        declared = _kinds(given)
        if declared:
            size = {} if self.image_size is None else {"image_size": self.image_size}
            space = space_from({"family": declared[0].family, "name": self.name, "classes": 10, **given, **size})
        else:
            space = get_space(self.name)
            if self.image_size is not None:
                space = resized(space, self.image_size)
            space = space_from({**space.declaration(), **given}) if given else space
        return space.for_data(classes=classes, channels=channels)

    def hyperparameter_space(self) -> HyperparameterSpace | None:
        """The hyperparameters that are searched; None where there are none."""
        if not self.hyperparameters:
            return None
        declared = tuple(
            Listed(name, tuple(_value(name, value) for value in values))
            if isinstance(values, tuple)
            else values.declared(name)
            for name, values in self.hyperparameters.items()
        )
        return HyperparameterSpace(f"{self.name} hyperparameters", declared)


def _value(name: str, value: int | float | str) -> int | float | str:
    """A value as it is meant: YAML reads 1e-4 as a word."""
    if isinstance(value, str) and not isinstance(KNOWN.get(name), Word):
        with suppress(ValueError):
            return float(value)
    return value
