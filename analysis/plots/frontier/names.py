"""Names the points of a frontier plot, each label beside its point and none over another."""

# matplotlib leaves the keyword arguments of its methods untyped
# pyright: reportUnknownMemberType=false

from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.findings.frontier import FrontierData
from analysis.measures.pareto import Floats
from analysis.plots import style
from analysis.plots.frontier.places import Box, place_labels

_LEADER_FROM = 9.0  # pixels between a point and its label from which on a line joins them


def label_points(figure: Figure, axes: Axes, data: FrontierData, scales: Floats) -> None:
    """Name the run's references, what it trained of papers, and the published models, the more accurate ones first.

    `scales` are the factors of both axes. A label for which there is no room is left out. Fixes the figure's layout.
    """
    named = [(c.name, c.x, c.y) for c in data.compared if not (c.full_precision and data.y == "accuracy")]
    named += [(f"{network.name}, trained here", network.x, network.y) for network in data.trained]
    named += [(r.model, r.x, r.y) for r in sorted(data.published, key=lambda reference: -reference.y)]
    if not named:
        return
    figure.draw_without_rendering()  # computes the layout, so that positions in pixels stay
    if style.is_ours(figure):
        figure.set_layout_engine("none")
    spots = [(x / scales[0], y / scales[1]) for _, x, y in named]
    look = {"fontsize": 6.5, "ha": "center", "zorder": 7, "bbox": style.BACKED}
    texts = [
        style.name_point(axes, style.plain(name), spot, (0, 0), **look)
        for (name, _, _), spot in zip(named, spots, strict=True)
    ]
    extents = [text.get_window_extent() for text in texts]
    to_pixels = axes.transData.transform
    anchors = to_pixels(np.array(spots))
    knee = np.array([data.knee or ()]).reshape(-1, 2)
    # a front's point counts more than another trial, and the knee's star is to stay visible where possible
    weighed: list[Floats] = [data.points, np.repeat(data.front, 2, axis=0), np.repeat(knee, 20, axis=0), *_along(data)]
    left, right = (end * float(scales[0]) for end in axes.get_xlim())
    weighed += [np.linspace((left, c.y), (right, c.y), 200) for c in data.compared if c.full_precision]
    covered = to_pixels(np.concatenate(weighed) / scales)
    frame = axes.get_window_extent()
    boxes = place_labels(
        [tuple(anchor) for anchor in anchors.tolist()],
        [(extent.width + 2, extent.height) for extent in extents],
        Box(frame.x0, frame.y0, frame.x1, frame.y1),
        covered,
    )
    for text, spot, box, (x, y) in zip(texts, spots, boxes, anchors.tolist(), strict=True):
        if box is None:
            text.remove()
            continue
        # in points, so that the place holds at any resolution the figure is saved with
        middle = np.array([(box.left + box.right) / 2 - x, (box.bottom + box.top) / 2 - y]) * 72 / figure.dpi
        text.set_position((float(middle[0]), float(middle[1])))
        near_x, near_y = min(max(x, box.left), box.right), min(max(y, box.bottom), box.top)
        if np.hypot(near_x - x, near_y - y) > _LEADER_FROM:
            end = axes.transData.inverted().transform((near_x, near_y))
            axes.plot((spot[0], end[0]), (spot[1], end[1]), color=style.GREY, linewidth=0.5, zorder=3.5)


def _along(data: FrontierData) -> list[Floats]:
    """Points on the line that joins the references and on the front's stairs: both are to stay visible."""
    joined = [(c.x, c.y) for c in data.compared if not c.full_precision]
    corners = [corner for before, after in pairwise(data.front.tolist()) for corner in (before, [after[0], before[1]])]
    return [np.linspace(start, end, 40) for start, end in [*pairwise(joined), *pairwise(corners)]]
