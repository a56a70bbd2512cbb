"""What importing the room loads, seen from a fresh process."""

import subprocess
import sys

from analysis.schema import write_trials

MODULES = (
    "analysis, analysis.schema, analysis.trials, analysis.pareto, analysis.hypervolume, analysis.front, "
    "analysis.published, analysis.units, analysis.plots, analysis.journal, analysis.genes, analysis.effects, "
    "analysis.importance, analysis.statistics, analysis.attainment, analysis.events, analysis.cells, analysis.stages, "
    "analysis.history, analysis.sweep, analysis.ranks, analysis.intervals, analysis.report_space, analysis.html_cells"
)


def loaded(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(result.stdout.split())


def test_importing_everything_loads_no_heavy_library():
    heavy = {
        "torch",
        "torchvision",
        "ray",
        "optuna",
        "pandas",
        "pyarrow",
        "matplotlib",
        "sklearn",
        "scipy",
        "models",
        "search",
    }
    assert loaded(f"import {MODULES}") & heavy == set()


def test_drawing_loads_neither_torch_nor_ray_nor_pyplot(tmp_path, make_rows):
    write_trials(make_rows(20), tmp_path / "trials.parquet")
    code = (
        "import sys\n"
        "from analysis.plots import frontier_data, plot_frontier, save_figure\n"
        "from analysis.trials import load_trials\n"
        f"save_figure(plot_frontier(frontier_data(load_trials({str(tmp_path)!r}))), {str(tmp_path / 'f')!r})\n"
        "assert not {'torch', 'ray', 'optuna', 'matplotlib.pyplot'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
