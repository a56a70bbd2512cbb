"""A user's own code, named in a configuration as `package.module:name`."""

import os
import sys
from importlib import import_module
from pathlib import Path

from search.config.sections import ConfigError
from spaces.errors import nearest, shown


def is_extension(text: str) -> bool:
    """Whether a text names a user's own code: `package.module:name`, two Python names with dots around one colon."""
    module, colon, name = text.partition(":")
    return bool(colon) and all(part.isidentifier() for part in [*module.split("."), *name.split(".")])


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
