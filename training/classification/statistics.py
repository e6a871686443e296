"""How far chance alone moves an accuracy, and the difference of two on the same images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95


class Estimate(NamedTuple):
    """A value and its interval of 95 %, in shares of 1."""

    value: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.low > 0 or self.high < 0


def of_accuracy(right: np.ndarray) -> Estimate:
    """Return an accuracy and Wilson's interval for the number of images.

    Args:
        right: (N,), each image's share of right answers over the seeds. Of several seeds the mean
            is what one model with as many right answers, rounded, would have: the images are the
            same, so that more seeds make the interval no narrower.
    """
    found = stats.binomtest(round(float(right.sum())), len(right))
    low, high = found.proportion_ci(LEVEL, "wilson")
    return Estimate(float(right.mean()), float(low), float(high))


def of_difference(one: np.ndarray, other: np.ndarray) -> Estimate:
    """Return how much better `other` is than `one`, and the interval of the paired t-test.

    Both answered the same images: the interval is that of the mean of the images' differences,
    and so is narrower than what the two accuracies' own intervals suggest.

    Args:
        one, other: as `of_accuracy`, the same images in the same order; at least 2.
    """
    difference = np.asarray(other, float) - np.asarray(one, float)
    mean, error = float(difference.mean()), float(stats.sem(difference))
    reach = float(stats.t.ppf((1 + LEVEL) / 2, len(difference) - 1)) * error
    return Estimate(mean, mean - reach, mean + reach)
