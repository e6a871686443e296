"""Confusion matrices: what is taken for what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from training.plots.style import figure


@dataclass(frozen=True)
class Pair:
    """Two classes, how many of the first were taken for the second, and their share of it."""

    true: int
    predicted: int
    count: int
    share: float


def most_confused(matrix: np.ndarray, most: int = 25) -> list[Pair]:
    """Return the pairs of classes most often confused, by the share of the true class."""
    wrong = _by_row(matrix)
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(matrix)) for place in order]
    return [Pair(*at, int(matrix[at]), float(wrong[at])) for at in places if wrong[at] > 0]


def draw(
    name: str, matrix: np.ndarray, classes: Sequence[str], pairs: Sequence[Pair], of: str = "images"
) -> Figure:
    """Draw the matrix normalised by row, true classes in rows, and list `pairs` beside it.

    Args:
        name: of the run.
        matrix: int64 (C, C).
        classes: their names.
        of: what was counted on val.
    """
    shares = _by_row(matrix)
    drawn = figure(8.6)
    axes, beside = drawn.subplots(1, 2, width_ratios=(3.3, 1))
    # A square root lifts the few per cent of a confusion out of the white.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    ticks = np.arange(len(matrix))
    font = float(np.clip(360 / len(matrix), 6.5, 10))
    axes.set_xticks(ticks, classes, rotation=90, fontsize=font)
    axes.set_yticks(ticks, classes, fontsize=font)
    axes.set_xlabel("predicted", fontsize=11)
    axes.set_ylabel("true", fontsize=11)
    total = matrix.sum()
    right = np.trace(matrix) / total if total else 0
    title = f"{name}: confusion on val, {right:.1%} of {total:,} {of} right"
    axes.set_title(title, fontsize=12)
    if len(matrix) <= 20:
        write = partial(axes.text, ha="center", va="center", fontsize=9)
        for (row, column), share in np.ndenumerate(shares):
            if share > 0:
                shade = "white" if share > 0.4 else "black"
                write(column, row, f"{100 * share:.0f}", color=shade)
    bar = drawn.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bar.set_label("share of the true class (square-root scale)", fontsize=10)
    _list_pairs(beside, classes, pairs)
    return drawn


def _by_row(matrix: np.ndarray) -> np.ndarray:
    return matrix / np.maximum(matrix.sum(1, keepdims=True), 1)


def _list_pairs(axes: Axes, names: Sequence[str], pairs: Sequence[Pair]) -> None:
    axes.axis("off")
    shares = ["share (n)", *(f"{pair.share:.0%} ({pair.count:,})" for pair in pairs)]
    taken = ["true → predicted", *(f"{names[p.true]} → {names[p.predicted]}" for p in pairs)]
    write = partial(axes.text, transform=axes.transAxes, va="top", linespacing=1.7)
    write(0.36, 0.96, "\n".join(shares), ha="right", fontsize=9)
    write(0.45, 0.96, "\n".join(taken), fontsize=9)
    write(0.45, 1, "most confused", fontsize=12)
