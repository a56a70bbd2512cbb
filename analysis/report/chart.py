"""Small charts as SVG for HTML pages: axes, lines, stairs and dots whose colours follow the page, light or dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analysis.report.html import Html, tag
from analysis.units import axis_scale, prefix

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 72, 14, 14, 56
COLOURS = 7  # the style sheet has so many, c0 to c6

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high`; its ticks are `least_step` or more apart, and written divided by `factor`."""

    label: str
    low: float
    high: float
    factor: float = 1.0
    least_step: float = 0.0

    def place(self, value: float) -> float:
        """Where a value lies, 0 at the low end to 1 at the high end."""
        return (value - self.low) / (self.high - self.low)


def axis(column: str, values: Iterable[float], label: str = "", *, margin: float = 0.07) -> Axis:
    """The axis of a column of the schema (or of a label of its own) that all values fit on, with a margin."""
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
    """About `count` round numbers from `low` to `high`, `least_step` or more apart.

    >>> ticks(0.0, 23.0)
    [0.0, 5.0, 10.0, 15.0, 20.0]
    """
    raw = (high - low) / count
    magnitude = 10.0 ** math.floor(math.log10(raw))
    step = max(magnitude * next(m for m in (1, 2, 2.5, 5, 10) if raw <= m * magnitude * 1.0001), least_step)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


class Chart:
    """A pair of axes that is drawn on. All coordinates are values on the axes."""

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
        """Stairs: the y of a point holds until the next point, and behind the last one to the end of the axis."""
        corners: list[Point] = []
        for index, (x, y) in enumerate(points):
            after = points[index + 1][0] if index + 1 < len(points) else self.x.high
            corners += [(x, y), (max(after, x), y)]
        self.line(corners, colour, kind)

    def band(self, low: Sequence[Point], high: Sequence[Point], colour: int) -> None:
        """The area between two lines."""
        if low and high:
            ring = [*low, *reversed(high)]
            written = " ".join("{:.1f},{:.1f}".format(*self.at(point)) for point in ring)
            self._marks.append(tag("polygon", points=written, class_=f"band c{colour % COLOURS}"))

    def dot(self, point: Point, colour: int, told: str, kind: str = "", link: str | None = None) -> None:
        """A dot that tells something when it is pointed at, and may lead somewhere."""
        x, y = self.at(point)
        drawn = tag(
            "circle", tag("title", told), cx=f"{x:.1f}", cy=f"{y:.1f}", r=5 if "front" in kind else 3,
            class_=f"dot c{colour % COLOURS} {kind}".strip(),
        )  # fmt: skip
        self._marks.append(drawn if link is None else tag("a", drawn, href=link))

    def name(self, point: Point, words: str) -> None:
        """Words under a point."""
        x, y = self.at(point)
        self._marks.append(tag("text", words, x=f"{x:.1f}", y=f"{y + 15:.1f}", class_="middle"))

    def bar(self, point: Point, low: float, high: float, colour: int) -> None:
        """A vertical interval through a point."""
        x, bottom = self.at((point[0], low))
        _, top = self.at((point[0], high))
        self._marks.append(
            tag("path", d=f"M{x:.1f} {bottom:.1f}V{top:.1f}M{x - 3:.1f} {bottom:.1f}h6M{x - 3:.1f} {top:.1f}h6",
                class_=f"bar c{colour % COLOURS}")
        )  # fmt: skip

    def level(self, y: float, colour: int, told: str, name: str) -> None:
        """A dashed line from end to end with its name above its right end; it tells more when it is pointed at."""
        left, height = self.at((self.x.low, y))
        right, _ = self.at((self.x.high, y))
        self._marks.append(
            tag("path", tag("title", told), d=f"M{left:.1f} {height:.1f}H{right:.1f}",
                class_=f"line dashed c{colour % COLOURS}")
        )  # fmt: skip
        self._marks.append(tag("text", name, x=f"{right - 4:.1f}", y=f"{height - 9:.1f}", class_="end"))

    def render(self, name: str) -> Html:
        """The picture; `name` says what it shows to those who cannot see it."""
        base, right = self.height - BOTTOM, self.width - RIGHT
        parts: list[Html] = []
        across, up = _marks(self.x), _marks(self.y)
        for value, written in up:
            _, y = self.at((self.x.low, value))
            parts.append(tag("path", d=f"M{LEFT} {y:.1f}H{right}", class_="grid"))
            parts.append(tag("text", written, x=LEFT - 8, y=f"{y:.1f}", class_="end"))
        for value, written in across:
            x, _ = self.at((value, self.y.low))
            parts.append(tag("path", d=f"M{x:.1f} {base}v5", class_="axis"))
            parts.append(tag("text", written, x=f"{x:.1f}", y=base + 19, class_="middle"))
        parts.append(tag("path", d=f"M{LEFT} {base}H{right}", class_="axis"))
        parts.append(tag("text", self.x.label, x=(LEFT + right) / 2, y=self.height - 9, class_="middle label"))
        middle = (TOP + base) / 2
        parts.append(
            tag("text", self.y.label, x=15, y=middle, transform=f"rotate(-90 15 {middle})", class_="middle label")
        )
        return tag(
            "svg", *parts, *self._marks, viewBox=f"0 0 {self.width} {self.height}", role="img", aria_label=name,
            class_="chart",
        )  # fmt: skip


def legend(entries: Iterable[tuple[str, int, str]]) -> Html:
    """What the colours stand for: name, colour, and the kind of mark (a class of the style sheet)."""
    items = [
        tag("li", tag("span", class_=f"key c{colour % COLOURS} {kind}".strip()), tag("span", name))
        for name, colour, kind in entries
    ]
    return tag("ul", items, class_="legend")


def _marks(axis: Axis) -> list[tuple[float, str]]:
    """Round values on an axis and how they are written, all with the same digits."""
    found = ticks(axis.low / axis.factor, axis.high / axis.factor, least_step=axis.least_step)
    digits = next((d for d in range(5) if all(abs(round(t, d) - t) < 1e-9 for t in found)), 5)
    return [(value * axis.factor, f"{value:,.{digits}f}") for value in found]
