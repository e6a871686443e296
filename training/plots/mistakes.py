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
    """Draw images with the class they are of, the one they were taken for, and how surely.

    Args:
        name: of the run.
        pixels: uint8 (N, S, S, 3), which the mistakes' indices point into.
        names: of the classes.
    """
    rows = max(1, -(-len(worst) // 8))
    title = "most confident mistakes on val (true → predicted, confidence)"
    drawn = figure(0.6 + 1.9 * rows, f"{name}: {title if worst else 'no mistake on val'}")
    for place, axes in enumerate(drawn.subplots(rows, 8, squeeze=False).flat):
        axes.axis("off")
        if place < len(worst):
            mistake = worst[place]
            axes.imshow(pixels[mistake.index], interpolation="nearest")
            true, taken = names[mistake.true], names[mistake.predicted]
            taken = f"{true}{' ' if len(true + taken) < 12 else chr(10)}→ {taken}"
            axes.set_title(f"{taken}\n{mistake.confidence:.1%}", fontsize=10)
    return drawn
