"""Batches of images that lie in memory: their order, their parts, and who gets which."""

import numpy as np
import pytest

from inference import UserError
from training.data.batches import Batches


def batches(**options):
    numbers = np.arange(50)
    return Batches((numbers, numbers * 2), range(50), 8, **options)


def test_an_epoch_is_a_permutation_that_depends_on_seed_and_epoch():
    def order(seed, epoch):
        made = batches(shuffle=True, seed=seed)
        made.epoch = epoch
        return [int(i) for numbers, _ in made for i in numbers]

    assert len(set(order(0, 0))) == 48  # the last batch would not be full
    assert order(0, 0) == order(0, 0)
    assert order(0, 0) != order(0, 1) != order(1, 1)


def test_items_of_all_arrays_belong_together():
    for numbers, doubles in batches(shuffle=True):
        assert (doubles == 2 * numbers).all()


def test_without_shuffling_everything_comes_in_order():
    made = batches(shuffle=False)
    assert [int(i) for numbers, _ in made for i in numbers] == list(range(50))
    assert len(list(made)) == len(made) == 7


def test_two_processes_share_the_batches_that_one_would_have():
    both = []
    for rank in range(2):
        made = Batches((np.arange(48),), range(48), 8, shuffle=True)
        made.rank, made.world = rank, 2
        both.append([set(numbers.tolist()) for (numbers,) in made])
    one = Batches((np.arange(48),), range(48), 8, shuffle=True)
    assert [a | b for a, b in zip(*both)] == [set(numbers.tolist()) for (numbers,) in one]
    assert all(not a & b for a, b in zip(*both))


def test_an_epoch_may_go_through_few_images_several_times():
    one = Batches([np.arange(100)], range(10, 20), 8, shuffle=True, seed=0, repeat=5)
    parts = one.parts()
    assert len(one) == len(parts) == 6 and all(len(p) == 8 for p in parts)
    seen = np.concatenate(parts)
    assert np.bincount(seen, minlength=20)[10:].min() >= 4 and set(seen) == set(range(10, 20))
    assert sorted(seen[:10]) == list(range(10, 20)) and list(seen[:10]) != list(seen[10:20])
    one.epoch = 1
    assert np.concatenate(one.parts()).tolist() != seen.tolist()
    one.epoch, one.rank, one.world = 0, 1, 2
    assert [p.tolist() for p in one.parts()] == [p[1::2].tolist() for p in parts]


def test_too_few_images_for_a_batch_are_one_line_unless_they_are_repeated():
    with pytest.raises(UserError, match="7 images make no batch: lower batch_size"):
        Batches([np.arange(7)], range(7), 8, shuffle=True)
    assert len(Batches([np.arange(7)], range(7), 8, shuffle=True, repeat=2)) == 1
    assert len(Batches([np.arange(7)], range(7), 8, shuffle=False)) == 1
