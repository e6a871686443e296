"""Learning curves: what was measured, over the epochs, whose numbers count from 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from training.plots.style import BLUE, COLOURS, RED, figure


class Curve(NamedTuple):
    """A measure's name, and its value at each epoch, (epochs,); nan where it was not measured."""

    label: str
    values: Sequence[float]


def draw_learning(
    title: str,
    epochs: Sequence[float],
    loss: Sequence[float],
    score: Curve,
    split: str,
    best: int,
    graded: float | None,
) -> Figure:
    """Draw loss and score over the epochs, and the epoch whose weights the run left.

    Args:
        score: in [0, 1].
        split: which images the score of each epoch is of: held-out, or val.
        best: one of `epochs`.
        graded: the score of the run's weights on the validation set, where it is known.
    """
    drawn = figure(5.2, title)
    left, right = drawn.subplots(1, 2)
    curves = Curve("training loss", loss), Curve(f"{split} {score.label}", score.values)
    for axes, curve in zip((left, right), curves, strict=True):
        _line(axes, epochs, curve.values, color=BLUE)
        axes.set_title(curve.label, fontsize=12)
        axes.axvline(best, color="black", linestyle=":", label=_kept(best))
        axes.tick_params(labelsize=10)
        _epochs(axes)
    if graded is not None:
        right.axhline(graded, color=RED, linestyle="--", label=f"val as graded: {graded:.1%}")
    reached = value_at(best, epochs, score)
    label = f"{split} in training: {reached:.1%}"
    right.plot(best, reached, "o", color="black", zorder=3, label=label)
    _percent(right)
    for axes in (left, right):  # below, where they hide no epoch
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), fontsize=10)
    return drawn


def draw_classes(
    title: str,
    epochs: Sequence[float],
    loss: Sequence[float],
    classes: Sequence[Curve],
    mean: Curve,
    heading: str,
    best: int,
    graded: float | None,
) -> Figure:
    """Draw the loss, and the score of each class and their mean, over the epochs.

    Args:
        classes, mean: scores in [0, 1].
        heading: of the scores: what they are, and of which images.
        best: the epoch of the run's weights, one of `epochs`.
        graded: the mean of the run's weights on the validation set, where it is known.
    """
    drawn = figure(4.8, title)
    left, right = drawn.subplots(1, 2, width_ratios=(1, 1.6))
    _line(left, epochs, loss, color=BLUE)
    left.set_title("training loss", fontsize=12)
    looks: list[dict[str, Any]] = [{"color": colour} for colour in COLOURS[: len(classes)]]
    looks.append({"color": "black", "linewidth": 2.5})
    for curve, look in zip([*classes, mean], looks, strict=True):
        label = f"{curve.label}: {value_at(best, epochs, curve):.1%}"
        _line(right, epochs, curve.values, label=label, **look)
    if graded is not None:
        label = f"{mean.label} on val as graded: {graded:.1%}"
        right.axhline(graded, color="black", linestyle="--", label=label)
    right.set_title(heading, fontsize=12)
    _percent(right)
    for axes in (left, right):
        axes.axvline(best, color="black", linestyle=":")
        _epochs(axes)
    outside: dict[str, Any] = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
    right.legend(title=_kept(best), fontsize=10, **outside)
    return drawn


class Watched(NamedTuple):
    """A curve with a plot of its own.

    Attributes:
        top: of the axis, which begins at 0; None leaves it to the values.
        percent: whether the axis says per cent.
        floor: what 0 would mean.
    """

    curve: Curve
    top: float | None = None
    percent: bool = False
    floor: str = ""


def draw_watched(title: str, epochs: Sequence[float], watched: Sequence[Watched]) -> Figure:
    """Draw curves side by side, each in a plot of its own, with its last value above it."""
    drawn = figure(4.0, title, width=4.2 * len(watched))
    for axes, shown in zip(drawn.subplots(1, len(watched), squeeze=False)[0], watched, strict=True):
        label, values = shown.curve
        known = np.asarray(values)[np.isfinite(values)]
        marker = "o" if len(known) < 80 else None  # seldom measured: each counts
        _line(axes, epochs, values, color=BLUE, marker=marker, markersize=3)
        axes.set_title(f"{label}\nlast: {known[-1]:.3f}", fontsize=10)
        _epochs(axes)
        if shown.top is not None:
            axes.set_ylim(0, shown.top)
        if shown.floor:
            said = f"0: {shown.floor}"
            axes.text(0.02, 0.03, said, color=RED, fontsize=9, transform=axes.transAxes)
        if shown.percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    return drawn


def value_at(epoch: int, epochs: Sequence[float], curve: Curve) -> float:
    """Return a curve's value at an epoch, which is one of `epochs`."""
    return curve.values[list(epochs).index(epoch)]


def _line(axes: Axes, epochs: Sequence[float], values: Sequence[float], **look) -> None:
    """Join the epochs that were measured."""
    known = np.isfinite(values)
    look.setdefault("marker", "." if known.sum() <= 30 else "")
    axes.plot(np.asarray(epochs)[known], np.asarray(values)[known], **look)


def _kept(best: int) -> str:
    """Say which epoch the dotted line is at: the one whose weights the run left."""
    return f"epoch {best}, kept as best.pth"


def _epochs(axes: Axes) -> None:
    axes.set_xlabel("epoch", fontsize=11)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)


def _percent(axes: Axes) -> None:
    # As many digits as a curve that hardly moves needs
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
