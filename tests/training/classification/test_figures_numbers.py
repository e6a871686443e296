"""The numbers beside the figures, and where their labels stand."""

import numpy as np
import pytest

from training.classification import features
from training.classification.finished import class_names
from training.plots import charts, scatter


def clusters(classes=5, each=30, spread=0.05, seed=0):
    """Gives features around a direction for each class, and the classes."""
    random = np.random.default_rng(seed)
    labels = np.arange(classes * each) % classes
    points = np.eye(classes, 16)[labels] + random.normal(0, spread, (len(labels), 16))
    return points.astype(np.float32), labels


def test_neighbours_tell_classes_that_are_apart_and_guess_among_noise():
    points, labels = clusters()
    assert features.neighbours(labels) == 20
    assert features.knn_accuracy(points, labels, 20) == 1.0
    # The length is no matter: only the direction is.
    assert features.knn_accuracy(points * np.arange(1, 151)[:, None], labels, 20) == 1.0
    noise = np.random.default_rng(1).normal(size=(1500, 16)).astype(np.float32)
    guessed = features.knn_accuracy(noise, np.arange(1500) % 5, 20)
    assert guessed == pytest.approx(1 / 5, abs=0.05)


def test_a_curve_that_hardly_moves_has_a_scale_that_can_be_read():
    columns = {"loss": [2.6, 2.5, 2.2], "accuracy": [0.986, 0.976, 0.982]}
    axes = charts.draw_learning("run", columns, 3, 0.98, "val").axes[1]
    ticks = [axes.yaxis.get_major_formatter()(place) for place in axes.get_yticks()]
    assert len(set(ticks)) == len(ticks) and all(tick.endswith("%") for tick in ticks)


def test_no_more_neighbours_vote_than_a_class_can_offer():
    points, labels = clusters(classes=8, each=6)
    assert features.neighbours(labels) == 5
    assert features.knn_accuracy(points, labels, 5) == 1.0
    assert features.neighbours(np.arange(9)) == 1


def test_an_image_has_no_vote_on_itself_and_the_nearer_class_wins_a_draw():
    angles = np.array([0.0, 0.1, 0.3, 1.5])
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = np.array([0, 0, 1, 1])
    # Nearest others: 0 -> 1, 1 -> 0, 2 -> 1 (wrong), 3 -> 2.
    assert features.knn_accuracy(points, labels, 1) == 3 / 4
    # Two votes each: {1: 0, 2: 1}, {0: 0, 2: 1}, {1: 0, 0: 0}, {2: 1, 1: 0}; nearer first.
    assert features.knn_accuracy(points, labels, 2) == 3 / 4


def test_silhouette_says_how_far_classes_are_apart():
    points = np.array([[1, 0], [3, 0], [0, 1], [0, 2]], np.float32)
    assert features.silhouette(points, np.array([0, 0, 1, 1])) == pytest.approx(1)
    # Own class at distance 1, the other at (0 + 1) / 2 on average: (1/2 - 1) / 1.
    assert features.silhouette(points, np.array([0, 1, 0, 1])) == pytest.approx(-1 / 2)
    assert features.silhouette(points, np.arange(4)) is None
    assert features.silhouette(points, np.zeros(4)) is None


def test_tsne_keeps_classes_together_and_repeats_itself():
    points, labels = clusters(classes=3, each=15)
    flat = features.tsne(points)
    np.testing.assert_array_equal(flat, features.tsne(points))
    distance = np.linalg.norm(flat[:, None] - flat, axis=2) + 1e9 * np.eye(len(flat))
    assert (labels[distance.argmin(1)] == labels).all()


def test_pca_finds_the_directions_that_vary():
    random = np.random.default_rng(0)
    points = random.normal(size=(200, 6)) * [0.1, 3, 0.1, 1, 0.1, 0.1] + 7
    flat, variance = features.pca(points.astype(np.float32))
    assert abs(np.corrcoef(flat[:, 0], points[:, 1])[0, 1]) > 0.99
    assert abs(np.corrcoef(flat[:, 1], points[:, 3])[0, 1]) > 0.99
    assert variance.tolist() == pytest.approx((flat.var(0) / points.var(0).sum()).tolist())


def test_the_most_confused_pairs_go_by_the_share_of_the_class():
    labels = np.array([0] * 10 + [1] * 4 + [2] * 2)
    predicted = np.array([0] * 7 + [1] * 3 + [1, 1, 2, 2] + [2, 2])
    matrix = charts.confusion(labels, predicted, 4)
    assert matrix.tolist() == [[7, 3, 0, 0], [0, 2, 2, 0], [0, 0, 2, 0], [0, 0, 0, 0]]
    assert charts.confused(matrix) == [(1, 2, 2, 0.5), (0, 1, 3, 0.3)]


def test_seventy_classes_have_a_look_of_their_own():
    assert len({scatter.style(label) for label in range(70)}) == 70
    for label in range(69):
        for one, next_one in zip(scatter.style(label), scatter.style(label + 1)):
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


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        (["Bed1", "Bed2", "TV1", "TV2"], ["0 Bed", "1 TV", "2"]),
        (["0_1", "0_2", "1_1", "1_2"], ["0", "1", "2"]),
        (["img1", "img2", "img3", "img4"], ["0", "1", "2"]),
        (["Bed1", "Sofa2", "TV1", "TV2"], ["0", "1", "2"]),
    ],
)
def test_names_of_classes_come_from_files_only_where_they_tell_them_apart(tmp_path, names, wanted):
    paths = [tmp_path / f"{name}.jpg" for name in names]
    assert class_names(paths, np.array([0, 0, 1, 1]), 3) == wanted
