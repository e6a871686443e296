"""What tests of several problems share."""

import numpy as np
import pytest
from PIL import Image

from inference import landcover
from inference.networks import NETWORKS
from inference.networks.resnet import ResNet


@pytest.fixture
def shallow(monkeypatch):
    """Put ResNets of one block a stage in the place of the deep ones: a test can afford them."""

    def build(classes, head=None, logits=0):
        return ResNet(classes, (1, 1, 1, 1), head=head, logits=logits)

    for name in ("resnet50", "resnext101_64x4d"):
        monkeypatch.setitem(NETWORKS, name, build)


@pytest.fixture(scope="session")
def hw1_data(tmp_path_factory):
    """Return all problems' data: noise of four classes, and tiles of patches; tests keep it."""
    root = tmp_path_factory.mktemp("noise") / "hw1_data"
    random = np.random.default_rng(0)

    def write(file, height, width):
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)

    for part, count in (("train_50", 6), ("val_50", 2)):
        for label in range(4):
            for i in range(count):
                write(root / "p1_data" / part / f"{label}_{i}.png", 32, 32)
    office = root / "p2_data" / "office"
    for part, count in (("train", 6), ("val", 2)):
        names = [(f"{label}_{i}.png", label) for label in range(4) for i in range(count)]
        for name, _ in names:
            write(office / part / name, 48, 40)
        write_table(office / f"{part}.csv", names)
    mini = root / "p2_data" / "mini"
    names = [(f"{label}{i}.png", label) for label in range(4) for i in range(6)]
    for name, _ in names:
        write(mini / "train" / name, 40, 40)
    write_table(mini / "train.csv", names)
    for part, count in (("train", 6), ("validation", 2)):
        for i in range(count):
            write(root / "p3_data" / part / f"{i:04}_sat.png", 64, 64)
            patches = random.integers(0, 7, (8, 8)).repeat(8, 0).repeat(8, 1)
            mask = landcover.encode_png(landcover.to_colours(patches.astype(np.uint8)))
            (root / "p3_data" / part / f"{i:04}_mask.png").write_bytes(mask)
    return root


def write_table(file, names):
    """Write a csv of (filename, label)."""
    rows = [f"{i},{name},{label}" for i, (name, label) in enumerate(names)]
    file.write_text("\n".join(["id,filename,label", *rows]) + "\n")
