"""Pictures of a segmentation run: masks in the classes' colours, curves, confusion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

import mean_iou_evaluate as evaluator
from inference import landcover
from training.plots import charts
from training.plots.scatter import COLOURS, DPI, WIDTH
from training.segmentation.iou import AVERAGED


class Judged(NamedTuple):
    """A mask, uint8 (H, W), and its IoU, weighted by the classes' shares of the tile, or nan."""

    mask: np.ndarray
    score: float


class Tile(NamedTuple):
    """A tile by its name: image, uint8 (H, W, 3), true mask, uint8 (H, W), and predicted ones."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    predicted: list[Judged]


def draw_stages(name: str, tiles: Sequence[Tile], titles: Sequence[str]) -> Figure:
    """Draws a tile a row: image, truth, and the masks predicted by the weights of `titles`."""
    heads = ["image", "truth", *titles]
    side = WIDTH / len(heads)
    figure = Figure((WIDTH, (side + 0.25) * len(tiles) + 0.9), dpi=DPI, layout="constrained")
    figure.suptitle(f"{name}: validation tiles in the course of training", fontsize=12)
    rows = figure.subplots(len(tiles), len(heads), squeeze=False)
    for row, tile in zip(rows, tiles, strict=True):
        _row(row, tile)
        row[0].set_ylabel(tile.name, fontsize=12)
    for axes, head in zip(rows[0], heads, strict=True):
        axes.set_title(head, fontsize=11)
    _legend(figure)
    return figure


def draw_worst(name: str, tiles: Sequence[Tile]) -> Figure:
    """Draws tiles two a row, each as image, truth and prediction."""
    rows = -(-len(tiles) // 2)
    figure = Figure((WIDTH, (WIDTH / 6 + 0.45) * rows + 0.9), dpi=DPI, layout="constrained")
    said = "the validation tiles of the lowest IoU, weighted by the classes' shares of the tile"
    figure.suptitle(f"{name}: {said}", fontsize=12)
    places = figure.subplots(rows, 6, squeeze=False).reshape(-1, 3)
    for place, tile in zip(places, tiles, strict=False):  # the last row may be half full
        _row(place, tile)
        for axes, head in zip(place, (f"{tile.name}: image", "truth", "prediction"), strict=True):
            axes.set_title(head, fontsize=10)
    for axes in places[len(tiles) :].flat:
        axes.axis("off")
    _legend(figure)
    return figure


def _row(row: Sequence[Axes], tile: Tile) -> None:
    masks = [tile.truth, *(judged.mask for judged in tile.predicted)]
    pictures = [tile.image, *(landcover.to_colours(mask) for mask in masks)]
    for axes, picture in zip(row, pictures, strict=True):
        axes.imshow(picture, interpolation="nearest")
        axes.set(xticks=[], yticks=[])  # the frame stays: barren land is as white as paper
    for axes, judged in zip(row[2:], tile.predicted, strict=True):
        axes.set_xlabel(f"IoU {judged.score:.1%}", fontsize=10)


def _legend(figure: Figure) -> None:
    patches = [
        Patch(facecolor=colour / 255, edgecolor="black", linewidth=0.6, label=name)
        for name, colour in zip(landcover.CLASSES, landcover.COLOURS, strict=True)
    ]
    figure.legend(
        handles=patches, loc="outside lower center", ncols=len(patches), fontsize=10, frameon=False
    )


def draw_curves(
    name: str, columns: dict[str, list[float]], best: int, val: float | None, split: str
) -> Figure:
    """Draws the loss, and the measured IoU of each class and their mean, over the epochs.

    Args:
        columns: of metrics.csv: `loss`, `mIoU` and `iou_urban` and so on, a value an epoch.
        best: the epoch of the run's weights, from 1.
        val: the exported weights' mIoU on the validation set, where it is known.
        split: which tiles each epoch is measured on: held-out, or val.
    """
    figure = Figure((WIDTH, 4.8), dpi=DPI, layout="constrained")
    figure.suptitle(f"{name}: learning curves", fontsize=12)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    _curve(left, columns["loss"], COLOURS[0])
    left.set_title("training loss", fontsize=12)
    for i, word in enumerate(evaluator.CLASSES[:AVERAGED]):
        values = columns.get(f"iou_{word}")  # a run from before there were any has none
        if values:
            last = f"{landcover.CLASSES[i]}: {values[best - 1]:.1%}"
            _curve(right, values, COLOURS[i], label=last)
    mean = f"mIoU: {columns['mIoU'][best - 1]:.1%}"
    _curve(right, columns["mIoU"], "black", linewidth=2.5, label=mean)
    if val is not None:
        right.axhline(val, color="black", linestyle="--", label=f"mIoU on val as graded: {val:.1%}")
    right.set_title(f"{split} IoU of each class", fontsize=12)
    right.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g}%")
    for axes in (left, right):
        axes.axvline(best, color="black", linestyle=":")
        axes.set_xlabel("epoch", fontsize=11)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
    right.legend(
        title=f"at epoch {best}", loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=10
    )
    return figure


def _curve(axes: Axes, values: Sequence[float], colour: str, **look) -> None:
    """Joins the epochs that were measured."""
    known = np.flatnonzero(np.isfinite(values))
    marker = "." if len(known) <= 30 else ""
    axes.plot(known + 1, np.asarray(values)[known], color=colour, marker=marker, **look)


def draw_confusion(name: str, matrix: np.ndarray) -> Figure:
    """Draws the matrix of pixels, normalised by row, and lists what is most often confused.

    Args:
        matrix: int64 (7, 7), true classes in rows.
    """
    figure = charts.draw_confusion(name, matrix, landcover.CLASSES, charts.confused(matrix, 15))
    right = np.trace(matrix) / matrix.sum()
    title = f"{name}: confusion on val, {right:.1%} of {matrix.sum():,} pixels right"
    figure.axes[0].set_title(title, fontsize=12)
    return figure
