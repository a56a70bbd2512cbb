"""What importing the room loads, seen from a fresh process."""

import subprocess
import sys

from analysis.runs.schema import write_trials

MODULES = (
    "analysis, analysis.runs.schema, analysis.runs.trials, analysis.measures.pareto, analysis.measures.hypervolume, "
    "analysis.findings.front, analysis.runs.published, analysis.units, analysis.plots, analysis.runs.journal, "
    "analysis.findings.genes, analysis.findings.effects, analysis.findings.importance, analysis.findings.agreement, "
    "analysis.findings.groups, analysis.runs.events, analysis.findings.cells, analysis.stages, "
    "analysis.runs.history, analysis.findings.sweep, analysis.measures.ranks, analysis.measures.intervals, "
    "analysis.report.sections.space, analysis.report.cells"
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
        "from analysis.runs.trials import load_trials\n"
        f"save_figure(plot_frontier(frontier_data(load_trials({str(tmp_path)!r}))), {str(tmp_path / 'f')!r})\n"
        "assert not {'torch', 'ray', 'optuna', 'matplotlib.pyplot'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
