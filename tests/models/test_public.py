"""What people import from `models`: every name is there, editors know it, and torch waits until one is asked for."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import models


def test_every_name_can_be_imported():
    assert all(getattr(models, name).__name__ == name for name in models.__all__ if name != "BINARISERS")
    assert "reactnet" in models.BINARISERS


def test_type_checkers_know_the_same_names():
    (block,) = (
        node
        for node in ast.parse(Path(models.__file__).read_text()).body
        if isinstance(node, ast.If) and node.body[0].lineno < 30
    )
    known = [alias.name for node in block.body for alias in node.names]
    assert sorted(known) == models.__all__


def test_importing_models_loads_no_torch():
    code = "import models, sys; assert 'torch' not in sys.modules; models.Options; models.build_network"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_names_are_refused():
    with pytest.raises(AttributeError, match="module 'models' has no attribute 'build_netwrk'"):
        models.build_netwrk  # noqa: B018
