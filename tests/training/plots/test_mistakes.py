"""The surest mistakes, and a run that makes none."""

import numpy as np

from training.plots import mistakes


def test_the_surest_wrong_predictions_come_first():
    labels = np.array([0, 1, 0, 1])
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.45, 0.55]])
    surest, other = mistakes.Mistake(1, 1, 0, 0.8), mistakes.Mistake(2, 0, 1, 0.7)
    assert mistakes.most_confident(labels, probabilities) == [surest, other]
    assert mistakes.most_confident(labels, probabilities, 1) == [surest]


def test_each_mistake_says_what_it_was_taken_for():
    pixels = np.zeros((2, 4, 4, 3), np.uint8)
    worst = [mistakes.Mistake(1, 1, 0, 0.8)]
    figure = mistakes.draw("run", pixels, ["0", "1"], worst)
    assert figure.axes[0].get_title() == "1 → 0\n80.0%"
    assert not any(axes.get_title() for axes in figure.axes[1:])
    assert mistakes.draw("run", pixels, ["0", "1"], []).get_suptitle() == "run: no mistake on val"
