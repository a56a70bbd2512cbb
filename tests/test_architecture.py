"""The rooms: what may import what, checked on the imports that `ast` finds in the source of the four packages.

Imports inside functions and imports for types alone count like all others.
"""

import ast
import importlib.util
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

import pytest

HOME = Path(__file__).resolve().parent.parent
# what each package may import of ours, itself aside
ORDER = {
    "spaces": set(),
    "models": {"spaces"},
    "analysis": {"spaces"},
    "search": {"spaces", "models", "analysis"},
    "binarynas": {"spaces", "models", "search", "analysis"},
}
HEAVY = {"torch", "torchvision", "ray"}
# `param_space()` is the one thing in `spaces` that only Ray Tune can express: it imports ray when it is called.
EXCEPTIONS = {("spaces.parameters", "ray")}
MOST_ENTRIES = 15


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


rooms = _load(HOME / "docs" / "draw_rooms.py")
MODULES: dict[str, Path] = rooms.modules()
GRAPH: dict[str, set[str]] = rooms.imports()
FOLDERS = sorted(name for name, file in MODULES.items() if file.name == "__init__.py")


def package(module: str) -> str:
    return module.partition(".")[0]


def circle(graph: dict[str, set[str]]) -> str:
    """A circle of imports as one line; nothing where there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return " <- ".join(error.args[1])
    return ""


def outside(module: str) -> set[str]:
    """Packages of other people, and of Python, that a file imports."""
    return {package(target) for target in rooms.imported(MODULES[module])} - set(ORDER)


def named(module: str) -> set[str]:
    """Modules of ours that a file names in its strings, alone or with an object (`"module:Class"`), to import later."""
    tree = ast.parse(MODULES[module].read_text("utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text.partition(":")[0] for text in texts} & set(MODULES) - {"binarynas", *rooms.PACKAGES}


def test_the_graph_holds_what_is_known_of_it():
    """Without these, an empty graph would pass everything below."""
    assert len(MODULES) > 200
    assert "spaces.errors" in GRAPH["spaces.space"]
    assert GRAPH["binarynas"] >= {"search.cli"}  # imported in a function
    assert "spaces.nasbnn.space" in GRAPH["spaces.nasbnn"]


def test_circles_are_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == ""
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) in {"a <- c <- b <- a", "b <- a <- c <- b", "c <- b <- a <- c"}


def test_imports_are_found_wherever_they_are(tmp_path):
    file = tmp_path / "file.py"
    file.write_text(
        "import a.b\nfrom c import d, e as f\nif TYPE_CHECKING:\n    from g.h import i\ndef run():\n    import j as k\n"
    )
    assert set(rooms.imported(file)) == {"a.b", "c.d", "c.e", "g.h.i", "j"}
    file.write_text("from . import a\n")
    with pytest.raises(AssertionError, match="relative import"):
        list(rooms.imported(file))


def test_no_circle_between_files():
    found = circle(GRAPH)
    assert not found, f"files import each other in a circle: {found}"


@pytest.mark.parametrize("folder", ["", *FOLDERS])
def test_no_circle_between_rooms(folder):
    found = circle(rooms.rooms(GRAPH, folder))
    assert not found, f"rooms of {folder or 'the project'} import each other in a circle: {found}"


@pytest.mark.parametrize("name", ORDER)
def test_imports_follow_the_order_of_the_packages(name):
    against = {
        f"{module} -> {target}"
        for module in GRAPH
        for target in GRAPH[module] | named(module)
        if package(module) == name and package(target) not in {name, *ORDER[name]}
    }
    assert not against, f"{name} may import {sorted(ORDER[name])} alone, also by a module's name in a string"


@pytest.mark.parametrize("name", ["spaces", "analysis"])
def test_torch_and_ray_stay_out(name):
    """Neither directly nor through any file of ours."""
    reached = {module for module in MODULES if package(module) == name}
    while more := set().union(*(GRAPH[module] for module in reached)) - reached:
        reached |= more
    heavy = {(module, other) for module in reached for other in outside(module) & HEAVY} - EXCEPTIONS
    assert not heavy, f"{name} must load neither torch nor ray"


def test_exceptions_are_imported_on_use_alone():
    for module, other in EXCEPTIONS:
        tree = ast.parse(MODULES[module].read_text("utf-8"))
        at_once = {node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)}
        assert other in outside(module), f"{module} no longer imports {other}: take it off the exceptions"
        assert not any(other in ast.unparse(node) for node in at_once)


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_room_is_crowded(folder):
    """Data files and `__init__.py` do not count."""
    entries = [
        entry.name
        for entry in MODULES[folder].parent.iterdir()
        if (entry / "__init__.py").exists() or (entry.suffix == ".py" and entry.name != "__init__.py")
    ]
    assert len(entries) <= MOST_ENTRIES, f"{folder} has {len(entries)} entries; put those of one subject into a folder"


def test_every_folder_is_a_package():
    """A folder without `__init__.py` would be neither counted here nor installed."""
    files = [file for name in ("binarynas", *rooms.PACKAGES) for file in (HOME / name).rglob("*.py")]
    assert {file.parent for file in files} == {MODULES[folder].parent for folder in FOLDERS}


def test_the_picture_is_fresh():
    assert rooms.PICTURE.read_text("utf-8") == rooms.draw(), "rooms have changed: run python docs/draw_rooms.py"


@pytest.mark.parametrize("name", rooms.PACKAGES)
def test_every_room_is_described(name):
    """A paragraph of architecture.md begins with the room in bold, folders with a slash."""
    page = (HOME / "docs" / "architecture.md").read_text("utf-8")
    section = re.search(rf"^## {name}:.*?(?=^## )", page, re.MULTILINE | re.DOTALL)[0]
    described = {room for bold in re.findall(r"\*\*(.+?)\*\*", section) for room in re.findall(r"`(\w+/?)`", bold)}
    folders = {room for room in rooms.rooms(GRAPH, name) if f"{name}.{room}" in FOLDERS}
    files = rooms.rooms(GRAPH, name).keys() - folders
    assert described == files | {f"{room}/" for room in folders}
