"""Augmentations as recipes name them: each changes a batch, says itself and checks its ranges."""

import pytest
import torch

from inference import UserError
from training.augment import geometry
from training.augment.augmentations import (
    OF_CLASSIFIERS,
    OF_SEGMENTERS,
    ColorJitter,
    CutMix,
    Cutout,
    Dihedral,
    Flip,
    GaussianBlur,
    Grayscale,
    MixUp,
    RandomResizedCrop,
    Rotate,
    Shift,
    TileCrop,
    TrivialAugment,
    apply,
)
from training.problems import RECIPES

N, SIDE = 24, 32
# What each says of itself
SAID = {
    Flip(0.25): "mirrored, chance 0.25",
    Shift(3): "shift by up to 3 pixels",
    Rotate(12.5): "rotation by up to 12.5°",
    TrivialAugment(0.5): "TrivialAugment, strengths up to 0.5 of its own",
    ColorJitter(0.3): "brightness, contrast, saturation by 0.3",
    Grayscale(0.1): "grey, chance 0.1",
    GaussianBlur(5): "Gaussian blur, kernel 5, sigma 0.1 to 2",
    Cutout(0.25): "a square of 25% of the side covered",
    RandomResizedCrop(0.4, cache=40): (
        "random crop, its area drawn from 40% to 100%, from images kept at 40 × 40"
    ),
    RandomResizedCrop(0.4, cache=40, degrees=10.0): (
        "random crop, its area drawn from 40% to 100%, from images kept at 40 × 40, "
        "turned by up to 10° with it"
    ),
    CutMix(0.7): "CutMix, chance 0.7",
    MixUp(0.2): "mixup, chance 0.2",
    TileCrop(64, (0.67, 1.33)): "crops of 0.67 to 1.33 times their side in the tile",
    Dihedral(): "one of eight flips and quarter turns",
}
STILL = [Flip(0.0), Shift(0), Grayscale(0.0), CutMix(0.0), MixUp(0.0), ColorJitter(0.0)]
MIXTURES = (CutMix, MixUp)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def images():
    return torch.rand(N, 3, SIDE, SIDE)


@pytest.fixture
def targets():
    return torch.eye(N)


def name(augmentation):
    return str(augmentation)


def tiles():
    """Return images that show their class in each colour, and masks (N, 64, 64) of patches.

    Classes are 0 and 6 alone: a blend would be another one.
    """
    masks = 6 * torch.randint(0, 2, (N, 4, 4), dtype=torch.uint8)
    masks = masks.repeat_interleave(16, 1).repeat_interleave(16, 2)
    return (masks[:, None].float() / 7).expand(-1, 3, -1, -1), masks


def test_every_one_is_tested_here():
    assert {type(one) for one in SAID} == {*OF_CLASSIFIERS.values(), *OF_SEGMENTERS.values()}
    for recipe in RECIPES.values():
        for one in getattr(recipe, "augment", ()):
            assert type(one).__name__ in {**OF_CLASSIFIERS, **OF_SEGMENTERS}


@pytest.mark.parametrize("augmentation", SAID, ids=name)
def test_each_says_itself(augmentation):
    assert augmentation.describe() == SAID[augmentation]


@pytest.mark.parametrize(
    "augmentation", [a for a in SAID if type(a) in OF_CLASSIFIERS.values()], ids=name
)
def test_each_changes_a_classifiers_batch_at_the_size_that_is_asked_for(
    augmentation, images, targets
):
    given = images.clone()
    changed, labels = augmentation(images, targets, SIDE)
    assert changed.shape == images.shape and changed.dtype == torch.float32
    assert not torch.equal(changed, images) and torch.equal(images, given)
    assert 0 <= changed.min() and changed.max() <= 1
    assert torch.allclose(labels.sum(1), torch.ones(N))
    assert torch.equal(labels, targets) != isinstance(augmentation, MIXTURES)


@pytest.mark.parametrize("augmentation", STILL, ids=name)
def test_at_its_least_an_augmentation_changes_nothing(augmentation, images, targets):
    changed, labels = augmentation(images, targets, SIDE)
    assert torch.allclose(changed, images) and torch.equal(labels, targets)


@pytest.mark.parametrize("mixture", [CutMix(1.0), MixUp(1.0)], ids=name)
def test_mixed_labels_are_those_of_the_pixels(mixture, targets):
    colours = (torch.arange(float(N)) / N).view(N, 1, 1, 1).expand(N, 3, SIDE, SIDE)
    mixed, labels = mixture(colours, targets, SIDE)
    assert torch.allclose(mixed.mean((1, 2, 3)), labels @ colours[:, 0, 0, 0], atol=1e-5)


@pytest.mark.parametrize("size", [16, 48])
def test_a_crop_has_the_networks_size_and_the_caches_detail(images, targets, size):
    augmentation = RandomResizedCrop(0.2, cache=40)
    changed, labels = augmentation(images, targets, size)
    assert changed.shape == (N, 3, size, size) and torch.equal(labels, targets)
    assert augmentation.cache_size == 40
    assert all(one.cache_size == 0 for one in SAID if not isinstance(one, RandomResizedCrop))


@pytest.mark.parametrize(
    "augmentation", [TileCrop(64, (0.5, 1.0)), TileCrop(32, (1.0, 2.0)), Dihedral()], ids=name
)
def test_masks_move_with_their_tiles(augmentation):
    images, masks = tiles()
    moved, moved_masks = augmentation(images, masks, 0)
    side = getattr(augmentation, "side", 64)
    assert moved.shape == (N, 3, side, side) and moved_masks.shape == (N, side, side)
    assert moved_masks.dtype == torch.uint8
    assert moved_masks.unique().tolist() == [0, 6]  # no class is blended
    right = (moved[:, 0] * 7 > 3) == (moved_masks > 3)
    assert right.float().mean() > 0.97  # bilinear against nearest: they part at patches' corners
    if isinstance(augmentation, Dihedral):
        assert right.all()


@pytest.mark.parametrize(("augmentation", "least"), [(TileCrop(32), N), (Dihedral(), 6)], ids=name)
def test_equal_tiles_of_a_batch_are_drawn_apart(augmentation, least):
    masks = torch.randint(0, 7, (1, 64, 64), dtype=torch.uint8).repeat(N, 1, 1)
    images = torch.rand(1, 3, 64, 64).repeat(N, 1, 1, 1)
    for moved in augmentation(images, masks, 0):
        assert len(moved.unique(dim=0)) >= least


def test_by_default_no_part_of_a_tile_is_larger_than_can_be_shrunk_without_aliasing():
    assert TileCrop().scale == (0.67, 1.5)


@pytest.mark.parametrize(
    "augmentation", [ColorJitter(0.5), Grayscale(1.0), GaussianBlur(5)], ids=name
)
def test_what_recolours_tiles_leaves_their_masks(augmentation):
    masks = torch.randint(0, 7, (N, SIDE, SIDE), dtype=torch.uint8)
    images = torch.rand(N, 3, SIDE, SIDE)
    changed, same = augmentation(images, masks, 0)
    assert same is masks and not torch.equal(changed, images)


def test_a_tile_smaller_than_a_part_gives_no_more_than_itself(monkeypatch):
    areas = []
    crop = geometry.crop
    monkeypatch.setattr(
        geometry, "crop", lambda *given, **more: areas.append(given[2]) or crop(*given, **more)
    )
    images, masks = tiles()
    moved, _ = TileCrop(64, (2.0, 2.0))(images, masks, 0)  # twice the tile's side
    assert areas == [(1.0, 1.0)] and moved.shape == (*images.shape[:2], 64, 64)


def test_one_follows_the_other_in_their_order(images, targets):
    changed, labels = apply((Grayscale(1.0), CutMix(1.0), Flip(1.0)), images, targets, SIDE)
    assert torch.equal(changed[:, 0], changed[:, 2]) and not torch.equal(labels, targets)
    assert apply((), images, targets, SIDE) == (images, targets)
    # A square that is covered after the crop is grey; before it, it would be cut and blurred.
    covered, _ = apply((RandomResizedCrop(0.2, 40), Cutout(0.5)), images, targets, 16)
    assert ((covered == 0.5).all(1).sum((1, 2)) > 0).all()


def test_without_targets_images_alone_are_changed(images):
    changed, nothing = apply((Flip(1.0), RandomResizedCrop(0.5, 40)), images, None, 16)
    assert changed.shape == (N, 3, 16, 16) and nothing is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Flip(1.5), r"flip\.p=1\.5: it is a share, from 0 to 1"),
        (lambda: Flip(float("nan")), r"flip\.p=nan: it is a share"),
        (lambda: Rotate(-5.0), r"rotate\.degrees=-5\.0: it is a number from 0 up"),
        (lambda: TrivialAugment(-0.1), r"trivialaugment\.strength=-0\.1: it is a share"),
        (
            lambda: TrivialAugment(0.0),
            r"trivialaugment\.strength=0\.0: .*; leave TrivialAugment out",
        ),
        (lambda: ColorJitter(1.1), r"colorjitter\.strength=1\.1: it is a share"),
        (lambda: Grayscale(2.0), r"grayscale\.p=2\.0: it is a share"),
        (lambda: GaussianBlur(4), r"gaussianblur\.kernel=4: it is odd"),
        (lambda: GaussianBlur(-1), r"gaussianblur\.kernel=-1: it is odd"),
        (lambda: Cutout(1.5), r"cutout\.side=1\.5: it is a share"),
        (lambda: CutMix(-1.0), r"cutmix\.p=-1\.0: it is a share"),
        (lambda: MixUp(2.0), r"mixup\.p=2\.0: it is a share"),
        (lambda: RandomResizedCrop(1.5), r"randomresizedcrop\.min_area=1\.5: it is a share"),
        (lambda: RandomResizedCrop(cache=0), r"randomresizedcrop\.cache=0: it is a whole number"),
        (lambda: RandomResizedCrop(degrees=-1.0), r"randomresizedcrop\.degrees=-1\.0: it is"),
        (lambda: TileCrop(16), r"tilecrop\.side=16: it is a whole number from 32 up"),
        (lambda: TileCrop(64, (2.0, 1.0)), r"scale=\[2\.0, 1\.0\]: it is two numbers, the small"),
        (lambda: TileCrop(64, (1.0,)), r"scale=\[1\.0\]: it is two numbers"),
        (lambda: TileCrop(64, (0.0, 1.0)), r"scale=\[0\.0, 1\.0\]: it is two numbers"),
    ],
)
def test_what_is_out_of_its_range_is_refused(make, says):
    with pytest.raises(UserError, match=says):
        make()


@pytest.mark.parametrize(
    ("augmentation", "says"),
    [
        (Shift(SIDE), rf"shift\.pixels={SIDE}: from 0 to less than {SIDE}, the image's side"),
        (Shift(-1), r"shift\.pixels=-1: from 0"),
        (GaussianBlur(2 * SIDE + 1), rf"gaussianblur\.kernel=65: below twice {SIDE}"),
    ],
)
def test_what_reaches_beyond_the_image_is_refused(augmentation, says):
    with pytest.raises(UserError, match=says):
        augmentation.check(SIDE)


@pytest.mark.parametrize("augmentation", [Shift(SIDE - 1), GaussianBlur(2 * SIDE - 1)], ids=name)
def test_what_just_fits_works(augmentation, images):
    augmentation.check(SIDE)
    assert augmentation(images, None, SIDE)[0].shape == images.shape
