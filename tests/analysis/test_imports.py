"""What importing the room loads, seen from a fresh process; what is public; and which of its rooms import which."""

import ast
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from analysis.runs.schema import write_trials

# what is read where a run is searched, by the command line and by every worker
LIGHT = (
    "analysis, analysis.stages, analysis.units, analysis.measures.pareto, analysis.measures.hypervolume, "
    "analysis.measures.attainment, analysis.measures.intervals, analysis.measures.ranks, analysis.runs.schema, "
    "analysis.runs.layout, analysis.runs.seal, analysis.runs.journal, analysis.runs.journal_lines"
)
OTHERS = {"torch", "torchvision", "ray", "optuna", "models", "search", "sklearn", "scipy"}
FLOORS = ({"measures"}, {"runs"}, {"stages", "units"}, {"findings"}, {"tables"}, {"plots"}, {"report"})


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {*result.stdout.split()}


def test_importing_what_searches_read_loads_no_heavy_library():
    assert loaded(f"import {LIGHT}") & {*OTHERS, "pandas", "pyarrow", "matplotlib"} == set()


def test_importing_everything_loads_no_other_room_and_nothing_slow():
    every = [module.name for module in pkgutil.walk_packages(analysis.__path__, "analysis.")]
    assert len(every) > 50
    assert loaded(f"import {', '.join(every)}") & {*OTHERS, "matplotlib.pyplot"} == set()


def test_drawing_loads_neither_torch_nor_ray_nor_pyplot(tmp_path, make_rows):
    write_trials(make_rows(20), tmp_path / "trials.parquet")
    code = (
        "from analysis import frontier_data, load_trials, plot_frontier, save_figure\n"
        f"save_figure(plot_frontier(frontier_data(load_trials({str(tmp_path)!r}))), {str(tmp_path / 'f')!r})\n"
    )
    assert loaded(code) & {"torch", "ray", "optuna", "matplotlib.pyplot"} == set()


def imports(file: Path) -> list[ast.ImportFrom]:
    return [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]


def test_public_names_are_those_that_type_checkers_see():
    file = Path(analysis.__file__)
    seen = {(node.module, alias.name) for node in imports(file) for alias in node.names if node.module}
    seen = {(module, name) for module, name in seen if module.startswith("analysis")} - {("analysis.plots", "*")}
    seen |= {("analysis.plots", name) for name in analysis.plots.__all__}
    assert {name for _, name in seen} == {*analysis.__all__}
    for module, name in seen:
        assert getattr(analysis, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="no attribute 'trails'"):
        _ = analysis.trails


def test_rooms_import_only_from_rooms_below():
    floors = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    folder = Path(analysis.__file__).parent
    for file in folder.rglob("*.py"):
        room = file.relative_to(folder).parts[0].removesuffix(".py")
        for node in imports(file) if room in floors else ():
            first, *rest = (node.module or "").split(".")
            if first == "analysis" and rest[0] != room:
                assert floors[rest[0]] < floors[room], f"{file} imports {node.module}"
