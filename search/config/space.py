"""Which space a run searches: a named one and what is changed about it, or a declared one; and hyperparameters."""

import dataclasses
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from search.config.sections import Section
from spaces import SPACES, NasBnnSpace, SpaceError, Stage, get_space
from spaces.hyperparameters.kinds import KNOWN, Word

if TYPE_CHECKING:
    from spaces import Space
    from spaces.hyperparameters.space import HyperparameterSpace
    from spaces.hyperparameters.values import Hyperparameter

# What may be said about a space of each family, beside its name and image size; the first key of each declares one.
FAMILY_KEYS = {
    "nasbnn": ("stages", "stem_widths", "stem_stride", "non_decreasing"),
    "width": ("base", "ratios", "binariser"),
    "cell": ("template", "layer_types", "nodes", "cells", "width", "groups", "inter_cell_skip"),
}
REQUIRED = {
    "nasbnn": ("stem_widths", "stem_stride", "image_size"),
    "width": (),
    "cell": ("cells", "width", "image_size"),
}


class StageConfig(Section):
    """A stage of a declared space: its choices, in rising order; its first layer has the stride."""

    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernel_sizes: tuple[int, ...]
    groups: tuple[int, ...]
    stride: int


class GridConfig(Section):
    """Values of a hyperparameter from `low` to `high`, both included, evenly spaced (with `log`: their logarithms)."""

    low: float
    high: float
    steps: int = Field(default=9, ge=2)
    log: bool = True


class SpaceConfig(Section):
    """A named space and what is changed about it; or, with `stages`, `base` or `template`, a space of one's own under a
    new name, which then stands in the run's configuration whole. Classes and channels follow the data."""

    # before the name, whose check depends on them
    stages: tuple[StageConfig, ...] | None = Field(default=None, description="declares a NAS-BNN space, stage by stage")
    base: str | None = Field(default=None, description="declares a width space over this network")
    template: str | None = Field(default=None, description="declares a cell space: cifar or imagenet")
    name: str = Field(
        default="nasbnn-digits",
        validate_default=True,
        description="a space of `binarynas spaces`, or a new name for a declared one",
    )
    image_size: int | None = Field(default=None, ge=1, description="pixels; the named space's own where left out")
    stem_widths: tuple[int, ...] | None = Field(default=None, description="of a declared NAS-BNN space")
    stem_stride: int | None = Field(default=None, description="of a declared NAS-BNN space")
    non_decreasing: bool | None = Field(
        default=None, description="NAS-BNN's constraint of equation 3; false is the paper's ablation"
    )
    ratios: tuple[float, ...] | None = Field(default=None, description="of a width space, in rising order")
    binariser: str | None = Field(default=None, description="of a width space: dorefa, xnor, bireal or reactnet")
    layer_types: tuple[str, ...] | None = Field(default=None, description="of a cell space: none, max, avg, dil3, ...")
    nodes: int | None = Field(default=None, description="of a cell")
    cells: int | None = Field(default=None, description="of the final network of a cell space")
    width: int | None = Field(default=None, description="channels of the first cells of a cell space's final network")
    groups: int | None = Field(default=None, description="of the cells' convolutions (BNAS v2)")
    inter_cell_skip: bool | None = Field(default=None, description="of a cell space; false is the paper's ablation")
    architecture: str | None = Field(default=None, description="one member: only its hyperparameters are searched")
    hyperparameters: dict[str, tuple[int | float | str, ...] | GridConfig] = Field(
        default_factory=dict, description="searched as well: a list of values, or low, high, steps and log"
    )

    @field_validator("name")
    @classmethod
    def _named(cls, name: str, info: ValidationInfo) -> str:
        declares = any(info.data.get(keys[0]) is not None for keys in FAMILY_KEYS.values())
        if not declares:
            get_space(name)
        elif name in SPACES:
            raise ValueError("is a space already: give a declared one another name")
        return name

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        declared = [family for family, keys in FAMILY_KEYS.items() if getattr(self, keys[0]) is not None]
        if len(declared) > 1:
            raise ValueError("stages, base and template exclude each other: give one of them")
        family = declared[0] if declared else get_space(self.name).family
        alien = [key for other, keys in FAMILY_KEYS.items() if other != family for key in keys if self._has(key)]
        if alien:
            what = f"a {family} space" if declared else f"space {self.name!r}, a {family} space"
            raise ValueError(f"{' and '.join(alien)} cannot be said of {what}: leave them out")
        parts = [key for key in ("stem_widths", "stem_stride") if self._has(key)]
        if parts and not declared:
            raise ValueError(
                f"{' and '.join(parts)} without stages declare no space: give stages, too, or leave them out"
            )
        missing = [key for key in REQUIRED[family] if not self._has(key)] if declared else []
        if missing:
            raise ValueError(f"a declared space needs {', '.join(missing)}, too")
        self.build()
        return self

    def _has(self, key: str) -> bool:
        return getattr(self, key) is not None

    @classmethod
    def of(cls, space: NasBnnSpace) -> "SpaceConfig":
        """The section that declares a space made in Python; raises `ValidationError` where a named one is called so."""
        declared = dataclasses.asdict(space)
        return cls.model_validate({name: value for name, value in declared.items() if name in cls.model_fields})

    def build(self, classes: int | None = None, channels: int | None = None) -> "Space[Any]":
        """What is searched, for data with so many classes and channels: architectures, hyperparameters, or both."""
        return self.searched(self.architectures(classes, channels))

    def searched(self, space: "Space[Any]") -> "Space[Any]":
        """What is searched: all of the architectures or one of them, with hyperparameters where there are any."""
        hyperparameters = self.hyperparameter_space()
        if self.architecture is None and hyperparameters is None:
            return space
        from spaces.joint.fixed import OnlySpace
        from spaces.joint.space import JointSpace

        if self.architecture is not None:
            space = OnlySpace(space, space.parse(self.architecture))
        return space if hyperparameters is None else JointSpace(space, hyperparameters)

    def architectures(self, classes: int | None = None, channels: int | None = None) -> "Space[Any]":
        """The space of architectures alone."""
        given: dict[str, Any] = {
            key: getattr(self, key) for keys in FAMILY_KEYS.values() for key in keys if self._has(key)
        }
        space: Any
        if self.stages is not None:
            given["stages"] = tuple(Stage(**stage.model_dump()) for stage in self.stages)
            space = NasBnnSpace(self.name, **given, image_size=self.image_size or 0, classes=10)
        elif self.base is not None:
            from spaces.width import WidthSpace

            space = WidthSpace(self.name, **given)
        elif self.template is not None:
            from spaces.cell import CellSpace

            space = CellSpace(self.name, **given, image_size=self.image_size or 0, classes=10)
        else:
            space = get_space(self.name)
            space = dataclasses.replace(space, **given) if given else space
        return space.for_data(image_size=self.image_size, classes=classes, channels=channels)

    def hyperparameter_space(self) -> "HyperparameterSpace | None":
        """The hyperparameters that are searched; None where there are none."""
        if not self.hyperparameters:
            return None
        from spaces.hyperparameters.space import HyperparameterSpace
        from spaces.hyperparameters.values import Grid, Listed

        declared: list[Hyperparameter] = []
        for name, values in self.hyperparameters.items():
            if isinstance(values, GridConfig):
                declared.append(Grid(name, values.low, values.high, values.steps, values.log))
            else:
                declared.append(Listed(name, tuple(_value(name, value) for value in values)))
        if not declared:
            raise SpaceError("hyperparameters must name at least one")
        return HyperparameterSpace(f"{self.name} hyperparameters", tuple(declared))


def _value(name: str, value: int | float | str) -> int | float | str:
    """A value as it is meant: YAML takes 1e-4 for a word."""
    if isinstance(value, str) and not isinstance(KNOWN.get(name), Word):
        with suppress(ValueError):
            return float(value)
    return value
