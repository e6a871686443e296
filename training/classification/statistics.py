"""How far other images would move an accuracy, and the difference of two on the same images.

Other seeds are another matter, of which nothing here speaks.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

LEVEL = 0.95
STEPS = 2520  # of a share: those of one to ten seeds are whole numbers of them


class Estimate(NamedTuple):
    """A value and its interval of 95 %, in shares of 1."""

    value: float
    low: float
    high: float


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


def is_clear(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether two models differ by more than other images explain.

    The interval of `of_difference` leaves zero out, and `p_of_difference` is below .05. Where few
    images differ the interval alone is too narrow: of 4 in 406, all won, it is .0002 to .0195,
    though four tosses of a coin agree once in eight times.

    Args:
        one, other: as of `of_difference`.
    """
    found = of_difference(one, other)
    return (found.low > 0 or found.high < 0) and p_of_difference(one, other) < 1 - LEVEL


def p_of_difference(one: np.ndarray, other: np.ndarray) -> float:
    """Return how often signs by chance make a difference at least as large, either way round.

    It is the sign-flip test: of two equal models each image's difference has either sign as often.
    For one pair of runs, which differ by 1 or not at all, this is McNemar's exact test, a binomial.
    For several seeds the differences are means, and keep their sizes here, as in the mean that is
    judged; a sign test would count a third of an answer as a whole one. Nothing is drawn: the
    chance of each sum is added up, image by image; exact up to ten seeds, rounded to 1/2520 beyond.

    Args:
        one, other: as of `of_difference`.
    """
    steps = np.rint(STEPS * (np.asarray(other, float) - np.asarray(one, float))).astype(int)
    steps = steps[steps != 0]
    if not len(steps):
        return 1.0
    steps //= np.gcd.reduce(steps)
    sizes = abs(steps)
    chances = np.zeros(sizes.sum() + 1)  # of each sum of those whose sign is +
    chances[0] = 1
    for size in sizes:
        chances[size:] += chances[:-size].copy()
        chances /= 2
    sums = 2 * np.arange(len(chances)) - sizes.sum()
    return float(chances[abs(sums) >= abs(steps.sum())].sum())
