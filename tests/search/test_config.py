"""Configurations: every problem is named at once, and what is stored is read back."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from search.config.loading import check_config, load_config, parse_yaml, presets
from search.config.run import RunConfig
from search.config.sections import ConfigError


@pytest.mark.parametrize("name", presets())
def test_presets_are_whole_and_survive_being_stored(name):
    config = load_config(name)
    assert check_config(parse_yaml(config.to_yaml(), "stored"), "stored") == config
    assert presets()[name].startswith("# "), "its first line says what it is for"


def test_the_imagenet_preset_is_the_papers_recipe():
    config = load_config("nasbnn-imagenet")
    assert (config.supernet.epochs, config.supernet.batch_size, config.supernet.weight_decay) == (512, 512, 5e-6)
    assert config.search.trials == 512 + 20 * (128 + 128)
    assert (config.search.ops_max - config.search.ops_min) / config.search.bins == 2e6
    assert (config.finetune.epochs, config.finetune.learning_rate, config.finetune.weight_decay) == (100, 1e-5, 0)
    assert (config.evaluation.recalibration_batches, config.evaluation.recalibration_batch_size) == (10, 2048)
    assert config.data.validation_per_class == 50


def test_settings_reach_any_depth_and_the_last_one_counts():
    settings = ["search.trials=7", "search.trials=9", "data={name: digits, crop_padding: 2}"]
    config = load_config("nasbnn-digits", settings)
    assert config.search.trials == 9
    assert config.data.crop_padding == 2
    assert config.search.generation == load_config("nasbnn-digits").search.generation


def test_a_file_is_read_and_options_go_on_top(tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("search: {trials: 5, proposer: tpe}\n")
    config = load_config(str(file), ["search.trials=6"], {"seed": 3})
    assert (config.search.trials, config.search.proposer, config.seed) == (6, "tpe", 3)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"serach": {}}, ["'serach'", "did you mean 'search'", "space, data"]),
        ({"supernet": {"epocs": 1}}, ["'supernet.epocs'", "did you mean 'epochs'"]),
        ({"data": {"nam": 1}}, ["'data.nam'", "did you mean 'name'"]),
        (
            {"search": {"trials": 0}, "seed": -1, "supernet": {"teacher": 3}},
            ["search.trials", "seed", "supernet.teacher"],
        ),
        ({"search": {"ops_min": 5, "ops_max": 4}}, ["ops_min 5 is above ops_max 4"]),
        ({"search": {"proposer": "evolutoin"}}, ["did you mean 'evolution'"]),
        ({"search": {"objectives": ["accuracy", "accuracy"]}}, ["at most once"]),
        ({"supernet": {"learning_rate": float("nan")}}, ["supernet.learning_rate"]),
        ({"space": {"name": "nasbnn-33"}}, ["did you mean 'nasbnn-32'"]),
    ],
)
def test_every_problem_is_named_at_once(values, words):
    with pytest.raises(ConfigError) as error:
        check_config(values, "mine.yaml")
    assert str(error.value).startswith("mine.yaml: ")
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[1, 2]", ["mapping of sections"]),
        ("a: b: c", ["not readable as YAML"]),
        ("version: 99", ["version 99", "reads version 1"]),
        ("!!python/object/apply:os.system [echo]", ["not readable as YAML"]),
        ("1: 2", ["mapping of sections"]),
    ],
)
def test_a_text_that_is_no_configuration_is_refused(text, words):
    with pytest.raises(ConfigError) as error:
        check_config(parse_yaml(text, "mine.yaml"), "mine.yaml")
    assert all(word in str(error.value) for word in ["mine.yaml", *words]), str(error.value)


@pytest.mark.parametrize("setting", ["trials", "=3", "search..trials=3", "search.trials=[", ".x=1"])
def test_a_setting_that_is_none_is_refused(setting):
    with pytest.raises(ConfigError, match="setting"):
        load_config("nasbnn-digits", [setting])


@pytest.mark.parametrize("source", ["no-such-preset", "missing.yaml"])
def test_a_source_that_is_none_is_refused(source):
    with pytest.raises(ConfigError, match=source):
        load_config(source)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from([*RunConfig.model_fields, "version", "serach"]) | st.text(max_size=5)


@given(st.dictionaries(keys, anything, max_size=4))
def test_any_values_are_accepted_or_refused_by_one_sentence(values):
    try:
        check_config(values, "mine.yaml")
        told = "mine.yaml: "
    except ConfigError as error:
        told = str(error)
    assert told.startswith("mine.yaml: ")


@given(st.text(max_size=60) | anything.map(lambda value: yaml.safe_dump(value)))
def test_any_text_is_accepted_or_refused_by_one_sentence(text):
    try:
        check_config(parse_yaml(text, "mine.yaml"), "mine.yaml")
        told = "mine.yaml"
    except ConfigError as error:
        told = str(error)
    assert "mine.yaml" in told


@given(st.text(alphabet="abs.=:[]{}#1 ", max_size=20))
def test_any_setting_is_accepted_or_refused_by_one_sentence(setting):
    try:
        load_config("nasbnn-digits", [setting])
    except ConfigError as error:
        told = str(error)
    else:
        told = "nasbnn-digits"
    assert "setting" in told or "nasbnn-digits" in told
