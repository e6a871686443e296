"""Pictures of a run and of its predictions: learning curve, confusion matrix, worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from training.plots.scatter import COLOURS, DPI, WIDTH

BLUE, RED = COLOURS[0], COLOURS[2]


class Pair(NamedTuple):
    """Images of one class taken for another: how many, and their share of the class."""

    true: int
    predicted: int
    count: int
    share: float


class Mistake(NamedTuple):
    """An image by its index, what it is, what it was taken for, and how surely, in [0, 1]."""

    index: int
    true: int
    predicted: int
    confidence: float


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts images by class and by prediction: int64 (classes, classes)."""
    cells = np.bincount(labels * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def confused(matrix: np.ndarray, most: int = 25) -> list[Pair]:
    """Lists the pairs of classes that are most often confused, by the share of the true class."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    wrong = np.where(np.eye(len(matrix), dtype=bool), 0, shares)
    order = np.argsort(-wrong, axis=None, kind="stable")[:most]
    places = [divmod(int(place), len(matrix)) for place in order]
    return [
        Pair(true, taken, int(matrix[true, taken]), float(wrong[true, taken]))
        for true, taken in places
        if wrong[true, taken] > 0
    ]


def mistakes(labels: np.ndarray, probabilities: np.ndarray, most: int = 24) -> list[Mistake]:
    """Lists the wrong predictions that the network was surest of, the surest first.

    Args:
        labels: (N,).
        probabilities: (N, classes).
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [Mistake(int(i), int(labels[i]), int(predicted[i]), float(confidence[i])) for i in order]


def draw_learning(
    name: str, columns: dict[str, list[float]], best: int, val: float | None, split: str
) -> Figure:
    """Draws loss and measured accuracy over the epochs, and the epoch whose weights are drawn.

    Args:
        columns: of metrics.csv: `loss` and `accuracy`, a value an epoch.
        best: the chosen epoch, from 1.
        val: the exported weights' accuracy on the validation set, where it is known.
        split: which images the accuracy of each epoch is of: held-out, or val.
    """
    figure = Figure((WIDTH, 4.6), dpi=DPI, layout="constrained")
    figure.suptitle(f"{name}: learning curve", fontsize=12)
    left, right = figure.subplots(1, 2)
    epochs = np.arange(1, len(columns["loss"]) + 1)
    _curve(left, epochs, columns["loss"], best, "training loss")
    _curve(right, epochs, columns["accuracy"], best, f"{split} accuracy")
    if val is not None:
        right.axhline(val, color=RED, linestyle="--", label=f"val as graded: {val:.1%}")
    reached = columns["accuracy"][best - 1]
    right.plot(
        best, reached, "o", color="black", zorder=3, label=f"{split} in training: {reached:.1%}"
    )
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    right.legend(loc="lower right", fontsize=10, framealpha=1)
    return figure


def _curve(axes: Axes, epochs: np.ndarray, values: Sequence[float], best: int, title: str):
    known = np.isfinite(values)  # some epochs are not measured
    epochs, values = epochs[known], np.asarray(values)[known]
    axes.plot(epochs, values, color=BLUE, marker="." if len(epochs) <= 30 else "")
    axes.axvline(best, color="black", linestyle=":", label=f"drawn: epoch {best}")
    axes.set_title(title, fontsize=12)
    axes.set_xlabel("epoch", fontsize=11)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.tick_params(labelsize=10)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=10)


def draw_confusion(
    name: str, matrix: np.ndarray, names: Sequence[str], pairs: Sequence[Pair]
) -> Figure:
    """Draws the row-normalised matrix, true classes in rows, and lists `pairs` beside it."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    figure = Figure((WIDTH, 8.6), dpi=DPI, layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(3.3, 1))
    # A square root lifts the few per cent of a confusion out of the white.
    image = axes.imshow(shares, cmap="Blues", norm=PowerNorm(0.5, 0, 1))
    ticks = np.arange(len(matrix))
    font = float(np.clip(360 / len(matrix), 6.5, 10))
    axes.set_xticks(ticks, names, rotation=90, fontsize=font)
    axes.set_yticks(ticks, names, fontsize=font)
    axes.set_xlabel("predicted", fontsize=11)
    axes.set_ylabel("true", fontsize=11)
    right = np.trace(matrix) / matrix.sum()
    title = f"{name}: confusion on val, {right:.1%} of {matrix.sum():,} images right"
    axes.set_title(title, fontsize=12)
    if len(matrix) <= 20:
        _write_cells(axes, shares)
    bar = figure.colorbar(image, ax=axes, shrink=0.6, ticks=[0, 0.01, 0.05, 0.1, 0.25, 0.5, 1])
    bar.ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    bar.set_label("share of the true class (square-root scale)", fontsize=10)
    _list_pairs(beside, names, pairs)
    return figure


def _write_cells(axes: Axes, shares: np.ndarray) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if share > 0:
            shade = "white" if share > 0.4 else "black"
            text = {"ha": "center", "va": "center", "fontsize": 9, "color": shade}
            axes.text(column, row, f"{100 * share:.0f}", **text)


def _list_pairs(axes: Axes, names: Sequence[str], pairs: Sequence[Pair]) -> None:
    axes.axis("off")
    shares = ["share (n)", *(f"{pair.share:.0%} ({pair.count:,})" for pair in pairs)]
    taken = ["true → predicted", *(f"{names[p.true]} → {names[p.predicted]}" for p in pairs)]
    look = {"transform": axes.transAxes, "fontsize": 9, "va": "top", "linespacing": 1.7}
    axes.text(0.36, 0.96, "\n".join(shares), ha="right", **look)
    axes.text(0.45, 0.96, "\n".join(taken), **look)
    axes.text(0.45, 1, "most confused", **{**look, "fontsize": 12})


def draw_mistakes(
    name: str, pixels: np.ndarray, names: Sequence[str], worst: Sequence[Mistake]
) -> Figure:
    """Draws images with the class they are of, the one they were taken for, and how surely.

    Args:
        pixels: uint8 (N, S, S, 3), which the mistakes' indices point into.
    """
    rows = max(1, -(-len(worst) // 8))
    figure = Figure((WIDTH, 0.6 + 1.9 * rows), dpi=DPI, layout="constrained")
    title = "most confident mistakes on val (true → predicted, confidence)"
    figure.suptitle(f"{name}: {title if worst else 'no mistake on val'}", fontsize=12)
    for place, axes in enumerate(figure.subplots(rows, 8, squeeze=False).flat):
        axes.axis("off")
        if place < len(worst):
            mistake = worst[place]
            axes.imshow(pixels[mistake.index], interpolation="nearest")
            true, taken = names[mistake.true], names[mistake.predicted]
            taken = f"{true}{' ' if len(true + taken) < 12 else chr(10)}→ {taken}"
            axes.set_title(f"{taken}\n{mistake.confidence:.1%}", fontsize=10)
    return figure
