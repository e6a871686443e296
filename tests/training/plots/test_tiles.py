"""Masks beside their images."""

import numpy as np

from training.plots import tiles

COLOURS = {"land": (1.0, 1.0, 1.0), "water": (0.0, 0.0, 1.0)}


def tile(name, captions):
    picture = np.zeros((4, 4, 3), np.uint8)
    predicted = [tiles.Predicted(picture + i, said) for i, said in enumerate(captions)]
    return tiles.Tile(name, picture, picture, predicted)


def test_stages_are_a_tile_a_row_and_an_epoch_a_column():
    shown = [tile("a", ["IoU 10%", "IoU 20%"]), tile("b", ["IoU 30%", "IoU 40%"])]
    figure = tiles.draw_stages("run", shown, ["epoch 1", "epoch 2 (best)"], COLOURS)
    heads = [axes.get_title() for axes in figure.axes[:4]]
    assert heads == ["image", "truth", "epoch 1", "epoch 2 (best)"]
    captions = [axes.get_xlabel() for axes in figure.axes]
    assert captions == ["", "", "IoU 10%", "IoU 20%", "", "", "IoU 30%", "IoU 40%"]
    assert [figure.axes[i].get_ylabel() for i in (0, 4)] == ["a", "b"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["land", "water"]


def test_pairs_leave_the_rest_of_an_odd_row_empty():
    figure = tiles.draw_pairs("run", [tile(name, [name]) for name in "abc"], COLOURS)
    assert len(figure.axes) == 12 and len([a for a in figure.axes if a.images]) == 9
