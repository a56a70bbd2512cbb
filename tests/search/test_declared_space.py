"""A space that a configuration declares: the same as in Python, kept whole, and refused with reasons."""

import dataclasses

import pytest

from analysis.findings.facts import run_facts
from analysis.runs.schema import write_trials
from search.config.loading import check_config, parse_yaml
from search.config.run import RunConfig
from search.config.sections import ConfigError
from search.config.space import SpaceConfig
from spaces import SPACES, get_space


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
        ({"name": "nowhere"}, "space 'nowhere'"),
        ({"stem_stride": 1}, "stem_stride without stages"),
        ({"name": "mine", "stages": []}, "a declared space needs stem_widths, stem_stride, image_size"),
        ({"name": "nasbnn", "stages": []}, "is a space already"),
        ({"stages": []}, "is a space already"),
        ({"name": "mine", "stages": [], "stem_widths": [8, 4], "stem_stride": 1, "image_size": 8}, "stem_widths must"),
        ({"name": "mine", "stages": [{"depth": [1]}]}, r"no key 'space.stages.0.depth'; did you mean 'depths'\?"),
    ],
)  # fmt: skip
def test_impossible_declarations_are_refused(space, words):
    with pytest.raises(ConfigError, match=words):
        check_config({"space": space}, "f.yaml")
