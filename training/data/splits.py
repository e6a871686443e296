"""Which images are trained on: those held out, and a share of the labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from inference import UserError


def hold_out(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices to train on and those held out, split class by class.

    Args:
        labels: of all images, (N,).
        share: of each class of two images or more: at least one image, and never all; 0 holds
            nothing out.

    Raises:
        UserError: no class has two images.
    """
    everything = np.arange(len(labels))
    if not share:
        return everything, everything[:0]
    random = np.random.default_rng(seed)
    held = [
        random.permutation(np.flatnonzero(labels == label))[: number_held(share, count)]
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
        if count > 1
    ]
    if not held:
        raise UserError(
            "no class has two images to hold one out: add 'select_epoch_by=LastEpoch()'"
        )
    chosen = np.sort(np.concatenate(held))
    return np.setdiff1d(everything, chosen), chosen


def number_held(share: float, count: int) -> int:
    """Return how many of `count` images, two or more, a share holds out: not none and not all."""
    return min(count - 1, max(1, round(share * count)))


def subsample_per_class(
    labels: np.ndarray, indices: Sequence[int] | np.ndarray, fraction: float, seed: int
) -> np.ndarray:
    """Return the sorted indices of a share of each class's images, at least one of each.

    The choice depends on the labels, the indices and the seed alone, not on what is trained, and
    a larger fraction contains a smaller one.

    Args:
        labels: of all images, (N,).
        indices: of the images to choose from.
        fraction: in (0, 1]; 1 leaves everything.
    """
    indices = np.asarray(indices)
    random = np.random.default_rng([seed, len(labels)])
    chosen = []
    for label in np.unique(labels[indices]):
        own = random.permutation(indices[labels[indices] == label])
        chosen.append(own[: max(1, round(fraction * len(own)))])
    return np.sort(np.concatenate(chosen))
