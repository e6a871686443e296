"""Probes of frozen backbones: their answers, and how two are compared."""

import numpy as np
import pytest
import torch
from PIL import Image

from inference.networks import NETWORKS, build
from inference.networks.resnet import ResNet
from training.__main__ import main

CLASSES, EACH = 3, 8


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with office data of plain colours, and a backbone that sees no colour."""

    def resnet(classes, head=None, logits=0):
        return ResNet(classes, (1, 1, 1, 1), head=head, logits=logits)

    monkeypatch.setitem(NETWORKS, "resnet50", resnet)
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    for part in ("train", "val"):
        folder = tmp_path / "data" / "office" / part
        folder.mkdir(parents=True)
        rows = ["id,filename,label"]
        for i in range(CLASSES * EACH):
            pixels = random.integers(0, 60, (32, 32, 3), dtype=np.uint8)
            pixels[..., i % CLASSES] += 150
            Image.fromarray(pixels).save(folder / f"{i}.png")
            rows.append(f"{i},{i}.png,{i % CLASSES}")
        (folder.parent / f"{part}.csv").write_text("\n".join([*rows, ""]))
    blind = build("resnet50", 1000).state_dict()
    blind["conv1.weight"].zero_()
    torch.save(blind, "blind.pth")
    return tmp_path


def test_a_backbone_is_judged_and_compared_with_the_first(place, capsys):
    assert main(["probe", "blind.pth", "none", "--data", "data", "--size", "32"]) == 0
    lines = capsys.readouterr().out.splitlines()
    blind, seeing = ([c.strip() for c in line.split("|")[1:-1]] for line in lines[2:4])
    assert (blind[0], seeing[0]) == ("blind.pth", "none")
    for column in (1, 3):
        assert float(blind[column]) == pytest.approx(1 / CLASSES, abs=1e-3)
        assert float(seeing[column]) > 0.9
        low, high = (float(x) for x in seeing[column + 1].split("-"))
        assert 0.5 < low < float(seeing[column]) <= high <= 1
    (compared,) = [line for line in lines if line.startswith("none against blind.pth: ")]
    assert compared.count("points (+") == 2  # both intervals are above zero


def test_what_the_user_can_mend_is_one_line(place, capsys):
    assert main(["probe", "nowhere.pth", "--data", "data"]) == 2
    assert main(["probe", "none", "--data", "nowhere"]) == 2
    table = place / "data" / "office" / "train.csv"
    table.write_text(table.read_text().replace("0.png,0", "0.png,-1"))
    assert main(["probe", "none", "--data", "data"]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3
    assert said[0].startswith("error: cannot read pretrained=nowhere.pth")
    assert said[1].startswith("error: cannot read nowhere/office/train.csv")
    assert said[2].startswith("error: line 2 of data/office/train.csv should have a filename and")


@pytest.mark.parametrize(
    ("labels", "says"),
    [
        ([0, 1, 0, 1], "only 4 images in train of data: the linear probe takes 5 or more"),
        ([1] * 6, "train of data has too few images of a second class: "),
        ([1] * 8 + [0], "train of data has too few images of a second class: "),
    ],
)
def test_too_small_a_train_is_refused_before_anything_is_read(place, capsys, labels, says):
    rows = [f"{i},{i}.png,{label}" for i, label in enumerate(labels)]
    table = place / "data" / "office" / "train.csv"
    table.write_text("\n".join(["id,filename,label", *rows, ""]))
    assert main(["probe", "nowhere.pth", "--data", "data", "--size", "32"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: {says}") and said.count("\n") == 1
