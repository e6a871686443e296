"""What all augmentations have in common, by their effect."""

import pytest
import torch

from training.augment import colour, filters, geometry, mixing, trivial_augment

# From images and the chance to images; of what is drawn for each image there is always some.
RANDOM = {
    "flip": lambda images, p: geometry.flip(images, p),
    "rotate": lambda images, p: geometry.rotate(images, 30, p),
    "jitter": lambda images, p: colour.jitter(images, 0.4, 0.4, 0.4, p),
    "hue": lambda images, p: colour.jitter_shuffled(images, 0, 0, 0, 0.5, p),
    "jitter shuffled": lambda images, p: colour.jitter_shuffled(images, 0.4, 0.4, 0.2, 0.1, p),
    "to_grey": lambda images, p: colour.to_grey(images, p),
    "solarise": lambda images, p: colour.solarise(images, 0.5, p),
    "blur": lambda images, p: filters.blur(images, 5, p),
    "cutmix": lambda images, p: mixing.cutmix(images, torch.eye(len(images)), p)[0],
    "mixup": lambda images, p: mixing.mixup(images, torch.eye(len(images)), p)[0],
    "cutout": lambda images, p: mixing.cutout(images, p=p),
}
# Those that draw more than whether
VARIED = [
    "rotate",
    "jitter",
    "hue",
    "jitter shuffled",
    "blur",
    "cutout",
    "shift",
    "crop",
    "trivial",
]
ALWAYS = {
    **{name: lambda images, random=random: random(images, 1.0) for name, random in RANDOM.items()},
    "shift": lambda images: geometry.shift(images, 4),
    "crop": lambda images: geometry.crop(images, images.shape[-1], degrees=10)[0],
    "trivial": lambda images: trivial_augment.trivial(images),
}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def images():
    return torch.rand(64, 3, 24, 24)


def same(one, other):
    """Return for each image of a batch whether it is unchanged: bool (N,)."""
    return (one == other).flatten(1).all(1)


@pytest.mark.parametrize("name", RANDOM)
def test_at_p_1_every_image_changes_and_at_p_0_none(name, images):
    assert same(RANDOM[name](images, 0.0), images).all()
    changed = ~same(RANDOM[name](images, 1.0), images)
    # What is drawn can be less than a pixel, and a partner the image itself.
    seldom = name in ("rotate", "blur", "cutmix", "mixup")
    assert changed.float().mean() > (0.8 if seldom else 0.99)


@pytest.mark.parametrize("name", RANDOM)
def test_p_is_each_images_own_chance(name, images):
    changed = (~same(RANDOM[name](images, 0.5), images)).float().mean()
    assert 0.25 < changed < 0.75  # four standard deviations of 64 images


@pytest.mark.parametrize("name", VARIED)
def test_equal_images_of_a_batch_are_drawn_apart(name, images):
    drawn = ALWAYS[name](images[:1].expand(64, -1, -1, -1))
    assert len(drawn.flatten(1).unique(dim=0)) > 16


@pytest.mark.parametrize("name", ALWAYS)
def test_draws_are_a_function_of_the_seed(name, images):
    torch.manual_seed(7)
    one = ALWAYS[name](images)
    torch.manual_seed(7)
    assert torch.equal(ALWAYS[name](images), one)


@pytest.mark.parametrize("name", ALWAYS)
def test_values_stay_between_black_and_white_and_the_given_images_as_they_were(name, images):
    images[:8] = images[:8].round()  # black and white
    given = images.clone()
    changed = ALWAYS[name](images)
    assert changed.min() >= 0 and changed.max() <= 1
    assert torch.equal(images, given)


@pytest.mark.parametrize("name", ALWAYS)
def test_the_memory_format_makes_no_difference(name, images):
    torch.manual_seed(7)
    wanted = ALWAYS[name](images)
    torch.manual_seed(7)
    found = ALWAYS[name](images.contiguous(memory_format=torch.channels_last))
    assert torch.allclose(found, wanted, atol=1e-6)


@pytest.mark.parametrize("name", ALWAYS)
def test_a_batch_may_be_one_image(name, images):
    for _ in range(8):  # of `trivial` several operations
        assert ALWAYS[name](images[:1]).shape == (1, 3, 24, 24)


# PyTorch has no draws of partners on "meta".
@pytest.mark.parametrize("name", sorted(ALWAYS.keys() - {"cutmix", "mixup"}))
def test_no_value_is_read_back_from_the_device(name, images):
    """Tensors on "meta" have no values: to read one, which waits for a GPU, is an error there."""
    images = images.to("meta")
    changed = RANDOM[name](images, 0.5) if name in RANDOM else ALWAYS[name](images)
    assert changed.device.type == "meta" and changed.shape == images.shape
