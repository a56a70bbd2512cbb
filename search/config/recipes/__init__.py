"""Recipes by which given networks are trained: the section `final` of papers, as YAML files beside this one."""

from importlib.resources import files

from search.config.loading import Values, parse_yaml
from search.config.sections import ConfigError
from spaces.errors import unknown

DEFAULT = "adam"


def recipes() -> dict[str, str]:
    """The recipes by name, as YAML texts."""
    texts = {
        item.name.removesuffix(".yaml"): item.read_text()
        for item in files("search.config.recipes").iterdir()
        if item.name.endswith(".yaml")
    }
    return dict(sorted(texts.items()))


def recipe(name: str) -> Values:
    """The sections of a recipe. Raises `ConfigError` that lists the recipes for a name that is none."""
    known = recipes()
    if name not in known:
        raise ConfigError(unknown("recipe", name, known))
    return parse_yaml(known[name], name)
