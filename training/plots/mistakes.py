"""The most confident mistakes: images beside what they were taken for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure

from training.plots.style import figure


@dataclass(frozen=True)
class Mistake:
    """An image by its index, its class, the one it was taken for, and how surely, in [0, 1]."""

    index: int
    true: int
    predicted: int
    confidence: float


def most_confident(labels: np.ndarray, probabilities: np.ndarray, most: int = 24) -> list[Mistake]:
    """Return the wrong predictions that the network was surest of, the surest first.

    Args:
        labels: (N,).
        probabilities: (N, classes).
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    wrong = np.flatnonzero(predicted != labels)
    order = wrong[np.argsort(-confidence[wrong], kind="stable")][:most]
    return [Mistake(int(i), int(labels[i]), int(predicted[i]), float(confidence[i])) for i in order]


def draw(name: str, pixels: np.ndarray, names: Sequence[str], worst: Sequence[Mistake]) -> Figure:
    """Draw a run's mistakes: the image, its class, the one it was taken for, and how surely.

    Args:
        pixels: uint8 (N, S, S, 3), which the mistakes' indices point into.
        names: of the classes.
    """
    rows = max(1, -(-len(worst) // 8))
    title = "most confident mistakes on val (true → predicted, confidence)"
    drawn = figure(0.6 + 1.9 * rows, f"{name}: {title if worst else 'no mistake on val'}")
    plots = drawn.subplots(rows, 8, squeeze=False).ravel()
    for axes in plots:
        axes.axis("off")
    for axes, mistake in zip(plots, worst, strict=False):  # the last row may be half full
        axes.imshow(pixels[mistake.index], interpolation="nearest")
        true, taken = names[mistake.true], names[mistake.predicted]
        space = " " if len(true + taken) < 12 else "\n"
        axes.set_title(f"{true}{space}→ {taken}\n{mistake.confidence:.1%}", fontsize=10)
    return drawn
