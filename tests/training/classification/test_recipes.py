"""Every recipe trains for two batches and ends as an answer; the report's are what it says."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from inference import UserError, predict
from training.__main__ import main
from training.classification import p1, p2
from training.classification.module import Classification
from training.engine.optimizers import AdamW
from training.problems import PROBLEMS

RECIPES = {**p1.RECIPES, **p2.RECIPES}
SMALL = {
    "convnet": {"widths": [4, 8], "depths": [1]},
    "report_cnn": {"divide": 64},
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Return two classes of coloured noise in the layouts of P1 and P2."""
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


def fit(*words):
    return main(["fit", *map(str, words)])


def small(recipe):
    """Return what makes a recipe small; its choice of the epoch and all else stay."""
    arguments = SMALL.get(recipe.network, recipe.arguments)
    words = [
        "classes=2",
        "epochs=1",
        "batch_size=4",
        f"arguments={json.dumps(arguments)}",
        f"size={min(recipe.size, 64 if recipe.network == 'report_cnn' else 32)}",
        "pretrained=none",
        "frozen_stages=0",
    ]
    return [*words, "cache=40"] if any(a.cache_size for a in recipe.augment) else words


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_its_export_answers(name, data, tmp_path, monkeypatch, shallow):
    recipe = RECIPES[name]
    problem = PROBLEMS[recipe.problem]
    monkeypatch.chdir(tmp_path)
    folder, out = data / problem.folder, tmp_path / "run"
    assert fit(name, "--data", folder, "--out", out, *small(recipe)) == 0
    result = json.loads((out / "result.json").read_text())
    assert result["scores"]["images"] == 4
    record = recipe.with_changes(small(recipe)).record()
    settings = predict.Settings(weights=out / "best.pth", device="cpu", precision="fp32")
    monkeypatch.setattr(predict, "choose", lambda task, settings: record)
    images = folder / ("val_50" if recipe.problem == "p1" else "office/val")
    predict.classify(images, tmp_path / "labels.csv", settings)
    with (tmp_path / "labels.csv").open() as text:
        assert len(list(csv.DictReader(text))) == len(list(images.iterdir()))


def test_a_supervised_backbone_is_what_the_settings_start_from(
    data, tmp_path, monkeypatch, shallow
):
    monkeypatch.chdir(tmp_path)
    folder = data / "p2_data"
    changes = [*small(p2.SUPERVISED["p2-supervised"]), "val_fraction=0.3"]
    assert fit("p2-supervised", "--data", folder, "--out", "sl", *changes) == 0
    result = json.loads((tmp_path / "sl" / "result.json").read_text())
    assert result["trained_on"] == 8 and "images" not in result["scores"]
    assert result["scores"]["val"] == result["scores"]["held_out"]
    changes = [*small(RECIPES["p2-d"]), "pretrained=sl/best.pth"]
    assert fit("p2-d", "--data", folder, "--out", "d", *changes) == 0
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
    assert recipe.optimizer == AdamW(5e-4, 0.01, decay_norm_and_bias=True)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("small_size=0", r"small_until=0\.5 needs small_size="),
        ("small_size=4", r"small_until=0\.5 needs small_size="),
        ("small_until=1.5", r"small_until=1\.5: it is a share"),
        ("size=0", "size=0: it is a whole number from 1 up"),
        ("size=4", r"shift\.pixels=4: from 0 to less than 4, the image's side"),
        ("augment=GaussianBlur(65)", r"gaussianblur\.kernel=65: below twice 32"),
        ("label_smoothing=2", r"crossentropy\.label_smoothing=2\.0: it is a share"),
        ("augment=TileCrop()", "there are: Flip, "),
    ],
)
def test_what_no_run_could_mean_is_refused(change, says):
    with pytest.raises(UserError, match=says):
        RECIPES["p1-a"].with_changes([change])


def test_what_comes_before_a_crop_sees_images_as_they_are_kept():
    kept = ["size=128", "small_size=64"]
    crop = "RandomResizedCrop(0.5,32)"
    for first in ("Shift(40)", "GaussianBlur(65)"):
        with pytest.raises(UserError, match="32, the image's side"):
            RECIPES["p1-a"].with_changes([*kept, f"augment={first},{crop}"])
        RECIPES["p1-a"].with_changes([*kept, f"augment={crop},{first}"])


def test_early_epochs_may_be_smaller():
    recipe = RECIPES["p1-a"].with_changes(
        ["epochs=4", "small_until=0.5", "small_size=16", "arguments={}", "classes=3"]
    )
    module, seen = Classification(recipe), []
    module.network.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].shape[-1])
    )
    pixels = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8)
    for epoch in range(4):
        module.epoch = epoch
        module.loss(pixels, torch.tensor([0, 1]))
    assert seen == [16, 16, 32, 32]


def test_choosing_by_val_measures_val(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = ["classes=2", "select_epoch_by=BestOnVal()", "batch_size=4"]
    recipe = RECIPES["p1-a"].with_changes(words)
    training, measured = p1.batches(recipe, data / "p1_data")
    assert len(training.indices) == 12 and len(measured.indices) == 4


def test_images_are_cached_at_the_size_that_a_crop_wants(data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    recipe = RECIPES["p2-a"].with_changes(["classes=2", "size=24", "cache=36", "batch_size=4"])
    training, measured = p2.batches(recipe, data / "p2_data")
    assert next(iter(training))[0].shape == (4, 36, 36, 3)
    assert next(iter(measured))[0].shape == (4, 24, 24, 3)
