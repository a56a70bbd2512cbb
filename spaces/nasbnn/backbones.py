"""A NAS-BNN space whose members cost what detectors on them cost, for searches among backbones."""

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np

from spaces.cost import Cost, Costs
from spaces.cost.detector import PUBLISHED_SIZE, DetectorDesign, detector_cost
from spaces.nasbnn.architecture import Architecture
from spaces.nasbnn.space import NasBnnSpace

_ONE_CLASS = DetectorDesign(1)


@dataclass(frozen=True)
class BackboneSpace(NasBnnSpace):
    """The members, names and ids of another space; `cost` is `DetectorCost.compared` of a detector of this design, on
    images of `counted_size` pixels.

    Raises `SpaceError` where networks have no four scales.
    """

    design: DetectorDesign = _ONE_CLASS
    counted_size: int = PUBLISHED_SIZE

    @classmethod
    def of(cls, space: NasBnnSpace, design: DetectorDesign, counted_size: int) -> Self:
        """The backbones that are members of a space."""
        fields = {each.name: getattr(space, each.name) for each in dataclasses.fields(space)}
        return cls(**fields, design=design, counted_size=counted_size)

    def cost(self, member: Architecture, image_size: int | None = None, classes: int | None = None) -> Cost:
        """What the detector on a member costs, at `counted_size` or another size; it has the design's classes."""
        size = image_size or self.counted_size
        return detector_cost(super().cost(member, size), size, self.design, self.name).compared

    def costs(self, members: list[Architecture], image_size: int | None = None, classes: int | None = None) -> Costs:
        """What the detectors on many members cost."""
        found = [self.cost(member, image_size) for member in members]
        columns = [field.name for field in dataclasses.fields(Costs)]
        return Costs(*(np.array([getattr(cost, name) for cost in found], np.int64) for name in columns))
