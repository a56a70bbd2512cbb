"""The notebooks run as scripts, one after another: the first searches, the second reads what the first left."""

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_notebooks_run(tmp_path, monkeypatch):
    monkeypatch.setenv("BINARYNAS_NOTEBOOK", str(tmp_path))
    left = runpy.run_path(str(NOTEBOOKS / "search_your_data.py"))
    assert len(left["front"]) > 0
    assert left["network"].space.name == "notebook"
    monkeypatch.setenv("BINARYNAS_RUN", str(tmp_path / "run"))
    read = runpy.run_path(str(NOTEBOOKS / "decide.py"))
    assert read["chosen"].ops <= read["budget"]
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000
