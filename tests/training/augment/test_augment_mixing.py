"""Mixing and covering, by the share of pixels and labels."""

import pytest
import torch

from training.augment import mixing

N = 32


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def colours():
    """Return images of one colour each, all different."""
    return (torch.arange(float(N)) / N).view(N, 1, 1, 1).expand(N, 3, 20, 20)


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_cutmix_weighs_labels_by_the_area_that_is_left(p, colours):
    mixed, targets = mixing.cutmix(colours, torch.eye(N), p)
    shares = (mixed[:, :1] == colours[:, 0, 0, 0].view(1, N, 1, 1)).float().mean((2, 3))
    assert torch.allclose(shares, targets, atol=1e-6)
    assert torch.allclose(targets.sum(1), torch.ones(N))


def test_each_image_has_a_cutmix_of_its_own(colours):
    _, targets = mixing.cutmix(colours, torch.eye(N))
    assert len(targets.amax(1).unique()) > N / 2


def test_cutmix_draws_areas_uniformly_and_cuts_them_at_the_images_edges():
    """As the paper's code does: a square of a uniform area about a point anywhere in the image."""
    pairs = torch.eye(2).repeat(2000, 1)  # a partner is of the other class, or of the same
    images = pairs[:, :1, None, None].expand(-1, 1, 64, 64)
    mixed, _ = mixing.cutmix(images, pairs)
    differ = (mixed != images).float().mean((1, 2, 3))
    pasted = differ[differ > 0]
    side, centre = torch.rand(1, 100_000).sqrt(), torch.rand(2, 100_000)
    ends = torch.stack([centre - side / 2, centre + side / 2]).clamp(0, 1)
    areas = (ends[1] - ends[0]).prod(0)
    fifths = areas.quantile(torch.tensor([0.2, 0.4, 0.6, 0.8]))
    found = torch.bucketize(pasted, fifths).bincount(minlength=5) / len(pasted)
    assert torch.allclose(found, torch.full((5,), 0.2), atol=0.04)  # +- .009 expected
    assert pasted.mean() == pytest.approx(0.5 - 0.2 + 1 / 48, abs=0.025)  # +- .006


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_mixup_weighs_labels_as_it_does_pixels(p, colours):
    mixed, targets = mixing.mixup(colours, torch.eye(N), p)
    blend = targets @ colours[:, 0, 0, 0]
    assert torch.allclose(mixed, blend.view(N, 1, 1, 1).expand_as(mixed), atol=1e-6)
    assert torch.allclose(targets.sum(1), torch.ones(N))
    kept = targets.diagonal()
    assert len(kept.unique()) > N / 8  # each image has a share of its own


def test_mixup_keeps_uniform_shares():
    pairs = torch.eye(2).repeat(2000, 1)  # a partner is of the other class, or of the same
    _, targets = mixing.mixup(torch.zeros(4000, 3, 1, 1), pairs)
    kept = targets[targets.amax(1) < 1].amax(1)
    assert torch.histc(kept, 5, 0.5, 1.0).min() > 320  # 400 +- 18 expected in each


def test_cutout_covers_one_square_anywhere():
    images = torch.ones(512, 3, 20, 20)
    covered = (mixing.cutout(images, share=0.5) == 0.5).all(1)  # (N, H, W)
    rows, columns = covered.any(2).sum(1), covered.any(1).sum(1)
    assert torch.equal(rows * columns, covered.sum((1, 2)))  # a rectangle without holes
    assert rows.max() == columns.max() == 10
    assert rows.min() >= 5 and columns.min() >= 5  # its centre is inside
    assert (covered.float().mean(0) > 0.03).all()  # no pixel is safe
