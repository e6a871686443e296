"""Small networks, tiles and runs of P3."""

import numpy as np
import pytest
from torch import nn

from inference import landcover
from inference.networks import NETWORKS
from training.__main__ import main

SIDE = 64


class Small(nn.Module):
    """Two convolutions with the heads and the keys of DeepLabV3."""

    def __init__(self, classes, aux=False):
        super().__init__()
        self.layer1 = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.classifier = nn.Conv2d(8, classes, 1)
        self.aux_classifier = nn.Conv2d(8, classes, 1) if aux else None

    def forward(self, images):
        x = self.layer1(images)
        logits = {"out": self.classifier(x)}
        if self.aux_classifier is not None:
            logits["aux"] = self.aux_classifier(x)
        return logits


@pytest.fixture
def small(monkeypatch):
    """Put small networks in the place of the large ones: a test can afford them."""
    monkeypatch.setitem(NETWORKS, "deeplabv3_resnet50", Small)
    monkeypatch.setitem(NETWORKS, "vgg16_fcn32", lambda classes, transposed=False: Small(classes))


def tile(random, classes=landcover.COLOURS):
    """Return an image (SIDE, SIDE, 3) and its mask: patches of classes in their colours."""
    patches = random.integers(0, len(classes), (4, 4), dtype=np.uint8)
    mask = patches.repeat(SIDE // 4, 0).repeat(SIDE // 4, 1)
    noise = random.integers(0, 80, (SIDE, SIDE, 3))
    return (landcover.to_colours(mask) * 0.6 + noise).astype(np.uint8), mask


def write_tile(folder, name, image, mask):
    """Write `NAME_sat.png` and `NAME_mask.png`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}_sat.png").write_bytes(landcover.encode_png(image))
    (folder / f"{name}_mask.png").write_bytes(landcover.encode_png(landcover.to_colours(mask)))


@pytest.fixture(scope="package")
def data(tmp_path_factory):
    """Write eight tiles to train on and five to validate with, of every class; tests keep them."""
    root = tmp_path_factory.mktemp("p3") / "p3_data"
    random = np.random.default_rng(0)
    for part, count in (("train", 8), ("validation", 5)):
        for i in range(count):
            write_tile(root / part, f"{i:04d}", *tile(random))
    return root


@pytest.fixture
def train(tmp_path, monkeypatch):
    """Return a function that trains as the command does; it returns the exit status."""
    monkeypatch.chdir(tmp_path)

    def train(*words):
        return main(["fit", *map(str, words)])

    return train
