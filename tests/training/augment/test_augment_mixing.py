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
