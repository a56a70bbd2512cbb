"""cluster.yaml: what Ray's own schema says of it, and what we promise of it beyond that. No cloud is asked."""

import copy
import re
from pathlib import Path

import pytest
import yaml

FILE = Path(__file__).parents[1] / "cluster.yaml"


def prepared(config: dict) -> dict:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(copy.deepcopy(config))
    validate_config(config)
    return config


@pytest.fixture(scope="module")
def config() -> dict:
    return yaml.safe_load(FILE.read_text())


def test_ray_takes_it(config):
    types = prepared(config)["available_node_types"]
    assert set(types) == {"head", "gpu", "cpu"}


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ((), "max_worker", 3),
        (("provider",), "type", "awz"),
        (("available_node_types", "gpu"), "min_workers", 9),
        (("available_node_types", "gpu"), "resource", {}),
        ((), "head_node_type", "boss"),
    ],
)
def test_ray_would_not_take_just_anything(config, section, key, value):
    import jsonschema

    broken = copy.deepcopy(config)
    place = broken
    for part in section:
        place = place[part]
    place[key] = value
    with pytest.raises((jsonschema.ValidationError, ValueError, KeyError, NotImplementedError)):
        prepared(broken)


def test_trials_run_on_workers_that_come_and_go(config):
    types = dict(config["available_node_types"])
    head = types.pop(config["head_node_type"])
    assert head["resources"] == {"CPU": 0}, "no trial takes the journal's machine"
    assert any(worker["resources"].get("GPU") for worker in types.values())
    for worker in types.values():
        assert worker["min_workers"] == 0
        assert 0 < worker["max_workers"] <= config["max_workers"]
        assert worker["resources"]["CPU"] > 0


def test_every_process_has_to_show_a_token(config):
    assert config["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    for start in ("head_start_ray_commands", "worker_start_ray_commands"):
        commands = [command for command in config[start] if "ray start" in command]
        assert len(commands) == 1
        assert all("RAY_AUTH_MODE=token ray start" in command for command in commands)


def test_nothing_is_open_to_the_world(config):
    """A group that Ray makes by itself opens SSH to everyone, whatever the file says; so every node names another."""
    assert "security_group" not in config["provider"]
    for node in config["available_node_types"].values():
        assert all(group.startswith("sg-") for group in node["node_config"]["SecurityGroupIds"])
    text = re.sub(r"#.*", "", FILE.read_text())
    assert not re.search(r"0\.0\.0\.0|::/0", text)
    assert "--dashboard-host=127.0.0.1" in text


def test_runs_stand_on_one_path_of_every_node(config):
    mounts = [command for command in config["initialization_commands"] if "mount -t" in command]
    assert len(mounts) == 1
    assert " /shared" in mounts[0]
    assert "nolock" not in mounts[0]


def test_the_libraries_of_a_node_are_those_of_this_project(config):
    import tomllib

    needed = tomllib.loads((FILE.parent / "pyproject.toml").read_text())["project"]["dependencies"]
    install = next(command for command in config["setup_commands"] if "torch" in command)
    assert "-c ~/constraints.txt" in install, "in the versions that were tried"
    assert (FILE.parent / config["file_mounts"]["~/constraints.txt"]).is_file()
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in needed}
    there = {re.split(r"[\[<>=]", word.strip('"'))[0] for word in install.split()}
    assert names - there == {"numpy"}, "numpy comes with the others; every other library is named"
    pinned = re.search(r"^ray==(.*)$", (FILE.parent / "constraints.txt").read_text(), re.MULTILINE)[1]
    assert f"ray[default,tune]=={pinned}" in install, "a driver and its cluster need one version of Ray"


def test_the_values_for_machines_of_ones_own_are_valid(config):
    """What stands in comments at the end, put in as the comment says."""
    comment = FILE.read_text().rpartition("# Machines of your own")[2]
    lines = [line.removeprefix("#").removeprefix(" ") for line in comment.splitlines() if line.startswith("#")]
    text = "\n".join(line for line in lines if re.match(r"( *[a-z_]+:( |$))", line) and "leave them out" not in line)
    own = yaml.safe_load(text)
    left = {"available_node_types", "head_node_type", "initialization_commands"}
    found = prepared({key: value for key, value in {**config, **own}.items() if key not in left})
    assert found["provider"]["head_ip"] == "10.0.0.1"
    (kind,) = found["available_node_types"].values()
    assert (kind["min_workers"], kind["max_workers"]) == (2, 2)
