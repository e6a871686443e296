"""Flips, shifts, crops and rotations, by where pixels go."""

import math

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from training.augment import geometry


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def images():
    return torch.rand(16, 3, 24, 24)


def tiles(n):
    """Return masks (n, 64, 64) of 16 square fields each, of classes 0 and 6: a blend is between."""
    fields = 6 * torch.randint(0, 2, (n, 4, 4), dtype=torch.uint8)
    return fields.repeat_interleave(16, 1).repeat_interleave(16, 2)


def test_flip_mirrors(images):
    assert torch.equal(geometry.flip(images, 1.0), images.flip(-1))


def test_shift_moves_each_image_by_its_own_whole_pixels():
    column = torch.arange(24.0).expand(64, 3, 24, 24)  # a pixel's value is its column
    moved = geometry.shift(column, 4)
    offsets = moved[:, 0, 12, 12] - 12
    assert set(offsets.tolist()) == set(range(-4, 5))
    for image, offset in zip(moved, offsets.int().tolist()):
        inside = slice(max(0, -offset), 24 - max(0, offset))
        wanted = torch.arange(24.0)[max(0, offset) : 24 + min(0, offset)]
        assert torch.equal(image[0, 0, inside], wanted)


def test_a_whole_crop_is_the_image_and_a_small_one_is_part_of_it(images):
    whole, _ = geometry.crop(images, 24, area=(1.0, 1.0), ratio=(1.0, 1.0))
    assert torch.allclose(whole, images, atol=1e-5)
    columns = torch.linspace(0, 1, 24).expand(32, 3, 24, 24)
    part, _ = geometry.crop(columns, 24, area=(0.25, 0.25), ratio=(1.0, 1.0))
    spans = part[:, 0, 0, -1] - part[:, 0, 0, 0]
    assert torch.allclose(spans, torch.full((32,), 0.5), atol=0.03)
    assert len(part[:, 0, 0, 0].unique()) > 16  # each image has a place of its own


def test_a_part_that_is_longer_than_the_image_has_its_side_cut_to_the_images():
    columns = torch.linspace(0, 1, 24).expand(64, 3, 24, 24)
    part, _ = geometry.crop(columns, 24, area=(0.9, 0.9), ratio=(4 / 3, 4 / 3))
    assert torch.allclose(part, columns, atol=1e-5)  # the whole width, and part of the height
    rows, _ = geometry.crop(columns.mT, 24, area=(0.9, 0.9), ratio=(4 / 3, 4 / 3))
    spans = rows[:, 0, -1, 0] - rows[:, 0, 0, 0]
    assert torch.allclose(spans, torch.full((64,), (0.9 * 3 / 4) ** 0.5), atol=0.03)


def test_a_mirrored_crop_is_the_flipped_one_and_mirror_each_images_own_chance(images):
    drawn = {}
    for mirror in (0.0, 0.5, 1.0):
        torch.manual_seed(1)
        drawn[mirror], _ = geometry.crop(images, 20, degrees=10, mirror=mirror)
    assert torch.allclose(drawn[1.0], drawn[0.0].flip(-1), atol=1e-5)
    either = [(drawn[0.5] - drawn[p]).abs().amax((1, 2, 3)) < 1e-5 for p in (0.0, 1.0)]
    assert (either[0] ^ either[1]).all() and either[0].any() and either[1].any()


def test_crop_moves_masks_with_their_images_and_blends_no_class():
    masks = tiles(8)
    images = (masks[:, None].float() / 7).expand(-1, 3, -1, -1)
    moved, moved_masks = geometry.crop(images, 64, (0.3, 0.9), degrees=20, masks=masks)
    assert moved_masks.dtype == torch.uint8
    assert moved_masks.unique().tolist() == [0, 6]
    agree = ((moved[:, 0] * 7 > 3) == (moved_masks > 3)).float().mean()
    assert agree > 0.98  # bilinear against nearest: they part at the fields' corners


def test_dihedral_gives_the_eight_symmetries_and_masks_follow():
    images = torch.arange(16.0).view(1, 1, 4, 4).expand(256, 3, 4, 4)
    turned, masks = geometry.dihedral(images, images[:, 0].to(torch.uint8))
    assert torch.equal(turned[:, 0], masks.float())
    assert len({tuple(image[0].flatten().tolist()) for image in turned}) == 8


@pytest.mark.parametrize("size", [(24, 24), (20, 31)])
def test_a_rotation_is_torchvisions_of_the_same_angle(size):
    images = torch.rand(3, 3, *size)
    angles = [-30.0, 11.0, 100.0]
    matrix = geometry.rotation(torch.tensor([math.radians(a) for a in angles]))
    turned = geometry.warp(images, matrix)
    for image, angle, ours in zip(images, angles, turned):
        assert torch.allclose(ours, reference.rotate(image, angle), atol=1e-5)


def test_rotate_draws_angles_uniformly_in_their_range():
    column = (torch.arange(65.0) / 64).expand(256, 1, 65, 65)
    turned = geometry.rotate(column, 30)
    turned = turned[:, 0] * 64 - 32  # the column that a pixel shows, from the centre
    across, down = turned[:, 32, 62], turned[:, 62, 32]  # 30 pixels from the centre
    angle = torch.rad2deg(torch.atan2(down, across))
    assert angle.abs().max() <= 31  # columns are whole pixels: a degree is half of one
    histogram = torch.histc(angle, 3, -31, 31)  # 85 +- 7.5 expected in each
    assert histogram.min() > 55


def test_rotate_shows_black_outside(images):
    corner = geometry.rotate(torch.ones_like(images), 10)[:, :, 0, 0]
    assert set(corner.unique().tolist()) == {0.0, 1.0}
