"""Small charts as SVG for HTML pages: axes, lines, stairs and dots whose colours follow the page, light or dark."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.report.html import Html, join, tag
from analysis.units import axis_scale, prefix

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 72, 14, 14, 56
COLOURS = 7  # of the style sheet, c0 to c6

Point = tuple[float, float]
Corners = tuple[tuple[float, float], ...]

SHAPES: dict[str, Corners] = {
    "circle": (),
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "diamond": ((0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)),
    "triangle": ((0, -1.25), (1.15, 0.85), (-1.15, 0.85)),
    "star": tuple(
        (radius * math.sin(math.pi * corner / 5), -radius * math.cos(math.pi * corner / 5))
        for corner, radius in enumerate((1.9, 0.75) * 5)
    ),
}
"""The corners of marks, in units of a circle's radius; so that kinds differ by more than their colours."""


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`; its ticks are at least `least_step` apart, and written divided by `factor`."""

    label: str
    low: float
    high: float
    factor: float = 1.0
    least_step: float = 0.0

    def place(self, value: float) -> float:
        """The place of a value, from 0 at the low end to 1 at the high end."""
        return (value - self.low) / (self.high - self.low)


def axis(column: str, values: Iterable[float], label: str = "", *, margin: float = 0.07) -> Axis:
    """The axis of a column of the schema, or with another label, that has room for all values and a margin."""
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite, default=0.0), max(finite, default=1.0)
    spread = high - low or abs(high) * 0.1 or 1.0
    room = margin * spread
    if column == "accuracy":
        scale = axis_scale("accuracy", 1.0)
        return Axis(label or scale.label, max(low - room, 0.0), min(high + room, 1.0), scale.factor)
    bottom = 0.0 if low >= 0 and low < 0.35 * high else low - room
    if label:
        factor, sign = prefix(high)
        return Axis(f"{label} ({sign})" if sign else label, bottom, high + room, factor)
    scale = axis_scale(column, high)
    return Axis(scale.label, bottom, high + room, scale.factor)


def ticks(low: float, high: float, count: int = 6, least_step: float = 0.0) -> list[float]:
    """About `count` round numbers from `low` to `high`, at least `least_step` apart.

    >>> ticks(0.0, 23.0)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    raw = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = max(magnitude * next(m for m in (1, 2, 2.5, 5, 10) if raw <= m * magnitude * 1.0001), least_step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


class Chart:
    """A pair of axes to draw on. All coordinates are values on the axes."""

    def __init__(self, x: Axis, y: Axis, *, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height
        self._marks: list[Html] = []

    def at(self, point: Point) -> Point:
        """The place of a point in the picture."""
        return (
            LEFT + self.x.place(point[0]) * (self.width - LEFT - RIGHT),
            self.height - BOTTOM - self.y.place(point[1]) * (self.height - TOP - BOTTOM),
        )

    def line(self, points: Sequence[Point], colour: int, kind: str = "") -> None:
        """A line through points; `kind` is a class of the style sheet, such as dashed."""
        if points:
            written = " ".join("{:.1f},{:.1f}".format(*self.at(point)) for point in points)
            self._marks.append(tag("polyline", points=written, class_=f"line c{colour % COLOURS} {kind}".strip()))

    def stairs(self, points: Sequence[Point], colour: int, kind: str = "") -> None:
        """Stairs: the y of a point holds until the next point, and after the last one to the end of the axis."""
        corners: list[Point] = []
        for index, (x, y) in enumerate(points):
            after = points[index + 1][0] if index + 1 < len(points) else self.x.high
            corners += [(x, y), (max(after, x), y)]
        self.line(corners, colour, kind)

    def dot(
        self, point: Point, colour: int, words: str, kind: str = "", link: str | None = None, shape: str = "circle"
    ) -> None:
        """A mark of a shape (of `SHAPES`) that shows words when it is pointed at or tapped, and may be a link."""
        x, y = self.at(point)
        look, size = f"dot c{colour % COLOURS} {kind}".strip(), 5 if "front" in kind else 3
        drawn = _shape(shape, x, y, size, words, look)
        self._marks.append(drawn if link is None else tag("a", drawn, href=link, aria_label=words))

    def name(self, point: Point, words: str) -> None:
        """Words under a point."""
        x, y = self.at(point)
        self._marks.append(text_at(x, y + 15, words, "middle"))

    def level(self, y: float, colour: int, words: str, name: str) -> None:
        """A dashed line from end to end with its name above its right end; it shows words when it is pointed at."""
        left, height = self.at((self.x.low, y))
        right, _ = self.at((self.x.high, y))
        path, look = f"M{left:.1f} {height:.1f}H{right:.1f}", f"line dashed c{colour % COLOURS}"
        self._marks.append(tag("path", tag("title", words), d=path, class_=look))
        self._marks.append(text_at(right - 4, height - 9, name, "end"))

    def render(self, name: str) -> Html:
        """The picture; `name` is its description for those who cannot see it."""
        base, right, middle = self.height - BOTTOM, self.width - RIGHT, (TOP + self.height - BOTTOM) / 2
        parts: list[Html] = []
        for value, written in _marks(self.y):
            _, y = self.at((self.x.low, value))
            parts.append(tag("path", d=f"M{LEFT} {y:.1f}H{right}", class_="grid"))
            parts.append(tag("text", written, x=LEFT - 8, y=f"{y:.1f}", class_="end"))
        for value, written in _marks(self.x):
            x, _ = self.at((value, self.y.low))
            parts.append(tag("path", d=f"M{x:.1f} {base}v5", class_="axis"))
            parts.append(tag("text", written, x=f"{x:.1f}", y=base + 19, class_="middle"))
        parts.append(tag("path", d=f"M{LEFT} {base}H{right}", class_="axis"))
        look = {"class_": "middle label"}
        parts.append(tag("text", self.x.label, x=(LEFT + right) / 2, y=self.height - 9, **look))
        parts.append(tag("text", self.y.label, x=15, y=middle, transform=f"rotate(-90 15 {middle})", **look))
        return picture([*parts, *self._marks], self.width, self.height, name)


def _shape(shape: str, x: float, y: float, size: float, words: str, look: str) -> Html:
    """A mark of a size at a place; the style sheet enlarges it on small screens."""
    title, kind = tag("title", words) if words else None, f"{look} {shape}"
    if shape == "circle":
        return tag("circle", title, cx=f"{x:.1f}", cy=f"{y:.1f}", r=size, class_=kind)
    corners = " ".join(f"{x + size * across:.1f},{y + size * down:.1f}" for across, down in SHAPES[shape])
    return tag("polygon", title, points=corners, class_=kind)


def text_at(x: float, y: float, words: str, look: str) -> Html:
    """A text of a picture at a place; `look` is its class of the style sheet."""
    return tag("text", words, x=f"{x:.1f}", y=f"{y:.1f}", class_=look)


def picture(parts: Iterable[Html], width: float, height: float, name: str) -> Html:
    """A picture of a size; `name` is its description for those who cannot see it."""
    drawn = join(parts)
    role = "group" if "<a " in drawn else "img"  # an image hides what is in it, and links must be reached
    return tag("svg", drawn, viewBox=f"0 0 {width:.0f} {height:.0f}", role=role, aria_label=name, class_="chart")


def legend(entries: Iterable[tuple[str, int, str]]) -> Html:
    """The meaning of marks: name, colour, and the kind (classes of the style sheet, with a shape or "line")."""
    items = [tag("li", _key(colour, kind), tag("span", name)) for name, colour, kind in entries]
    return tag("ul", items, class_="legend")


def _key(colour: int, kind: str) -> Html:
    look = f"key c{colour % COLOURS} {kind}".strip()
    shape = next((name for name in SHAPES if name in kind.split()), None)
    if shape is None:
        return tag("span", class_=look)
    mark = tag("svg", _shape(shape, 7, 7, 4, "", f"dot c{colour % COLOURS} front {kind}"), viewBox="0 0 14 14")
    return tag("span", mark, class_="mark", aria_hidden="true")


def _marks(axis: Axis) -> list[tuple[float, str]]:
    """Round values on an axis and their texts, all with the same number of digits."""
    found = ticks(axis.low / axis.factor, axis.high / axis.factor, least_step=axis.least_step)
    digits = next((d for d in range(5) if all(abs(round(t, d) - t) < 1e-9 for t in found)), 5)
    return [(value * axis.factor, f"{value:,.{digits}f}") for value in found]
