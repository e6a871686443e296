"""The generated pictures of P1 and P2: reproducible, told apart, no gift to a linear classifier."""

import numpy as np
import pytest
from PIL import Image

from training.datasets.sample.objects import classes
from training.datasets.sample.problems import mini_image, office_image, p1_image
from training.datasets.sample.shapes import OUTLINES, cover, transform
from training.datasets.sample.styles import STYLES, Nuisance


def test_picture_depends_on_nothing_but_its_arguments():
    first = p1_image(3, "train", 7, 2)
    np.random.seed(0)
    p1_image(3, "train", 8, 2)
    assert np.array_equal(first, p1_image(3, "train", 7, 2))


@pytest.mark.parametrize("other", [(4, "train", 7, 2), (3, "val", 7, 2), (3, "train", 7, 3)])
def test_seed_split_and_index_each_change_the_picture(other):
    assert not np.array_equal(p1_image(3, "train", 7, 2), p1_image(*other))


def test_sizes_are_the_courses():
    assert p1_image(0, "train", 49, 0).shape == (32, 32, 3)
    assert mini_image(0, "train", 63, 0).shape == (84, 84, 3)
    shapes = [office_image(0, "val", label, 0).shape for label in range(8)]
    assert len(set(shapes)) > 1
    assert all(200 <= side <= 400 for shape in shapes for side in shape[:2])


@pytest.mark.parametrize("style", STYLES)
def test_every_style_shows_the_object_on_any_aspect(style):
    for height, width in ((200, 390), (390, 200)):
        parts = classes(0, "office", 1)[0]
        picture = style(parts, np.random.default_rng(1), height, width, Nuisance())
        assert picture.shape == (height, width, 3) and picture.dtype == np.uint8
        assert picture.std() > 10


def test_spaces_share_no_class_and_grow_without_changing():
    assert str(classes(0, "p1", 3)) == str(classes(0, "p1", 5)[:3])
    small, large = (set(map(str, classes(0, space, 3))) for space in ("p1", "office"))
    assert small.isdisjoint(large)


def test_a_hole_stays_open():
    ring = transform(OUTLINES["ring"], np.array([[10.0, 0, 16], [0, 10, 16]]))
    area = cover(ring, 32, 32)
    full = np.zeros((32, 32))
    full[area.window] = area.alpha
    assert full[16, 16] == 0
    assert full[16, 8] == 1
    # Area of the ring: pi (1 - .58^2) 10^2.
    assert full.sum() == pytest.approx(208.5, rel=0.05)


def _pixels(draw, labels, count, split):
    """(n, 3072) float32 pixels at 32x32, standardised by eye; (n,) labels."""
    names = [(i % labels, i // labels) for i in range(count)]
    pictures = [Image.fromarray(draw(0, split, *name)).resize((32, 32)) for name in names]
    pixels = np.stack([np.asarray(p, dtype=np.float32).ravel() for p in pictures])
    return pixels / 128 - 1, np.array([label for label, _ in names])


@pytest.mark.parametrize(
    ("draw", "labels", "train"), [(p1_image, 50, 1000), (office_image, 65, 260)]
)
def test_linear_classifier_on_pixels_stays_under_40_percent(draw, labels, train):
    linear = pytest.importorskip("sklearn.linear_model")
    pixels, truth = _pixels(draw, labels, train, "train")
    unseen, answers = _pixels(draw, labels, 2 * labels, "val")
    scores = [
        linear.RidgeClassifier(alpha=alpha).fit(pixels, truth).score(unseen, answers)
        for alpha in (300.0, 3000.0)
    ]
    assert max(scores) < 0.4
