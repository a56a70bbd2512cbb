"""A user's own code by name: found beside the user's data, and one sentence for each way to miss it."""

import sys

import pytest

from search.config.sections import ConfigError
from search.extensions import is_extension, load_extension


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "my_own_code.py").write_text("class Outer:\n    class Inner:\n        pass\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    sys.modules.pop("my_own_code", None)


@pytest.mark.parametrize(
    ("text", "whether"),
    [
        ("a:b", True),
        ("a.b:C.d", True),
        ("evolution", False),
        ("a.b", False),
        (":b", False),
        ("a:", False),
        ("a/b.py:c", False),
    ],
)
def test_its_form(text, whether):
    assert is_extension(text) is whether


def test_found_in_the_current_folder_which_is_searched_last(own_module, tmp_path):
    assert load_extension("my_own_code:Outer.Inner", "proposer").__qualname__ == "Outer.Inner"
    assert sys.path[-1] == str(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("my-code", "write package.module:Name"),
        ("no_such_module_here:A", "there is no module no_such_module_here. Install it"),
        ("my_own_code:Otter", "my_own_code has no Otter; did you mean 'Outer'?"),
        ("my_own_code:Outer.Other", "my_own_code has no Other"),
    ],
)
def test_what_is_missing_is_said(own_module, text, sentence):
    with pytest.raises(ConfigError, match="proposer") as caught:
        load_extension(text, "proposer")
    assert sentence in str(caught.value)


def test_a_module_that_its_code_misses_is_named(own_module, tmp_path):
    (tmp_path / "my_other_code.py").write_text("import a_module_that_is_not_there\n")
    with pytest.raises(ConfigError, match="importing it failed, because there is no module a_module_that_is_not_there"):
        load_extension("my_other_code:A", "callback")
