"""Augmentations, by their effect."""

import pytest
import torch
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from training import augment


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def images():
    return torch.rand(16, 3, 24, 24)


def same(one, other):
    """Says for each image of a batch whether it is unchanged: bool (N,)."""
    return (one == other).flatten(1).all(1)


RANDOM = {
    "flip": lambda images, p: augment.flip(images, p),
    "jitter": lambda images, p: augment.jitter(images, 0.4, 0.4, 0.4, p),
    "cutmix": lambda images, p: augment.cutmix(images, torch.eye(16), p)[0],
}


@pytest.mark.parametrize("name", RANDOM)
def test_at_p_1_every_image_changes_and_at_p_0_none(name, images):
    assert same(RANDOM[name](images, 0.0), images).all()
    changed = ~same(RANDOM[name](images, 1.0), images)
    # A drawn rectangle can be smaller than a pixel, and a partner can be the image itself.
    assert changed.float().mean() > (0.7 if name == "cutmix" else 0.99)


@pytest.mark.parametrize("name", RANDOM)
def test_at_p_half_images_of_one_batch_are_drawn_apart(name, images):
    changed = ~same(RANDOM[name](images, 0.5), images)
    assert changed.any() and not changed.all()


def test_draws_are_a_function_of_the_seed(images):
    torch.manual_seed(7)
    one = augment.jitter(augment.shift(images, 4), 0.4, 0.4, 0.4)
    torch.manual_seed(7)
    assert torch.equal(one, augment.jitter(augment.shift(images, 4), 0.4, 0.4, 0.4))
    assert not torch.equal(one, augment.jitter(augment.shift(images, 4), 0.4, 0.4, 0.4))


def test_flip_mirrors(images):
    assert torch.equal(augment.flip(images, 1.0), images.flip(-1))


def test_shift_moves_each_image_by_its_own_whole_pixels():
    column = torch.arange(24.0).expand(64, 3, 24, 24)  # a pixel's value is its column
    moved = augment.shift(column, 4)
    offsets = moved[:, 0, 12, 12] - 12
    assert set(offsets.tolist()) == set(range(-4, 5))
    for image, offset in zip(moved, offsets.int().tolist()):
        inside = slice(max(0, -offset), 24 - max(0, offset))
        wanted = torch.arange(24.0)[max(0, offset) : 24 + min(0, offset)]
        assert torch.equal(image[0, 0, inside], wanted)


def test_a_whole_crop_is_the_image_and_a_small_one_is_part_of_it(images):
    whole, _ = augment.crop(images, 24, area=(1.0, 1.0), ratio=(1.0, 1.0))
    assert torch.allclose(whole, images, atol=1e-5)
    columns = torch.linspace(0, 1, 24).expand(32, 3, 24, 24)
    part, _ = augment.crop(columns, 24, area=(0.25, 0.25), ratio=(1.0, 1.0))
    spans = part[:, 0, 0, -1] - part[:, 0, 0, 0]
    assert torch.allclose(spans, torch.full((32,), 0.5 * 23 / 23), atol=0.03)
    assert len(part[:, 0, 0, 0].unique()) > 16  # each image has a place of its own


def test_crop_moves_masks_with_their_images_and_blends_no_class():
    fields = torch.randint(0, 7, (8, 4, 4), dtype=torch.uint8)
    masks = fields.repeat_interleave(16, 1).repeat_interleave(16, 2)  # (8, 64, 64)
    images = (masks[:, None].float() / 7).expand(-1, 3, -1, -1)
    moved, moved_masks = augment.crop(images, 64, (0.3, 0.9), degrees=20, masks=masks)
    assert moved_masks.dtype == torch.uint8
    assert set(moved_masks.unique().tolist()) <= set(range(7))
    agree = ((moved[:, 0] * 7 - moved_masks).abs() < 0.5).float().mean()
    assert agree > 0.9  # bilinear against nearest: they part at the fields' borders


def test_turn_gives_the_eight_symmetries_and_masks_follow():
    images = torch.arange(16.0).view(1, 1, 4, 4).expand(256, 3, 4, 4)
    turned, masks = augment.turn(images, images[:, 0].to(torch.uint8))
    assert torch.equal(turned[:, 0], masks.float())
    assert len({tuple(image[0].flatten().tolist()) for image in turned}) == 8


@pytest.mark.parametrize(
    ("strengths", "function"),
    [
        ((0.5, 0.0, 0.0), reference.adjust_brightness),
        ((0.0, 0.5, 0.0), reference.adjust_contrast),
        ((0.0, 0.0, 0.5), reference.adjust_saturation),
    ],
)
def test_jitter_is_torchvisions_for_the_same_factor(strengths, function, images, monkeypatch):
    monkeypatch.setattr(
        augment,
        "_factor",
        lambda images, strength: torch.full((len(images), 1, 1, 1), 1.3 if strength else 1.0),
    )
    ours = augment.jitter(images, *strengths)
    # torchvision rounds its luma's weights to four digits
    assert torch.allclose(ours, function(images, 1.3), atol=2e-4)


def test_grey_is_torchvisions(images):
    assert torch.allclose(augment.grey(images), v2.functional.rgb_to_grayscale(images), atol=2e-4)


def test_cutmix_weighs_labels_by_the_area_that_is_left():
    images = torch.arange(16.0).view(16, 1, 1, 1).expand(16, 3, 20, 20)  # a colour an image
    mixed, targets = augment.cutmix(images, torch.eye(16))
    for i in range(16):
        share = torch.stack([(mixed[i, 0] == j).float().mean() for j in range(16)])
        assert torch.allclose(share, targets[i], atol=1e-6)
