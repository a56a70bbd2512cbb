"""From a preset, a YAML file and settings to a checked configuration, with every problem named at once."""

from collections.abc import Hashable, Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from yaml.constructor import ConstructorError

from search.config.run import FORMAT_VERSION, RunConfig
from search.config.sections import ConfigError
from search.data.config import KNOWN, DataConfig
from spaces.errors import SpaceError, nearest

Values = dict[str, Any]
"""Nested values by key, as YAML and JSON have them."""


def presets() -> dict[str, str]:
    """The presets by name, as YAML texts."""
    folder = files("search.config") / "presets"
    texts = {
        item.name.removesuffix(".yaml"): item.read_text() for item in folder.iterdir() if item.name.endswith(".yaml")
    }
    return dict(sorted(texts.items()))


def load_config(source: str, settings: Iterable[str] = (), overrides: Mapping[str, object] | None = None) -> RunConfig:
    """The configuration of a preset's name or a YAML file's path, with `key=value` settings on top.

    `overrides` are nested values of options with a name of their own (`--data`, `--trials`), applied before the
    settings; those that are None change nothing. Raises `ConfigError` that lists every problem.
    """
    named = presets()
    if source in named:
        text = named[source]
    elif Path(source).suffix in (".yaml", ".yml"):
        try:
            text = Path(source).read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the configuration {source}: {error}") from error
    else:
        raise ConfigError(
            f"{source!r} is neither a preset nor a .yaml file{nearest(source, named)}; "
            f"the presets are {', '.join(named)}"
        )
    values = parse_yaml(text, source)
    data = _given(overrides or {}).get("data")
    if data is not None and left_out(source, DataConfig.model_validate(data)):
        values.pop("data")
    return check_config(set_values(values, overrides or {}, settings), source)


def set_values(values: Values, overrides: Mapping[str, object], settings: Iterable[str]) -> Values:
    """Nested values with others in their place, those that are None left out, and `key=value` settings on top."""
    _merge(values, _given(overrides))
    for setting in settings:
        _merge(values, _nested(setting))
    return values


def left_out(source: str, data: DataConfig) -> list[str]:
    """What of a preset's data section belongs to its own data set, and not to these other images, as `key value`.

    Nothing where the preset is for images of one's own, or `data` are its own.
    """
    named = presets()
    own: Values = parse_yaml(named[source], source).get("data", {}) if source in named else {}
    if own.get("name") not in KNOWN or own["name"] == data.name:
        return []
    return [f"{key} {value}" for key, value in own.items() if key not in ("name", "path", "download")]


def changed(
    config: RunConfig, overrides: Mapping[str, object], settings: Iterable[str], source: str = "the plan"
) -> RunConfig:
    """A configuration with options and settings on top, as `load_config` takes them; `source` is what they change, for
    messages. Raises `ConfigError`."""
    values: Values = config.model_dump(mode="json", exclude_unset=True)
    return check_config(set_values(values, overrides, settings), source)


def parse_yaml(text: str, source: str) -> Values:
    """A YAML text as nested values; raises `ConfigError` where it is not a configuration, or one of another version."""
    try:
        values: object = _safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise ConfigError(f"{source} is not readable as YAML: {' '.join(str(error).split())}") from error
    sections = cast("Values", values) if isinstance(values, dict) else {}
    if not isinstance(values, dict | None) or not all(isinstance(key, str) for key in list[object](sections)):
        raise ConfigError(f"{source} must be a mapping of sections such as space, data, supernet and search")
    version = sections.pop("version", FORMAT_VERSION)
    if version != FORMAT_VERSION:
        raise ConfigError(f"{source} has version {version!r}; this binarynas reads version {FORMAT_VERSION}")
    return sections


class _Loader(yaml.SafeLoader):
    """A safe loader for which a key that stands twice is an error: YAML would keep the last one in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        seen: set[object] = set()
        for key, _ in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and name in seen:
                line = key.start_mark.line + 1
                raise ConstructorError(None, None, f"the key {name!r} stands twice (line {line}): leave one of them")
            seen.add(name)
        return super().construct_mapping(node, deep)


def _safe_load(text: str) -> Any:
    return yaml.load(text, _Loader)  # noqa: S506 - it is a safe loader


def check_config(values: Mapping[str, object], source: str) -> RunConfig:
    """The configuration that nested values describe. Raises `ConfigError` that lists every problem."""
    try:
        return RunConfig.model_validate(values)
    except (ValidationError, SpaceError) as error:
        problems = [str(error)] if isinstance(error, SpaceError) else [_explain(problem) for problem in error.errors()]
        raise ConfigError(f"{source}: " + "; ".join(problems)) from error


def _explain(problem: ErrorDetails) -> str:
    """One problem that pydantic found, in the user's words."""
    where = [str(part) for part in problem["loc"]]
    key = ".".join(where) or "the configuration"
    if problem["type"] == "extra_forbidden":
        known = _fields_at(where[:-1])
        return f"unknown key {key!r}{nearest(where[-1], known) or '.'} The keys here are {', '.join(known)}"
    given = repr(problem["input"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{key} is {given if len(given) <= 60 else given[:57] + '...'}: {message[:1].lower() + message[1:]}"


def _fields_at(where: list[str]) -> list[str]:
    """The keys of the section at a place."""
    section: type[BaseModel] = RunConfig
    for part in where:
        if part not in section.model_fields:  # a place in a list of sections, as `stages` is, or a name among several
            continue
        types = _types_in(section.model_fields[part].annotation)
        inner = next((kind for kind in types if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return []
        section = inner
    return list(section.model_fields)


def _types_in(annotation: object) -> list[object]:
    """A type and all types within it: `tuple[Stage, ...] | None` holds `Stage`."""
    return [annotation, *(found for inner in get_args(annotation) for found in _types_in(inner))]


_TEXTS = ("space.architecture",)  # settings whose value is a text: a genotype has colons, which YAML would read


def _nested(setting: str) -> Values:
    """`search.trials=50` as nested values."""
    key, equals, value = setting.partition("=")
    if not equals or not all(key.split(".")):
        raise ConfigError(f"a setting is KEY=VALUE with dots in the key, such as search.trials=50; got {setting!r}")
    try:
        *outer, last = key.split(".")
        nested: Values = {last: value if key in _TEXTS else _safe_load(value)}
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of setting {setting!r} is not readable as YAML") from error
    for part in reversed(outer):
        nested = {part: nested}
    return nested


def _given(values: Mapping[str, object]) -> Values:
    """Nested values without those that are None."""
    return {
        key: _given(cast("Values", value)) if isinstance(value, Mapping) else value
        for key, value in values.items()
        if value is not None
    }


def _merge(values: Values, changes: Values) -> None:
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(key), dict):
            _merge(values[key], cast("Values", change))
        else:
            values[key] = change
