"""TrivialAugment, operation by operation."""

import math

import pytest
import torch
from torchvision.transforms.v2 import functional as reference

from training.augment import trivial_augment
from training.augment.trivial_augment import OPERATIONS


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def images():
    return torch.randint(0, 256, (14, 3, 24, 30)) / 255


def shear(x, y):
    return lambda image, s: reference.affine(
        image,
        0,
        [0, 0],
        1,
        [x * math.degrees(math.atan(0.99 * s)), y * math.degrees(math.atan(0.99 * s))],
        center=[0, 0],
    )


def translate(x, y):
    return lambda image, s: reference.affine(
        image, 0, [x * int(32 * s), y * int(32 * s)], 1, [0, 0]
    )


REFERENCES = {
    "shear x": shear(1, 0),
    "shear y": shear(0, 1),
    "translate x": translate(1, 0),
    "translate y": translate(0, 1),
    "rotate": lambda image, s: reference.rotate(image, 135 * s),
    "identity": lambda image, s: image,
    "brightness": lambda image, s: reference.adjust_brightness(image, 1 + 0.99 * s),
    "contrast": lambda image, s: reference.adjust_contrast(image, 1 + 0.99 * s),
    "saturation": lambda image, s: reference.adjust_saturation(image, 1 + 0.99 * s),
    "sharpness": lambda image, s: reference.adjust_sharpness(image, 1 + 0.99 * s),
    "posterise": lambda image, s: _eight_bits(reference.posterize, image, round(8 - 6 * abs(s))),
    "solarise": lambda image, s: reference.solarize(image, 1 - abs(s)),
    "autocontrast": lambda image, s: reference.autocontrast(image),
    "equalise": lambda image, s: _eight_bits(reference.equalize, image),
}


def _eight_bits(operation, image, *arguments):
    return operation((image * 255).round().to(torch.uint8), *arguments) / 255


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_is_torchvisions_of_the_same_strength(name, images, monkeypatch):
    strengths = torch.linspace(-0.97, 0.93, len(images))
    monkeypatch.setattr(trivial_augment, "uniform", lambda *_: strengths.view(-1, 1, 1, 1))
    monkeypatch.setattr(trivial_augment, "OPERATIONS", [name])
    changed = trivial_augment.trivial(images)
    for image, strength, ours in zip(images, strengths.tolist(), changed):
        # torchvision rounds its luma's weights to four digits
        assert torch.allclose(ours, REFERENCES[name](image, strength), atol=2e-4)


def test_every_operation_is_drawn_as_often_as_any(images, monkeypatch):
    drawn = {}

    def counted(table, name):
        operation = table[name]

        def call(given, *rest):
            drawn[name] = drawn.get(name, 0) + len(given)
            return operation(given, *rest)

        monkeypatch.setitem(table, name, call)

    for table in (trivial_augment.WARPS, trivial_augment.RECOLOURS):
        for name in table:
            counted(table, name)
    trivial_augment.trivial(torch.rand(1400, 3, 4, 4))
    assert set(drawn) == set(OPERATIONS)
    assert sum(drawn.values()) == 1400
    assert min(drawn.values()) > 60 and max(drawn.values()) < 140  # 100 +- 10 expected


def test_each_image_keeps_its_place_in_the_batch(images, monkeypatch):
    names = ["brightness", "contrast", "saturation", "identity"]
    monkeypatch.setattr(trivial_augment, "OPERATIONS", names)
    order = trivial_augment.trivial(images * 0.1 + torch.arange(14.0).view(-1, 1, 1, 1) / 20, 0.02)
    assert torch.equal(order.mean((1, 2, 3)).argsort(), torch.arange(14))


def test_a_small_reach_changes_little(monkeypatch):
    smooth = torch.linspace(0, 0.9, 64).expand(64, 3, 64, 64)
    graded = [name for name in OPERATIONS if name not in ("autocontrast", "equalise", "posterise")]
    monkeypatch.setattr(trivial_augment, "OPERATIONS", graded)
    small, large = ((trivial_augment.trivial(smooth, r) - smooth).abs().mean() for r in (0.05, 1.0))
    assert small < large / 5
