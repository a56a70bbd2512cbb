"""A user's own code, named in a configuration as `package.module:name`."""

import hashlib
import os
import sys
from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import cast

from search.config.sections import ConfigError
from search.registry import is_extension
from spaces.errors import nearest, shown

_KEYS = ("proposer", "loss", "step", "callbacks")
"""The settings of sections that may name such code."""


def load_extension(text: str, what: str) -> object:
    """What `package.module:name` names; `what` is its role, for messages.

        load_extension("collections:OrderedDict", "proposer")

    The current folder is searched last, so that a module beside a user's data is found and hides none of ours.
    Raises `ConfigError` where the text has another form, or the module or the name is not there.
    """
    if not is_extension(text):
        raise ConfigError(f"{what} is {shown(text)}: write package.module:Name")
    module_name, _, name = text.partition(":")
    here = os.environ.get("TUNE_ORIG_WORKING_DIR") or str(Path.cwd())  # Tune moves its workers to folders of trials
    if here not in sys.path:
        sys.path.append(here)
    try:
        found: object = import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(f"{what} {text}: importing it failed, because there is no module {error.name}") from None
        raise ConfigError(
            f"{what} {text}: there is no module {error.name}. Install it, or start where {module_name} can be imported"
        ) from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise ConfigError(f"{what} {text}: {module_name} has no {part}{nearest(part, dir(found))}")
        found = getattr(found, part)
    return found


def extensions_of(config: Mapping[str, object]) -> dict[str, dict[str, str]]:
    """The facts of all code of the user's own that a configuration names, by key: `training.loss`, say."""
    texts: dict[str, object] = {}
    for section, values in config.items():
        for key, value in cast("dict[str, object]", values).items() if isinstance(values, dict) else ():
            if key in _KEYS:
                name = f"{section}.{key}"
                if isinstance(value, list):
                    texts |= {f"{name}.{place}": each for place, each in enumerate(cast("list[object]", value))}
                else:
                    texts[name] = value
    return {key: extension_facts(text) for key, text in texts.items() if isinstance(text, str) and is_extension(text)}


def extension_facts(text: str) -> dict[str, str]:
    """What a run keeps of a user's code that it uses: its name, the version of the package that has it, and the SHA-256
    of its module's file; what cannot be told is left out."""
    module_name = text.partition(":")[0]
    facts = {"name": text}
    try:
        facts["version"] = version(module_name.partition(".")[0])
    except PackageNotFoundError:  # a file beside the user's data
        file = getattr(sys.modules.get(module_name), "__file__", None)
        if file and Path(file).is_file():
            facts["sha256"] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return facts
