"""What `search` exports: the same for people and for type checkers, and nothing heavy before it is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import search


def test_type_checkers_see_the_public_names():
    tree = ast.parse(Path(search.__file__).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = [each.name for line in block.body for each in line.names]
    assert sorted(seen) == search.__all__


def test_every_public_name_is_there():
    for name in search.__all__:
        assert getattr(search, name).__module__.startswith("search.")
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        search.nothing  # noqa: B018


def test_importing_search_loads_nothing_heavy():
    code = "import search, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "ray", "optuna", "pandas", "pydantic"} & set(loaded)
