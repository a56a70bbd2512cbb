"""The public names of a package, loaded when they are asked for."""

from collections.abc import Callable, Mapping
from importlib import import_module

from spaces.tools.origin import hidden


def public_names(package: str, places: Mapping[str, str]) -> tuple[list[str], Callable[[str], object]]:
    """A package's `__all__` and its `__getattr__`, from the names in each of its modules, with spaces between them.

    >>> __all__, __getattr__ = public_names("spaces", {"errors": "SpaceError nearest", "cost": "Cost"})
    >>> __all__
    ['Cost', 'SpaceError', 'nearest']
    >>> __getattr__("SpaceError").__module__
    'spaces.errors'
    """
    modules = {name: f"{package}.{place}" for place, names in places.items() for name in names.split()}

    def load(name: str) -> object:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            module = import_module(modules[name])
        except ImportError as error:
            problem = hidden()
            raise (ImportError(problem) if problem else error) from None
        return getattr(module, name)

    return sorted(modules), load
