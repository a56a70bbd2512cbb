"""A family outside `spaces`: what it has to define, and that it obeys the laws of every space."""

import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from spaces import Listed, SpaceError, space_from
from spaces.conformance import LAWS, check
from spaces.cost import itemise, linear, total
from spaces.declarations import FAMILIES
from spaces.errors import refuse
from spaces.hyperparameters import HyperparameterSpace
from spaces.joint import JointSpace, OnlySpace
from spaces.product import ProductSpace


@dataclass(frozen=True)
class Hidden:
    """A network of one hidden layer: its width, and what it computes."""

    width: int
    activation: str

    def __str__(self) -> str:
        return f"{self.activation}*{self.width}"


@dataclass(frozen=True)
class HiddenSpace(ProductSpace[Hidden, int | str]):
    family: ClassVar[str] = "hidden"

    name: str
    widths: tuple[int, ...] = (4, 8, 16)
    image_size: int = 8
    classes: int = 10
    channels: int = 1

    def __post_init__(self):
        object.__setattr__(self, "widths", tuple(self.widths))
        refuse(self.name, ["classes must be at least 1"] if self.classes < 1 else [])

    def genes(self):
        return {"width": self.widths, "activation": ("relu", "sign")}

    def _values(self, member):
        return member.width, member.activation

    def _member(self, values):
        return Hidden(*values)

    def objections(self, member):
        if member.width not in self.widths:
            yield f"width {member.width} is not one of {self.widths}"

    def smallest(self):
        return Hidden(self.widths[0], "relu")

    def largest(self):
        return Hidden(self.widths[-1], "relu")

    def parse(self, text):
        activation, _, width = text.partition("*")
        return self.require(Hidden(int(width), activation))

    def _to_json(self, member):
        return {"width": member.width, "activation": member.activation}

    def _from_json(self, data):
        return Hidden(data["width"], data["activation"])

    def _prices(self, members, image_size, classes):
        space, widths = self.for_data(image_size, classes), np.array([m.width for m in members], dtype=np.int64)
        pixels = np.full_like(widths, space.channels * space.image_size**2)
        return [linear("hidden", pixels, 1)._replace(out_channels=widths), linear("linear", widths, space.classes)]

    def cost(self, member, image_size=None, classes=None):
        return itemise(self._prices([self.require(member)], image_size, classes))

    def costs(self, members, image_size=None, classes=None):
        return total(self._prices(members, image_size, classes))


TINY = HiddenSpace("tiny")


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(sys.modules, "own_package", sys.modules[__name__])
    monkeypatch.setitem(FAMILIES, "hidden", ("own_package", "HiddenSpace"))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_a_space_of_ones_own_obeys(law):
    law(TINY)


def test_it_is_joined_and_fixed_as_every_space_is():
    settings = HyperparameterSpace("settings", (Listed("seed", (1, 2)), Listed("optimiser", ("sgd", "adam"))))
    for space in (OnlySpace(TINY, TINY.largest()), JointSpace(TINY, settings)):
        check(space)


def test_its_declaration_is_refused_as_every_other():
    with pytest.raises(SpaceError, match="this is not a space of the family 'hidden': classes must be an integer"):
        space_from({"family": "hidden", "name": "tiny", "classes": 2.5})
    with pytest.raises(SpaceError, match="has no field 'width'; its fields are name, widths, image_size"):
        space_from({"family": "hidden", "name": "tiny", "width": 2})
