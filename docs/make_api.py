"""Writes docs/api.md from the docstrings of the public modules: `make docs`. Reads the sources, imports nothing."""

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# what people call, room by room; everything else is there for these
PAGES = {
    "Spaces": (
        "spaces.nasbnn.space", "spaces.nasbnn.architecture", "spaces.width.space", "spaces.width.architecture",
        "spaces.width.bases", "spaces.width.plan", "spaces.cell.space", "spaces.cell.architecture", "spaces.cell.plan",
        "spaces.hyperparameters", "spaces.grids", "spaces.known", "spaces.joint", "spaces.only", "spaces.named",
        "spaces.space", "spaces.base", "spaces.product", "spaces.declared", "spaces.limits", "spaces.cost",
        "spaces.parameters", "spaces.seeds",
    ),
    "Models": (
        "models.network", "models.supernet", "models.width", "models.cells.network", "models.cells.supernet",
        "models.cells.mixture", "models.binarisers", "models.modes", "models.families", "models.storage",
        "models.checkpoint", "models.import_nasbnn", "models.onebit.engine", "models.onebit.file",
        "models.onebit.lower", "models.onebit.program", "models.interchange.export",
    ),
    "Search": (
        "search.config", "search.space_config", "search.sections", "search.differentiable_config",
        "search.configuration", "search.preparation", "search.changes",
        "search.data.config", "search.run", "search.pipeline", "search.executors", "search.view",
        "search.proposers.base", "search.proposers.evolution", "search.proposers.fitness", "search.proposers.optuna",
        "search.records", "search.training", "search.evaluation", "search.halving", "search.differentiable",
        "search.alphas", "search.differentiable_history", "search.references", "search.progress", "search.tensorboard",
    ),
    "Analysis": (
        "analysis.trials", "analysis.schema", "analysis.front", "analysis.pareto", "analysis.hypervolume",
        "analysis.choice", "analysis.comparison", "analysis.report", "analysis.report_facts",
        "analysis.report_certainty", "analysis.html_frontier", "analysis.statistics", "analysis.attainment",
        "analysis.effects", "analysis.importance", "analysis.ranks", "analysis.intervals", "analysis.genes",
        "analysis.stages", "analysis.cells", "analysis.history", "analysis.sweep", "analysis.events",
        "analysis.published", "analysis.plots", "analysis.plots.channels", "analysis.plots.cells",
        "analysis.plots.history",
    ),
}  # fmt: skip

Definition = ast.FunctionDef | ast.ClassDef


def api() -> str:
    """The whole page."""
    lines = [
        "# The Python interface",
        "",
        "Made from the docstrings by `make docs`; do not edit it by hand. `spaces` and `analysis` load neither torch "
        "nor ray. Names that begin with an underscore, and modules that are not here, may change without notice.",
        "",
    ]
    for title, modules in PAGES.items():
        lines += [f"## {title}", ""]
        for module in modules:
            lines += _module(module)
    return "\n".join(lines).rstrip() + "\n"


def _module(name: str) -> Iterator[str]:
    path = ROOT / name.replace(".", "/")
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text("utf-8"))
    yield from (f"### `{name}`", "", ast.get_docstring(tree) or "", "")
    for node in _public(tree):
        yield from _entry(node, "")
        if isinstance(node, ast.ClassDef):
            for method in _public(node):
                yield from _entry(method, f"{node.name}.")


def _public(tree: ast.Module | ast.ClassDef) -> Iterator[Definition]:
    for node in tree.body:
        if isinstance(node, Definition) and not node.name.startswith("_") and ast.get_docstring(node):
            yield node


def _entry(node: Definition, owner: str) -> Iterator[str]:
    docstring = inspect.cleandoc(ast.get_docstring(node) or "")
    yield from ("```python", _signature(node, owner), "```", "", *_marked(docstring), "")


def _signature(node: Definition, owner: str) -> str:
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}({', '.join(_fields(node))})"
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    returned = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if decorators & {"property", "cached_property"}:
        return f"{owner}{node.name}{returned}"
    arguments = ast.unparse(node.args)
    if owner:
        arguments = arguments.removeprefix("self").removeprefix("cls").removeprefix(", ")
    return f"{owner}{node.name}({arguments}){returned}"


def _fields(node: ast.ClassDef) -> Iterator[str]:
    """What a class is made from: the arguments of its `__init__`, or its fields."""
    for item in node.body:
        if isinstance(item, ast.FunctionDef) and item.name == "__init__":
            yield ast.unparse(item.args).removeprefix("self").removeprefix(", ")
            return
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name) and not item.target.id.startswith("_"):
            yield f"{item.target.id}: {ast.unparse(item.annotation)}"


def _marked(docstring: str) -> Iterator[str]:
    """A docstring as Markdown: its examples become code."""
    example = False
    for line in docstring.splitlines():
        if line.startswith(">>>") and not example:
            example = True
            yield "```pycon"
        elif example and not line.strip():
            example = False
            yield "```"
        yield line
    if example:
        yield "```"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "api.md"
    target.write_text(api(), "utf-8")
