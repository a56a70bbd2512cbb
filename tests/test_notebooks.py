"""The notebooks run as scripts, one after another: the first searches, the second reads what the first left."""

import json
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


@pytest.mark.parametrize("name", ["search_your_data", "decide"])
def test_the_rendered_copy_has_the_same_code(name):
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8"))["cells"]
    rendered = ["".join(cell["source"]).strip() for cell in cells if cell["cell_type"] == "code"]
    parts = (NOTEBOOKS / f"{name}.py").read_text("utf-8").split("# %%\n")[1:]
    code = [part.partition("\n# %% [markdown]")[0].replace("# %matplotlib", "%matplotlib").strip() for part in parts]
    assert rendered == code, f"run jupytext --to ipynb --update notebooks/{name}.py"
