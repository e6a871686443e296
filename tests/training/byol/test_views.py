"""The two views: whose draw is whose."""

import pytest
import torch

from inference import UserError
from training.augment import geometry
from training.byol.recipes import RECIPES
from training.byol.views import ByolPytorchViews, ByolViews, kernel

PLAIN = {
    "area": (1.0, 1.0),
    "flip": 0.0,
    "jitter_p": 0.0,
    "grayscale": 0.0,
    "blur": (0.0, 0.0),
    "solarise": (0.0, 0.0),
}


def image(side=32):
    """Return a smooth image with a corner of its own in each colour: (1, 3, side, side)."""
    y, x = torch.meshgrid(*[torch.linspace(0, 1, side)] * 2, indexing="ij")
    return torch.stack([x, y, (x * y).sqrt()])[None]


def pair(images, kind=ByolViews, **changes):
    torch.manual_seed(0)
    return kind(**changes).pair(images, 32, lambda x: x)


def differences(batch):
    """Return the largest difference of each image of a batch to the first."""
    return (batch[1:] - batch[:1]).abs().amax((1, 2, 3))


@pytest.fixture
def whole(monkeypatch):
    """Have views of whole images: what else is drawn shows alone."""
    monkeypatch.setattr(geometry, "crop", lambda images, *_, **__: (images, None))


def test_without_crops_plain_views_are_the_images(whole):
    for view in pair(image(), **PLAIN):
        assert torch.equal(view, image())


@pytest.mark.parametrize("changes", [{"jitter_p": 1.0}, {"blur": (1.0, 1.0)}], ids=str)
def test_each_image_and_each_view_has_a_jitter_and_a_blur_of_its_own(whole, changes):
    torch.manual_seed(1)
    first, second = pair(torch.rand(1, 3, 32, 32).repeat(8, 1, 1, 1), **{**PLAIN, **changes})
    every = torch.cat([first, second]).flatten(1)
    nearest = (torch.cdist(every, every, p=torch.inf) + torch.eye(16)).amin(1)
    assert (nearest > 1e-4).sum() > 12  # of the blurs some are too slight to tell apart


@pytest.mark.parametrize("changes", [{}, {**PLAIN, "area": (0.1, 0.9)}])
def test_each_image_and_each_view_has_draws_of_its_own(changes):
    first, second = pair(image().repeat(8, 1, 1, 1), **changes)
    assert first.shape == second.shape == (8, 3, 32, 32)
    assert (differences(first) > 1e-4).all() and (differences(second) > 1e-4).all()
    assert ((first - second).abs().amax((1, 2, 3)) > 1e-4).all()
    assert 0 <= min(first.min(), second.min()) and max(first.max(), second.max()) <= 1


def test_the_two_sets_differ_in_blur_and_solarisation():
    made = RECIPES["p2-byol"].views_by
    assert made.blur == (1.0, 0.1) and made.solarise == (0.0, 0.2)
    noise = torch.rand(4, 3, 32, 32)
    still = {**PLAIN, "area": (0.999, 1.0)}
    first, second = pair(noise, **{**still, "blur": (1.0, 0.0)})
    sharp = noise.diff(dim=3).abs().mean()
    assert first.diff(dim=3).abs().mean() < second.diff(dim=3).abs().mean() < 1.01 * sharp
    bright = torch.full((4, 3, 32, 32), 0.75)
    first, second = pair(bright, **{**still, "solarise": (0.0, 1.0)})
    assert torch.allclose(first, bright) and torch.allclose(second, 1 - bright)


@pytest.mark.parametrize(("side", "extent"), [(224, 23), (128, 13), (96, 9), (16, 3)])
def test_the_blur_reaches_a_tenth_of_the_side(side, extent):
    assert kernel(side) == extent


def test_byol_pytorchs_views_are_drawn_once_for_a_batch():
    first, second = pair(image().repeat(8, 1, 1, 1), ByolPytorchViews, flip=0.0)
    assert differences(first).max() < 1e-5 and differences(second).max() < 1e-5
    assert (first - second).abs().max() > 0.1


def test_the_reports_views_are_byol_pytorchs():
    assert RECIPES["p2-byol-report"].views_by == ByolPytorchViews()
    said = RECIPES["p2-byol-report"].describe()["Augmentation"]
    assert said == [
        "byol_pytorch’s own, drawn once for a batch (for each process’s share of it)",
        "before them mirrored, chance 0.5",
    ]


@pytest.mark.parametrize("change", ["flip", "jitter_p", "grayscale"])
def test_a_chance_is_a_share(change):
    with pytest.raises(UserError, match=rf"byolviews\.{change}=1\.5: it is a share"):
        ByolViews(**{change: 1.5})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("area=[0.5]", r"byolviews\.area=\[0\.5\]: it is 2 shares, each from 0 to 1"),
        ("area=[0.9,0.1]", r"area=\[0\.9,0\.1\]: it is two shares, the smaller first"),
        ("area=[0,1]", r"area=\[0,1\]: it is two shares"),
        ('area=["a",1]', "it holds numbers"),
        ("blur=[2,2]", r"byolviews\.blur=\[2,2\]: it is 2 shares"),
        ("solarise=[-1,0]", r"byolviews\.solarise=\[-1,0\]: it is 2 shares"),
        ("jitter=[0.4]", r"jitter=\[0\.4\]: it is four numbers from 0 up"),
        ("jitter=[-1,0,0,0]", "it is four numbers from 0 up"),
        ("jitter=[0,0,0,0.7]", "the hue's at most 0.5"),
    ],
)
def test_pairs_and_reaches_are_in_their_ranges(change, says):
    with pytest.raises(UserError, match=says):
        RECIPES["p2-byol"].with_changes([change])
