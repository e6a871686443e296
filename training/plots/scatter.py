"""Pictures of features in the plane: PCA at one epoch, t-SNE at several side by side.

Each class has a pair of colour and marker of its own, up to 70 classes, a place in the legend, and
its number at the median of its images, or as near to it as other numbers let it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from training.plots.style import COLOURS, DPI, MARKERS, WIDTH, figure

_MARGIN = 0.04  # share of the plot that is left free on each side
_COMPACT: dict[str, Any] = {"handletextpad": 0.1, "columnspacing": 1.0, "handlelength": 1.4}


class Panel(NamedTuple):
    """An epoch's features in the plane, float (N, 2), and what is said about them."""

    title: str
    points: np.ndarray
    axes: tuple[str, str] = ("", "")


def class_style(label: int) -> tuple[str, str]:
    """Return the colour and the marker of a class; neighbours in number differ in both."""
    colour, turn = label % len(COLOURS), label // len(COLOURS)
    # 11 is no multiple of 7: a colour meets another marker at each of seven turns.
    return COLOURS[colour], MARKERS[(colour + 11 * turn) % len(MARKERS)]


def draw(title: str, panels: Sequence[Panel], labels: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw one panel with the legend beside it, or several in a row with the legend below.

    Args:
        labels: the images' classes, (N,).
        names: of every class, by its number.
    """
    handles = [_handle(label, names[label]) for label in np.unique(labels)]
    if len(panels) == 1:
        height, size, font = 8.0, 26, 11
        look: dict[str, Any] = {"loc": "outside right center", "ncols": -(-len(handles) // 26)}
    else:
        longest = max(len(names[label]) for label in np.unique(labels))
        columns = min(len(handles), int(WIDTH / (0.42 + 0.08 * longest)))
        height = WIDTH / len(panels) + 0.9 + 0.2 * -(-len(handles) // columns)
        size, font = 14, 10
        look = {"loc": "outside lower center", "ncols": columns}
        # matplotlib fills a legend column by column; numbers are looked for row by row.
        handles = [handle for column in range(columns) for handle in handles[column::columns]]
    drawn = figure(height, title)
    drawn.legend(handles=handles, fontsize=9, frameon=False, **_COMPACT, **look)
    plots = drawn.subplots(1, len(panels), squeeze=False)[0]
    for axes, panel in zip(plots, panels, strict=True):
        _scatter(axes, panel, labels, size)
        axes.set_title(panel.title, fontsize=font)
        if len(panels) > 1:
            axes.set_box_aspect(1)
    drawn.draw_without_rendering()  # the layout tells how much room the numbers have
    for axes, panel in zip(plots, panels, strict=True):
        _number(axes, panel, labels, font - 1)
    return drawn


def _handle(label: int, name: str) -> Line2D:
    colour, marker = class_style(label)
    return Line2D([], [], color=colour, marker=marker, markersize=7, linestyle="none", label=name)


def _scatter(axes: Axes, panel: Panel, labels: np.ndarray, size: float) -> None:
    size *= float(np.clip((500 / len(labels)) ** 0.5, 0.4, 1.5))  # many images: smaller marks
    for label in np.unique(labels):
        x, y = panel.points[labels == label].T
        colour, marker = class_style(label)
        axes.scatter(x, y, s=size, c=colour, marker=marker, alpha=0.8, linewidths=0)
    low, high = panel.points.min(0), panel.points.max(0)
    margin = _MARGIN * (high - low) + 1e-9
    (left, bottom), (right, top) = low - margin, high + margin
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[])
    axes.set(xlabel=panel.axes[0], ylabel=panel.axes[1])


def _number(axes: Axes, panel: Panel, labels: np.ndarray, font: float) -> None:
    """Write each class's number; a thin line leads from one that had to move to its median."""
    shown = np.unique(labels)
    medians = np.array([np.median(panel.points[labels == label], axis=0) for label in shown])
    em = font * DPI / 72  # pixels
    boxes = em * np.array([(0.7 * len(str(label)) + 0.5, 1.05) for label in shown])
    corner = axes.bbox.min
    pixels = axes.transData.transform(medians) - corner
    placed = apart(pixels, boxes, np.asarray(axes.bbox.size))
    places = axes.transData.inverted().transform(placed + corner)
    outline = [withStroke(linewidth=2.5, foreground="white")]
    write = partial(axes.text, fontsize=font, fontweight="bold", path_effects=outline)
    for label, place, median, way in zip(shown, places, medians, placed - pixels, strict=True):
        if np.abs(way).max() > em:
            axes.plot(*np.stack([place, median], axis=1), color="black", linewidth=0.6)
        write(place[0], place[1], str(label), ha="center", va="center")


def apart(centres: np.ndarray, boxes: np.ndarray, room: np.ndarray) -> np.ndarray:
    """Move boxes until none covers another, as far as there is room.

    Args:
        centres: (N, 2).
        boxes: widths and heights, (N, 2).
        room: width and height of the plot that they have to stay in.

    Returns:
        Centres, (N, 2): the given ones where nothing overlapped.
    """
    # Boxes at one place would not know where to go.
    turn = 2.4 * np.arange(len(centres))
    placed = centres + 1e-3 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    need = (boxes[:, None] + boxes) / 2
    for _ in range(500):
        gap = placed[:, None] - placed  # (N, N, 2)
        overlap = need - np.abs(gap)
        covered = (overlap > 0).all(2) & ~np.eye(len(placed), dtype=bool)
        if not covered.any():
            break
        # The shorter way out, half of it each.
        axis = overlap.argmin(2)[..., None] == np.arange(2)
        push = np.where(axis & covered[..., None], np.sign(gap) * overlap, 0)
        placed = placed + 0.3 * push.sum(1)
        placed = np.clip(placed, boxes / 2, np.maximum(room - boxes / 2, boxes / 2))
    moved = np.abs(placed - centres).max(1, keepdims=True) > 0.01
    return np.where(moved, placed, centres)
