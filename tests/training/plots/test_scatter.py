"""Features in the plane: each class has a look of its own, and a number that can be read."""

import numpy as np

from training.plots import scatter


def test_seventy_classes_have_a_look_of_their_own():
    assert len({scatter.class_style(label) for label in range(70)}) == 70
    for label in range(69):
        for one, next_one in zip(scatter.class_style(label), scatter.class_style(label + 1)):
            assert one != next_one


def test_numbers_move_only_as_far_as_they_must():
    random = np.random.default_rng(0)
    boxes, room = np.full((30, 2), (20.0, 10.0)), np.array([400.0, 400.0])
    centres = np.concatenate([random.uniform(180, 220, (28, 2)), [[350, 350], [50, 50]]])
    placed = scatter.apart(centres, boxes, room)
    gap = np.abs(placed[:, None] - placed) + 1e9 * np.eye(30)[..., None]
    assert ((gap > np.array([20, 10]) - 0.5).any(2)).all()
    assert (placed > 0).all() and (placed < room).all()
    assert placed[28:].tolist() == centres[28:].tolist()
    assert np.abs(placed - centres).max() < 120
