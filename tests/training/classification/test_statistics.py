"""The intervals and verdicts of the comparison of settings."""

import math

import numpy as np
import pytest

from training.classification import statistics


def test_wilsons_interval_is_the_textbooks():
    found = statistics.of_accuracy(np.arange(100) < 80)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.711, 0.867), abs=1e-3)


def test_a_difference_counts_the_images_on_which_two_models_differ():
    one, other = np.zeros(100), np.zeros(100)
    one[:60], other[:50], other[60:80] = 1, 1, 1  # 10 lost, 20 won
    found = statistics.of_difference(one, other)
    error = np.sqrt(0.3 - 0.1**2) / 10  # of a mean of -1, 0 and 1
    assert found.value == pytest.approx(0.1)
    assert found.high - found.low == pytest.approx(2 * 1.984 * error, rel=0.01)
    assert not statistics.is_clear(one, other)
    other[80:] = 1
    assert statistics.is_clear(one, other) and statistics.is_clear(other, one)
    assert statistics.of_difference(one, one) == (0, 0, 0)
    assert not statistics.is_clear(one, one)


@pytest.mark.parametrize(
    ("won", "lost", "clear"),
    [(4, 0, False), (5, 0, False), (6, 0, True), (0, 6, True), (30, 12, True), (30, 18, False)],
)
def test_a_few_images_all_one_way_are_no_clear_difference(won, lost, clear):
    """By McNemar's exact test of one pair of runs."""
    one, other = np.zeros(406), np.zeros(406)
    other[:won], one[won : won + lost] = 1, 1
    count = won + lost
    tail = sum(math.comb(count, k) for k in range(min(won, lost) + 1))
    assert statistics.p_of_difference(one, other) == pytest.approx(2 * tail / 2**count)
    assert statistics.is_clear(one, other) == clear


def test_of_several_seeds_an_image_counts_as_much_as_it_differs():
    one, other = np.zeros(406), np.zeros(406)
    other[:4] = [1, 1, 2 / 3, 1 / 3]  # three seeds, all one way: as of one seed
    assert statistics.p_of_difference(one, other) == pytest.approx(2 / 2**4)
    other[:4] = [1, 1, 1 / 3, 0]
    one[2:4] = [2 / 3, 1 / 2]  # of two seeds; +1, +1, -1/3, -1/2: sums of 7/6 or more, and below
    assert statistics.p_of_difference(one, other) == pytest.approx(8 / 2**4)
    other[:] = one[:] = 0
    other[:30], one[30:60] = 1, 1 / 3  # as many either way, though not as much
    assert statistics.is_clear(one, other)
