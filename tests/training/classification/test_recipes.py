"""Every recipe trains for two batches and ends as an answer; the report's are what it says."""

import csv
import json
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from training.classification.recipes import RECIPES
from training.classification.task import Classification, vary

from inference import UserError, predict
from inference.networks import NETWORKS
from inference.networks.resnet import ResNet
from training.classification import __main__ as command
from training.data import labels as labelled
from training.data.labels import hold_out
from training.engine import run
from training.engine.recipe import override

SMALL = {
    "convnet": {"widths": [4, 8], "depths": [1]},
    "report_cnn": {"divide": 64},
}


@pytest.fixture
def shallow(monkeypatch):
    """Puts ResNets of one block a stage in the place of the deep ones: a test can afford them."""

    def build(classes, head=None, logits=0):
        return ResNet(classes, (1, 1, 1, 1), head=head, logits=logits)

    for name in ("resnet50", "resnext101_64x4d"):
        monkeypatch.setitem(NETWORKS, name, build)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Gives two classes of coloured noise in the layouts of P1 and P2."""
    root = tmp_path_factory.mktemp("hw1_data")
    random = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 2)):
        rows = []
        for folder in (
            root / "p1_data" / f"{part}_50",
            root / "p2_data" / "office" / part,
            root / "p2_data" / "mini" / part,
        ):
            folder.mkdir(parents=True)
            for label in range(2):
                for i in range(count):
                    pixels = random.integers(0, 120, (32, 32, 3), dtype=np.uint8)
                    pixels[..., label] += 100
                    Image.fromarray(pixels).save(folder / f"{label}_{i}.png")
                    rows.append(f"{len(rows)},{label}_{i}.png,{label}")
        for name in ("office", "mini"):
            table = root / "p2_data" / name / f"{part}.csv"
            table.write_text("\n".join(["id,filename,label", *rows[: 2 * count], ""]))
    return root


def train(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["training.classification", *map(str, arguments)])
    return run.main("", RECIPES, command.prepare, Classification)


def small(recipe):
    arguments = SMALL.get(recipe.network, recipe.arguments)
    size = min(recipe.size, 64 if recipe.network == "report_cnn" else 32)
    return [
        "classes=2",
        "epochs=1",
        "batch_size=4",
        f"arguments={json.dumps(arguments)}",
        f"size={size}",
        f"cache_size={size}",
        "pretrained=none",
        "held_out=0.3",
    ]


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "p2-supervised"])
def test_a_recipe_trains_and_its_export_answers(name, data, tmp_path, monkeypatch, shallow):
    recipe = RECIPES[name]
    monkeypatch.chdir(tmp_path)
    folder = data / f"{recipe.task}_data"
    out = tmp_path / "run"
    assert train(monkeypatch, name, "--data", folder, "--out", out, *small(recipe)) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["scores"]["images"] == 4
    record = run.record_of(override(recipe, small(recipe)))
    settings = predict.Settings(weights=out / "best.pth", device="cpu", precision="fp32")
    monkeypatch.setattr(predict, "choose", lambda task, settings: record)
    images = folder / ("val_50" if recipe.task == "p1" else "office/val")
    predict.classify(images, tmp_path / "labels.csv", settings)
    with (tmp_path / "labels.csv").open() as text:
        assert len(list(csv.DictReader(text))) == len(list(images.iterdir()))


def test_a_supervised_backbone_is_what_the_settings_start_from(
    data, tmp_path, monkeypatch, shallow
):
    monkeypatch.chdir(tmp_path)
    folder = data / "p2_data"
    changes = small(RECIPES["p2-supervised"])
    assert train(monkeypatch, "p2-supervised", "--data", folder, "--out", "sl", *changes) == 0
    result = json.loads((tmp_path / "sl" / "result.json").read_text())
    assert result["trained_on"] == 8 and 0 <= result["scores"]["accuracy"] <= 1
    changes = [*small(RECIPES["p2-d"]), "pretrained=sl/best.pth"]
    assert train(monkeypatch, "p2-d", "--data", folder, "--out", "d", *changes) == 0
    one, other = (
        torch.load(tmp_path / name / "best.pth", weights_only=True) for name in ("sl", "d")
    )
    assert all(torch.equal(one[key], other[key]) for key in one if not key.startswith("fc."))


def test_the_reports_model_a_is_the_reports():
    recipe = RECIPES["p1-a-report"]
    network = Classification(recipe).network
    shapes = [m.out_channels for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
    assert shapes == [512, 1024, 512, 256, 128]
    assert (recipe.mean, recipe.std) == ((0, 0, 0), (1, 1, 1))
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay) == ("adamw", 5e-4, 0.01)


def test_variations_are_those_that_the_recipe_asks_for():
    labels = torch.arange(4).repeat(4)
    images = torch.rand(16, 3, 32, 32)
    plain = override(
        RECIPES["p1-a-report"], ["rotate=0", "flip=0", "size=32", "cache_size=32", "classes=4"]
    )
    torch.manual_seed(0)
    same, targets = vary(images, labels, plain)
    assert torch.equal(same, images) and torch.equal(targets.argmax(1), labels)
    grey, _ = vary(images, labels, override(plain, ["grey=1"]))
    assert torch.equal(grey[:, 0], grey[:, 2])
    mixed, targets = vary(images, labels, override(plain, ["mixup=1"]))
    assert not torch.equal(mixed, images) and torch.allclose(targets.sum(1), torch.ones(16))
    for field in ("rotate=30", "trivial=1", "blur=3", "cutout=0.5", "jitter=0.4", "shift=4"):
        assert not torch.equal(vary(images, labels, override(plain, [field]))[0], images), field


@pytest.mark.parametrize("change", ["size=64", "cache_size=64", "early_size=0"])
def test_sizes_that_would_not_fit_are_refused(change):
    with pytest.raises(UserError, match=r"size="):
        override(RECIPES["p1-a"], [change])


def test_early_epochs_may_be_smaller(monkeypatch):
    recipe = override(
        RECIPES["p1-a"], ["epochs=4", "early=0.5", "early_size=16", "arguments={}", "classes=3"]
    )
    task, seen = Classification(recipe), []
    task.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].shape[-1]))
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    for epoch in range(4):
        monkeypatch.setattr(Classification, "current_epoch", epoch)
        task.loss(pixels, torch.tensor([0, 1]))
    assert seen == [16, 16, 32, 32]


def test_nothing_held_out_means_all_is_trained_on():
    train_on, held = hold_out(np.repeat(np.arange(3), 5), 0.0, seed=0)
    assert train_on.tolist() == list(range(15)) and not len(held)


def test_choosing_by_val_measures_val(data):
    recipe = override(RECIPES["p1-a"], ["classes=2", "select=val", "batch_size=4"])
    train_on, measured = command.prepare(recipe, data / "p1_data")
    assert len(train_on.indices) == 12 and len(measured.indices) == 4


@pytest.mark.parametrize(
    "text, message",
    [
        ("0,a.jpg,1\n1,b.jpg,None\n", "line 3 of .*train.csv should have .* 'None'"),
        ("0,a.jpg,1\n\n1,b.jpg\n", "line 4 of .*train.csv should have"),
        ("0,a.jpg,2.0\n", "line 2 of .*'2.0'"),
        ("0,a.jpg,-1\n", "line 2 of"),
        (f"0,a.jpg,{10**20}\n", "line 2 of"),
        ('0,"a.jpg,1\n1,b.jpg,2\n', "line 2 of .* opens a quote"),
        ("0,a\0.jpg,1\n", "line 2 holds a NUL"),
    ],
)
def test_a_row_that_is_wrong_is_named_by_its_line(tmp_path, text, message):
    (tmp_path / "office").mkdir()
    (tmp_path / "office" / "train.csv").write_text("id,filename,label\n" + text)
    with pytest.raises(UserError, match=message):
        labelled.read("p2", tmp_path, "train")


def test_a_table_as_a_spreadsheet_saves_it(tmp_path):
    (tmp_path / "office").mkdir()
    text = "\ufeffid;filename;label\r\n0;a.jpg;1\r\n1;b.jpg; 2\r\n"
    (tmp_path / "office" / "train.csv").write_bytes(text.encode("utf-16-le"))
    paths, labels = labelled.read("p2", tmp_path, "train")
    assert [path.name for path in paths] == ["a.jpg", "b.jpg"] and labels.tolist() == [1, 2]


def test_an_empty_table_and_one_image_a_class_are_errors(tmp_path):
    (tmp_path / "office").mkdir()
    (tmp_path / "office" / "train.csv").write_text("id,filename,label\n")
    with pytest.raises(UserError, match=r"train.csv lists no image: is it complete"):
        labelled.read("p2", tmp_path, "train")
    with pytest.raises(UserError, match="no class has two images to hold one out: add held_out=0"):
        hold_out(np.arange(5), 0.1, seed=0)
