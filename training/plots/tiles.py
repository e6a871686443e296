"""Masks beside their images: in the course of a training, and the worst of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from training.plots.style import WIDTH, figure

Colours = Mapping[str, tuple[float, float, float]]  # of the classes by their names, in [0, 1]


class Predicted(NamedTuple):
    """A predicted mask in its classes' colours, uint8 (H, W, 3), and what is said below it."""

    mask: np.ndarray
    caption: str


class Tile(NamedTuple):
    """A tile by its name: image and true mask, uint8 (H, W, 3), and what was predicted."""

    name: str
    image: np.ndarray
    truth: np.ndarray
    predicted: Sequence[Predicted]


def draw_stages(
    title: str, tiles: Sequence[Tile], stages: Sequence[str], colours: Colours
) -> Figure:
    """Draw a tile a row: image, truth, and the masks predicted at each stage."""
    heads = ["image", "truth", *stages]
    side = WIDTH / len(heads)
    drawn = figure((side + 0.25) * len(tiles) + 0.9, title)
    rows = drawn.subplots(len(tiles), len(heads), squeeze=False)
    for row, tile in zip(rows, tiles, strict=True):
        _row(row, tile)
        row[0].set_ylabel(tile.name, fontsize=12)
    for axes, head in zip(rows[0], heads, strict=True):
        axes.set_title(head, fontsize=11)
    _legend(drawn, colours)
    return drawn


def draw_pairs(title: str, tiles: Sequence[Tile], colours: Colours) -> Figure:
    """Draw tiles two a row, each as image, truth and its one prediction."""
    rows = -(-len(tiles) // 2)
    drawn = figure((WIDTH / 6 + 0.45) * rows + 0.9, title)
    places = drawn.subplots(rows, 6, squeeze=False).reshape(-1, 3)
    for place, tile in zip(places, tiles, strict=False):  # the last row may be half full
        _row(place, tile)
        for axes, head in zip(place, (f"{tile.name}: image", "truth", "prediction"), strict=True):
            axes.set_title(head, fontsize=10)
    for axes in places[len(tiles) :].flat:
        axes.axis("off")
    _legend(drawn, colours)
    return drawn


def _row(row: Sequence[Axes] | np.ndarray, tile: Tile) -> None:
    pictures = [tile.image, tile.truth, *(predicted.mask for predicted in tile.predicted)]
    for axes, picture in zip(row, pictures, strict=True):
        axes.imshow(picture, interpolation="nearest")
        axes.set(xticks=[], yticks=[])  # the frame stays: a class may be as white as paper
    for axes, predicted in zip(row[2:], tile.predicted, strict=True):
        axes.set_xlabel(predicted.caption, fontsize=10)


def _legend(drawn: Figure, colours: Colours) -> None:
    patches = [
        Patch(facecolor=colour, edgecolor="black", linewidth=0.6, label=name)
        for name, colour in colours.items()
    ]
    look = {"ncols": len(patches), "fontsize": 10, "frameon": False}
    drawn.legend(handles=patches, loc="outside lower center", **look)
