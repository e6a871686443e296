"""Confusion matrices, and the pairs that are confused most."""

import numpy as np
from sklearn.metrics import confusion_matrix

from training.plots import confusion

LABELS = np.array([0] * 10 + [1] * 4 + [2] * 2)
PREDICTED = np.array([0] * 7 + [1] * 3 + [1, 1, 2, 2] + [2, 2])


def test_the_most_confused_pairs_go_by_the_share_of_the_class():
    matrix = confusion_matrix(LABELS, PREDICTED, labels=range(4))
    assert matrix.tolist() == [[7, 3, 0, 0], [0, 2, 2, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    assert confusion.most_confused(matrix) == [
        confusion.Pair(1, 2, 2, 0.5),
        confusion.Pair(0, 1, 3, 0.3),
    ]
    assert confusion.most_confused(matrix, 1) == [confusion.Pair(1, 2, 2, 0.5)]


def test_a_small_matrix_says_its_shares_and_what_was_counted():
    matrix = confusion_matrix(LABELS, PREDICTED, labels=range(4))
    pairs = confusion.most_confused(matrix)
    figure = confusion.draw("run", matrix, ["a", "b", "c", "d"], pairs, of="pixels")
    axes, beside = figure.axes[:2]
    assert axes.get_title() == "run: confusion on val, 68.8% of 16 pixels right"
    cells = {tuple(map(int, text.get_position())): text.get_text() for text in axes.texts}
    assert cells == {(0, 0): "70", (1, 0): "30", (1, 1): "50", (2, 1): "50", (2, 2): "100"}
    said = "\n".join(text.get_text() for text in beside.texts)
    assert "50% (2)" in said and "b → c" in said
