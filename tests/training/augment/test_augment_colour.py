"""Colours, blur and sharpness, against torchvision's."""

import itertools

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from training.augment import colour, filters


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def images():
    """Some random, one grey, black, white and one of two colours."""
    images = torch.randint(0, 256, (8, 3, 24, 30)) / 255
    images[0, :] = images[0, :1]
    images[1], images[2] = 0, 1
    images[3, 1] = images[3, 0]
    return images


def column(*values):
    """Return an image's value each, (N, 1, 1, 1)."""
    return torch.tensor(values).view(-1, 1, 1, 1)


def eight_bits(images):
    return (images * 255).round().to(torch.uint8)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (colour.scale_brightness, reference.adjust_brightness),
        (colour.scale_contrast, reference.adjust_contrast),
        (colour.scale_saturation, reference.adjust_saturation),
        (filters.sharpen, reference.adjust_sharpness),
    ],
)
def test_factors_are_torchvisions_and_each_images_own(ours, theirs, images):
    factors = [0.0, 0.3, 0.6, 0.9, 1.0, 1.2, 1.5, 1.9]
    changed = ours(images, column(*factors))
    wanted = torch.stack([theirs(image, f) for image, f in zip(images, factors)])
    # torchvision rounds its luma's weights to four digits
    assert torch.allclose(changed, wanted, atol=2e-4)


def test_hue_is_torchvisions(images):
    shifts = [-0.5, -0.3, -0.1, 0.0, 0.07, 0.2, 0.4, 0.5]
    changed = colour.shift_hue(images, column(*shifts))
    wanted = [reference.adjust_hue(image, shift) for image, shift in zip(images, shifts)]
    assert torch.allclose(changed, torch.stack(wanted), atol=1e-5)


def test_grey_is_torchvisions(images):
    wanted = reference.rgb_to_grayscale(images, num_output_channels=3)
    assert torch.allclose(colour.to_grey(images), wanted, atol=2e-4)
    assert torch.allclose(colour.grey(images), wanted[:, :1], atol=2e-4)


def test_solarise_is_torchvisions(images):
    assert torch.equal(colour.solarise(images, 0.4), reference.solarize(images, 0.4))


@pytest.mark.parametrize("bits", [2, 4, 7, 8])
def test_posterise_is_torchvisions_on_eight_bits(bits, images):
    changed = colour.posterise(images, column(*[float(bits)] * 8))
    assert torch.equal(eight_bits(changed), reference.posterize(eight_bits(images), bits))


def test_autocontrast_is_torchvisions(images):
    images[4:] = images[4:] * 0.5 + 0.2
    assert torch.allclose(colour.autocontrast(images), reference.autocontrast(images), atol=1e-6)


def test_equalise_is_torchvisions_on_eight_bits():
    images = torch.rand(6, 3, 40, 30) ** 3  # mostly dark
    images[0] = 0.3
    images[1] = images[1].round()
    wanted = reference.equalize(eight_bits(images))
    assert torch.equal(eight_bits(colour.equalise(eight_bits(images) / 255)), wanted)


def test_blur_is_torchvisions_with_each_images_own_sigma(images):
    sigmas = [0.1, 0.3, 0.5, 0.8, 1.0, 1.4, 1.7, 2.0]
    changed = filters.gaussian(images, 5, column(*sigmas))
    wanted = [reference.gaussian_blur(image, [5, 5], [s, s]) for image, s in zip(images, sigmas)]
    assert torch.allclose(changed, torch.stack(wanted), atol=1e-6)


def test_jitter_draws_factors_uniformly_within_its_strength():
    grey = torch.full((512, 3, 2, 2), 0.5)
    factors = colour.jitter(grey, 0.4, 0.0, 0.0)[:, 0, 0, 0] / 0.5
    assert factors.min() >= 0.6 and factors.max() <= 1.4
    assert torch.histc(factors, 4, 0.6, 1.4).min() > 90  # 128 +- 10 expected


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_a_strength_of_zero_changes_nothing(p, images):
    assert torch.allclose(colour.jitter(images, 0, 0, 0, p), images)
    assert torch.allclose(colour.jitter_shuffled(images, 0, 0, 0, 0, p), images)


def test_a_shuffled_jitter_takes_each_order_of_its_operations(images, monkeypatch):
    factors = iter([1.3, 0.6, 1.7, 0.1])  # of brightness, contrast, saturation; the hue's shift
    monkeypatch.setattr(
        colour, "uniform", lambda images, *_: torch.full((len(images), 1, 1, 1), next(factors))
    )
    image = images[5]
    changed = colour.jitter_shuffled(image.expand(256, -1, -1, -1), 0.4, 0.4, 0.4, 0.1)
    operations = [
        lambda x: reference.adjust_brightness(x, 1.3),
        lambda x: reference.adjust_contrast(x, 0.6),
        lambda x: reference.adjust_saturation(x, 1.7),
        lambda x: reference.adjust_hue(x, 0.1),
    ]
    wanted = []
    for order in itertools.permutations(operations):
        x = image
        for operation in order:
            x = operation(x)
        wanted.append(x)
    distance = (changed[:, None] - torch.stack(wanted)).abs().amax((2, 3, 4))  # (256, 24)
    assert distance.min(1).values.max() < 5e-3  # every image follows some order,
    assert (distance.min(0).values < 5e-3).all()  # every order is followed
