"""Draws docs/rooms.svg: the rooms of the four packages and the imports between them. Run it after moving a file.

A room is a folder or a file directly below a package. The graph is read from the source with `ast`, so that imports
inside functions and imports for types alone count like all others; `tests/test_architecture.py` checks the same graph.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from html import escape
from itertools import pairwise
from pathlib import Path
from statistics import fmean

HOME = Path(__file__).resolve().parent.parent
PICTURE = HOME / "docs" / "rooms.svg"
PACKAGES = ("spaces", "models", "analysis", "search")
FLOORS = (("search",), ("models", "analysis"), ("spaces",))

Graph = dict[str, set[str]]


def modules(home: Path = HOME) -> dict[str, Path]:
    """The file of every module of ours by dotted name; a package's is its `__init__.py`."""
    files = [file for package in ("binarynas", *PACKAGES) for file in (home / package).rglob("*.py")]
    parts = {file: file.relative_to(home).with_suffix("").parts for file in files}
    return {".".join(name[:-1] if name[-1] == "__init__" else name): file for file, name in parts.items()}


def imported(file: Path) -> Iterator[str]:
    """The dotted name of everything that a file imports, wherever in the file: `a.b.c` for `from a.b import c`."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import; write the whole path"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imports(home: Path = HOME) -> Graph:
    """The modules of ours that each module imports; a name out of a package counts as the package's `__init__`."""
    known = modules(home)
    found = {name: {_module(target, known) for target in imported(file)} for name, file in known.items()}
    return {name: targets - {name, ""} for name, targets in found.items()}


def _module(target: str, known: Mapping[str, Path]) -> str:
    """The module that an imported name is or comes from; nothing for other people's."""
    return next((name for name in (target, target.rpartition(".")[0]) if name in known), "")


def rooms(graph: Graph, folder: str) -> Graph:
    """The imports between what is directly in a folder (a dotted name, "" for the root), its `__init__` left out."""
    start = f"{folder}." if folder else ""

    def room(name: str) -> str:
        return name.removeprefix(start).partition(".")[0] if name.startswith(start) else ""

    found: Graph = {room(name): set() for name in graph if room(name)}
    for name, targets in graph.items():
        if room(name):
            found[room(name)] |= {room(target) for target in targets} - {room(name), ""}
    return found


def without_detours(graph: Graph) -> Graph:
    """The same graph without arrows that follow from others: a -> c is left out where there are a -> b and b -> c."""
    reach: Graph = {}
    for name in TopologicalSorter(graph).static_order():
        reach[name] = graph[name].union(*(reach[target] for target in graph[name]))
    return {name: targets - set().union(*(reach[target] for target in targets)) for name, targets in graph.items()}


# The picture ----------------------------------------------------------------------------------------------------------

BOX, HIGH = 134, 30  # of a room, in pixels
APART, ROW = 16, 62  # between two rooms side by side, and from one layer to the next
MARGIN, HEADER, GAP = 22, 44, 46  # around rooms, above them, and between packages
FILLS = {"spaces": "#e8f3ec", "models": "#fdf1e3", "analysis": "#eeeafa", "search": "#e6f0fa"}
TITLES = {
    "spaces": "spaces: what may be built, and what it costs",
    "models": "models: the networks",
    "analysis": "analysis: what came out",
    "search": "search: decides what to try next, and tries it",
}


def layers(graph: Graph) -> list[list[str]]:
    """Rooms by the longest way down, the lowest last, in an order with few crossings.

    An arrow that skips layers has a place of its own in each of them (see `_way`).
    """
    height: dict[str, int] = {}
    for name in TopologicalSorter(graph).static_order():
        height[name] = max((height[target] + 1 for target in graph[name]), default=0)
    rows: list[list[str]] = [[] for _ in range(max(height.values()) + 1)]
    for name in sorted(graph):
        rows[height[name]].append(name)
        for target in sorted(graph[name]):
            for stop in _way(name, target, height)[1:-1]:
                rows[int(stop.rpartition("@")[2])].append(stop)
    rows.reverse()
    near = _near(graph, height)
    for _ in range(20):
        for fixed, moved in [*pairwise(rows), *pairwise(rows[::-1])]:
            place = {name: (index + 0.5) / len(fixed) for index, name in enumerate(fixed)}
            means = {name: fmean([place[n] for n in near[name] if n in place] or [0.5]) for name in moved}
            moved.sort(key=lambda name, means=means: (means[name], name))
    return rows


def places(rows: list[list[str]], graph: Graph) -> dict[str, float]:
    """The x of the middle of everything in the layers: near what it is joined to, and apart from its neighbours."""
    near = _near(graph, _height(rows))
    x = {name: (index - len(row) / 2) * (BOX + APART) for row in rows for index, name in enumerate(row)}
    for sweep in range(40):
        for row in rows if sweep % 2 else rows[::-1]:
            wanted = [fmean([x[n] for n in sorted(near[name])] or [x[name]]) for name in row]
            apart = [(_width(one) + _width(other)) / 2 + APART for one, other in pairwise(row)]
            right, left = list(wanted), list(wanted)
            for i, least in enumerate(apart):
                right[i + 1] = max(right[i + 1], right[i] + least)
            for i, least in reversed(list(enumerate(apart))):
                left[i] = min(left[i], left[i + 1] - least)
            x.update((name, (a + b) / 2) for name, a, b in zip(row, right, left, strict=True))
    start = min(x[name] - _width(name) / 2 for name in x)
    return {name: x[name] - start for name in x}


def _height(rows: list[list[str]]) -> dict[str, int]:
    return {name: height for height, row in enumerate(reversed(rows)) for name in row}


def _width(name: str) -> float:
    return BOX / 3 if "@" in name else BOX


def _way(name: str, target: str, height: Mapping[str, int]) -> list[str]:
    """The places of an arrow, layer by layer: the two rooms and between them `from>to@layer`."""
    return [name, *(f"{name}>{target}@{level}" for level in range(height[name] - 1, height[target], -1)), target]


def _near(graph: Graph, height: Mapping[str, int]) -> Graph:
    """What each place is joined to in the layers above and below."""
    near: Graph = defaultdict(set)
    for name, targets in graph.items():
        for target in targets:
            for one, other in pairwise(_way(name, target, height)):
                near[one].add(other)
                near[other].add(one)
    return near


def panel(package: str, graph: Graph, files: Mapping[str, Path]) -> tuple[int, int, list[str]]:
    """Width, height and elements of a package's rooms, drawn from (0, 0)."""
    rows = layers(graph)
    x = places(rows, graph)
    inner = max(x[name] + _width(name) / 2 for name in x)
    width = round(max(inner + 2 * MARGIN, 9 * len(TITLES[package])))
    x = {name: x[name] + (width - inner) / 2 for name in x}
    y = {name: HEADER + level * ROW for level, row in enumerate(rows) for name in row}
    drawn = [f'<text x="{width / 2:.0f}" y="27" class="title">{escape(TITLES[package])}</text>']
    for name in sorted(graph):
        for target in sorted(graph[name]):
            points = [(x[stop], y[stop]) for stop in _way(name, target, _height(rows))]
            drawn.append(f'<path d="{_curve(points)}" class="arrow"/>')
    for name in sorted(graph):
        label = f"{name}/" if files[f"{package}.{name}"].name == "__init__.py" else name
        drawn.append(
            f'<rect x="{x[name] - BOX / 2:.0f}" y="{y[name]}" width="{BOX}" height="{HIGH}" rx="4" class="room"/>'
        )
        drawn.append(f'<text x="{x[name]:.0f}" y="{y[name] + 20}">{label}</text>')
    return width, HEADER + (len(rows) - 1) * ROW + HIGH + MARGIN, drawn


def _curve(points: list[tuple[float, float]]) -> str:
    """A path from the bottom of the first box to the top of the last, straight down through the places between."""
    x, y = points[0]
    path = f"M{x:.0f},{y + HIGH}"
    for (x, y), (to, top) in pairwise(points):
        last = (to, top) == points[-1]
        end = top - 3 if last else top
        middle = (y + HIGH + end) / 2
        path += f" C{x:.0f},{middle:.0f} {to:.0f},{middle:.0f} {to:.0f},{end}" + ("" if last else f" V{top + HIGH}")
    return path


def draw(home: Path = HOME) -> str:
    """The picture as SVG: a box for each package and each room; an arrow points from a room to one that it imports."""
    graph, files = imports(home), modules(home)
    panels = {name: panel(name, without_detours(rooms(graph, name)), files) for name in PACKAGES}
    whole = max(sum(panels[name][0] for name in floor) + GAP * (len(floor) - 1) for floor in FLOORS)
    boxes: dict[str, tuple[int, int, int, int]] = {}  # left, top, right, bottom
    top = MARGIN
    for floor in FLOORS:
        left = MARGIN + (whole - sum(panels[name][0] for name in floor) - GAP * (len(floor) - 1)) // 2
        bottom = top + max(panels[name][1] for name in floor)
        for name in floor:
            boxes[name] = (left, top, left + panels[name][0], bottom)
            left += panels[name][0] + GAP
        top = bottom + GAP
    drawn: list[str] = []
    for name, targets in without_detours({name: rooms(graph, "")[name] for name in PACKAGES}).items():
        for target in sorted(targets):
            (left, _, right, bottom), (start, top, end, _) = boxes[name], boxes[target]
            x = (max(left, start) + min(right, end)) // 2
            drawn.append(f'<path d="M{x},{bottom} V{top - 5}" class="arrow wide"/>')
    for name in PACKAGES:
        left, top, right, bottom = boxes[name]
        frame = f'<rect width="{right - left}" height="{bottom - top}" rx="8" fill="{FILLS[name]}" stroke="#9aa5b1"/>'
        drawn += [f'<g transform="translate({left},{top})">', frame, *panels[name][2], "</g>"]
    height = boxes[FLOORS[-1][0]][3] + MARGIN
    return "\n".join([_HEAD.format(whole + 2 * MARGIN, height), *drawn, "</svg>"]) + "\n"


_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}">
<title>The rooms of the four packages; an arrow points to what is imported</title>
<style>
text {{ font: 14px system-ui, "Segoe UI", Helvetica, Arial, sans-serif; text-anchor: middle; fill: #1f2933 }}
.title {{ font-weight: 600 }}
.room {{ fill: #ffffff; stroke: #52606d }}
.arrow {{ fill: none; stroke: #52606d; stroke-width: 1.2; marker-end: url(#head) }}
.wide {{ stroke-width: 2.4 }}
</style>
<defs><marker id="head" viewBox="0 0 10 10" refX="8" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0,0 L10,5 L0,10 z" fill="#52606d"/></marker></defs>
<rect width="100%" height="100%" fill="#ffffff"/>"""


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
