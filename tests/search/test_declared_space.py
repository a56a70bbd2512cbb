"""A space that a configuration declares: the same as in Python, kept whole, and refused with reasons."""

import dataclasses
import sys
from typing import ClassVar

import pytest

from analysis.findings.facts import run_facts
from analysis.runs.schema import write_trials
from search.config.loading import check_config, parse_yaml
from search.config.run import RunConfig
from search.config.sections import ConfigError
from search.config.space import SpaceConfig
from spaces import SPACES, WidthSpace, get_space
from spaces.declarations import FAMILIES


def renamed(name):
    return dataclasses.replace(get_space(name), name=f"my-{name}")


@pytest.mark.parametrize("name", SPACES)
def test_space_from_python_comes_back(name):
    space = renamed(name)
    config = RunConfig(space=SpaceConfig.of(space))
    again = check_config(parse_yaml(config.to_yaml(), "config.yaml"), "config.yaml")
    assert again == config
    assert again.space.build(classes=space.classes, channels=space.channels) == space


def test_analysis_reads_a_declared_space(tmp_path):
    space = dataclasses.replace(renamed("nasbnn-digits"), classes=3, channels=3, non_decreasing=False)
    (tmp_path / "config.yaml").write_text(RunConfig(space=SpaceConfig.of(space)).to_yaml())
    (tmp_path / "run.json").write_text('{"data": {"class_names": ["a", "b", "c"], "channels": 3}}')
    write_trials([], tmp_path / "trials.parquet")
    facts = run_facts(tmp_path)
    assert facts.space == space
    assert not facts.notes


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({"name": "nowhere"}, "unknown space 'nowhere'"),
        ({"stem_stride": 1}, "stem_stride without stages"),
        ({"name": "mine", "stages": []}, "a declared space needs stem_widths, stem_stride, image_size"),
        ({"name": "nasbnn", "stages": []}, "is a space already"),
        ({"stages": []}, "is a space already"),
        ({"name": "mine", "stages": [], "stem_widths": [8, 4], "stem_stride": 1, "image_size": 8}, "stem_widths must"),
        ({"name": "mine", "stages": [{"depth": [1]}]}, r"unknown key 'space.stages.0.depth'; did you mean 'depths'\?"),
    ],
)  # fmt: skip
def test_impossible_declarations_are_refused(space, words):
    with pytest.raises(ConfigError, match=words):
        check_config({"space": space}, "f.yaml")


@dataclasses.dataclass(frozen=True)
class OwnSpace(WidthSpace):
    """A family that nothing in `search` knows."""

    family: ClassVar[str] = "private"
    declared_by: ClassVar[tuple[str, ...]] = ("shades",)
    base: str = "vgg-digits"
    shades: tuple[int, ...] = (1,)

    def __post_init__(self):
        super().__post_init__()
        object.__setattr__(self, "shades", tuple(self.shades))


@pytest.fixture
def own_family(monkeypatch):
    monkeypatch.setitem(sys.modules, "own_package", sys.modules[__name__])
    monkeypatch.setitem(FAMILIES, "private", ("own_package", "OwnSpace"))
    monkeypatch.setitem(SPACES, "own-small", OwnSpace("own-small", image_size=8, channels=1))


@pytest.mark.parametrize(
    ("section", "space"),
    [
        ({"name": "own-small"}, OwnSpace("own-small", image_size=8, channels=1)),
        (
            {"name": "own-small", "shades": None, "ratios": [1, 2]},
            OwnSpace("own-small", ratios=(1, 2), image_size=8, channels=1),
        ),
        ({"name": "mine", "shades": [1, 2], "image_size": 16}, OwnSpace("mine", image_size=16, shades=(1, 2))),
    ],
)
def test_a_family_of_ones_own_needs_nothing_in_search(own_family, section, space):
    config = check_config({"space": section}, "f.yaml")
    assert config.space.build() == space
    assert check_config(parse_yaml(config.to_yaml(), "f.yaml"), "f.yaml") == config


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"name": "own-small", "shadse": [1]}, "unknown key 'space.shadse'"),
        ({"name": "own-small", "cells": 3}, "cells cannot be said of space 'own-small', a private space"),
        ({"name": "own-small", "shades": [1]}, "is a space already"),
        ({"name": "mine", "shades": [1], "base": "vgg-digits"}, "base and shades exclude each other"),
        ({"name": "vgg-digits", "shades": [1]}, "is a space already"),
        ({"name": "vgg-digits", "colour": 1}, "unknown key 'space.colour'"),
    ],
)
def test_the_keys_of_a_family_of_ones_own_are_checked(own_family, section, words):
    with pytest.raises(ConfigError, match=words):
        check_config({"space": section}, "f.yaml")
