"""Which images are trained on: what is held out, and what a share of the labels is."""

import numpy as np
import pytest

from inference import UserError
from training.data.splits import hold_out, subsample_per_class


def test_nothing_held_out_means_all_is_trained_on():
    train, held = hold_out(np.repeat(np.arange(3), 5), 0.0, seed=0)
    assert train.tolist() == list(range(15)) and not len(held)


def test_every_class_gives_its_share_but_one_of_a_single_image():
    labels = np.repeat(np.arange(4), [100, 40, 3, 1])
    train, held = hold_out(labels, 0.05, seed=0)
    assert np.bincount(labels[held], minlength=4).tolist() == [5, 2, 1, 0]
    assert sorted([*train, *held]) == list(range(144))
    assert held.tolist() == hold_out(labels, 0.05, seed=0)[1].tolist()
    assert held.tolist() != hold_out(labels, 0.05, seed=1)[1].tolist()


@pytest.mark.parametrize("share", [0.5, 0.8, 0.99])
def test_every_class_keeps_an_image_to_train_on(share):
    labels = np.repeat(np.arange(3), [2, 10, 1])
    train, held = hold_out(labels, share, seed=0)
    assert np.bincount(labels[train], minlength=3).min() == 1 and len(held) >= 2
    assert sorted([*train, *held]) == list(range(13))


def test_one_image_a_class_cannot_be_split():
    with pytest.raises(
        UserError, match=r"no class has two images to hold one out: add 'select_epoch_by=LastEpoch"
    ):
        hold_out(np.arange(5), 0.1, seed=0)


def test_a_fraction_is_a_function_of_the_seed_and_has_every_class():
    labels, every = np.repeat(np.arange(4), [100, 40, 7, 1]), np.arange(148)
    few = subsample_per_class(labels, every, 0.1, seed=3)
    assert np.bincount(labels[few]).tolist() == [10, 4, 1, 1]
    assert few.tolist() == subsample_per_class(labels, every, 0.1, seed=3).tolist()
    assert few.tolist() != subsample_per_class(labels, every, 0.1, seed=4).tolist()
    assert subsample_per_class(labels, every, 1.0, seed=3).tolist() == list(range(148))
    assert set(subsample_per_class(labels, every, 0.5, seed=3)) >= set(few)
    kept = subsample_per_class(labels, every[::2], 0.5, seed=3)
    assert all(kept % 2 == 0)
