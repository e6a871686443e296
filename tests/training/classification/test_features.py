"""The numbers beside the figures, and the names of the classes."""

import numpy as np
import pytest
import torch

from inference import UserError
from inference.runner import Runner
from training.classification import features
from training.classification.figures import class_names


def clusters(classes=5, each=30, spread=0.05, seed=0):
    """Return features around a direction for each class, and the classes."""
    random = np.random.default_rng(seed)
    labels = np.arange(classes * each) % classes
    points = np.eye(classes, 16)[labels] + random.normal(0, spread, (len(labels), 16))
    return points.astype(np.float32), labels


def test_no_more_neighbours_vote_than_a_class_can_offer():
    assert features.neighbours(clusters()[1]) == 20
    assert features.neighbours(clusters(classes=8, each=6)[1]) == 5
    assert features.neighbours(np.arange(9)) == 1


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


class Small(torch.nn.Module):
    """Has memory for so many images at once."""

    memory = 3

    def forward(self, images):
        if len(images) > self.memory:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return images[:, :, 0, 0]


def test_where_memory_is_too_small_features_are_made_of_fewer_images_at_once(capsys):
    images = np.random.default_rng(0).integers(0, 256, (13, 4, 4, 3), dtype=np.uint8)
    runner = Runner(Small(), [0.0] * 3, [1.0] * 3, torch.device("cpu"), batch_size=8)
    found = features.logits(runner, images)
    np.testing.assert_allclose(found, images[:, 0, 0] / 255, rtol=1e-6)
    assert capsys.readouterr().err.splitlines() == [
        "note: out of memory; trying batches of 4",
        "note: out of memory; trying batches of 2",
    ]
    runner.network.memory = 0
    with pytest.raises(UserError, match=r"^not memory enough on cpu for one image"):
        features.logits(runner, images)
