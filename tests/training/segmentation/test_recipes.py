"""Every recipe trains, is measured as the evaluator does it, and ends in masks."""

import csv
import json
import math

import numpy as np
import pytest
import torch

import mean_iou_evaluate
from inference import UserError, landcover, predict, runner
from inference.networks import build
from tests.training.segmentation.conftest import SIDE, tile, write_tile
from training.engine.ema import EMA
from training.engine.run_folder import Run
from training.engine.selection import BestOnVal
from training.problems import PROBLEMS
from training.segmentation.losses import CrossEntropy
from training.segmentation.module import Segmentation
from training.segmentation.recipes import RECIPES

SMALL = ["epochs=1", "batch_size=3", "pretrained=none", "precision=fp32"]


def evaluate(out, data, tmp_path, monkeypatch, capsys):
    """Write the masks of validation as a grader's call does; return what the evaluator prints."""
    record = Run.load(out, PROBLEMS).recipe.record()
    monkeypatch.setattr(predict, "choose", lambda task, settings: record)
    settings = predict.Settings(weights=out / "best.pth", device="cpu", precision="fp32")
    assert predict.segment(data / "validation", tmp_path / "masks", settings) == 0
    capsys.readouterr()
    words = ["-g", str(data / "validation"), "-p", str(tmp_path / "masks")]
    assert mean_iou_evaluate.main(words) == 0
    return capsys.readouterr().out.splitlines()


def rows(out):
    with (out / "metrics.csv").open(newline="") as text:
        return list(csv.DictReader(text))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_trains_and_its_masks_score_as_it_says(
    name, small, data, train, tmp_path, monkeypatch, capsys
):
    crop = ["tilecrop.side=48"] if RECIPES[name].crop_side else []
    out = tmp_path / "run"
    assert train(name, "--data", data, "--out", out, *SMALL, *crop) == 0
    scores = json.loads((out / "result.json").read_text())["scores"]
    said = evaluate(out, data, tmp_path, monkeypatch, capsys)
    assert said[7] == f"mean_iou: {scores['val']:f}" and scores["images"] == 5
    assert len(list((tmp_path / "masks").iterdir())) == 5


def test_validation_miou_is_the_evaluators_to_the_last_digit(
    small, data, train, tmp_path, monkeypatch, capsys
):
    """Of the run's log, of its result, and of the masks that are written; and of each class.

    A fused network rounds otherwise, and might tip a pixel on which two classes are as good as
    equal: here it is left as it is.
    """
    monkeypatch.setattr(runner, "fuse", lambda network, dtype: network)
    out = tmp_path / "run"
    changes = [*SMALL, "epochs=8", "select_epoch_by=BestOnVal()", "tilecrop.side=64", "lr=0.05"]
    changes += ["layer_decay=1"]
    assert train("p3-b", "--data", data, "--out", out, *changes) == 0
    scores = json.loads((out / "result.json").read_text())["scores"]
    logged = rows(out)[scores["best_epoch"] - 1]
    assert float(logged["mIoU"]) == scores["val"] > 0.1
    said = evaluate(out, data, tmp_path, monkeypatch, capsys)
    assert said[7] == f"mean_iou: {scores['val']:f}"
    names = ("urban", "agriculture", "rangeland", "forest", "water", "barren")
    for i, name in enumerate(names):
        assert said[i] == f"class #{i} : {float(logged[f'iou_{name}']):1.5f}"


def test_a_class_that_no_tile_has_does_not_end_the_choice_of_an_epoch(
    small, train, tmp_path, capsys
):
    random = np.random.default_rng(0)
    for part in ("train", "validation"):
        for i in range(3):
            image, mask = tile(random, landcover.COLOURS[:2])
            write_tile(tmp_path / "data" / part, f"{i:04d}", image, mask)
    out = tmp_path / "run"
    changes = [*SMALL, "epochs=2", "select_epoch_by=BestOnVal()", "tilecrop.side=48", "lr=0.00001"]
    assert train("p3-b", "--data", tmp_path / "data", "--out", out, *changes) == 0
    said = capsys.readouterr().err
    assert "no Rangeland, no Forest land, no Water, no Barren land in the measured tiles" in said
    for row in rows(out):
        found = [float(value) for key, value in row.items() if key.startswith("iou_")]
        present = [value for value in found if not math.isnan(value)]
        assert float(row["mIoU"]) == pytest.approx(sum(present) / len(present))
        assert len(found) == 6


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipes_network_takes_its_arguments(name):
    recipe = RECIPES[name]
    with torch.device("meta"):
        network = build(recipe.network, recipe.classes, **recipe.arguments).eval()
        logits = network(torch.zeros(1, 3, SIDE, SIDE))
    assert logits["out"].shape == (1, 7, SIDE, SIDE)
    assert not recipe.aux_weight or logits["aux"].shape == (1, 7, SIDE, SIDE)


def test_the_reports_recipes_are_the_reports(small):
    for name, epochs, start in (("p3-a-report", 60, "imagenet"), ("p3-b-report", 15, "coco_trunk")):
        recipe = RECIPES[name]
        assert (recipe.epochs, recipe.pretrained, recipe.batch_size) == (epochs, start, 16)
        assert recipe.loss == CrossEntropy(ignore_unknown=True)
        assert recipe.select_epoch_by == BestOnVal() and recipe.augment == ()
        assert (recipe.mean, recipe.std) == ((0, 0, 0), (1, 1, 1))
        network = Segmentation(recipe.with_changes(["pretrained=none"])).network
        (group,) = recipe.optimizer.build(network, pretrained=True).param_groups
        assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.95, False, 5e-4)
        factors = [recipe.schedule.factor(i, 1, epochs, group["lr"]) for i in range(21)]
        rates = [group["lr"] * factor for factor in factors]
        assert rates == pytest.approx([5e-3] * 10 + [2.5e-3] * 10 + [1.25e-3])
        assert EMA(network, recipe.ema).network is network


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("loss=dice", "there are: CrossEntropy, Focal, CrossEntropyDice"),
        ("ignore_unknown=no", "ignore_unknown=no is no bool"),
        ("classes=6", "land cover has 7"),
        ("tilecrop.side=16", "tilecrop.side=16: it is a whole number from 32 up"),
        ("scale=[2,1]", "the smaller first"),
        ("class_weights=[1,2]", "7 are needed"),
        ("class_weights=[1,1,1,1,1,1,-1]", "none is negative"),
        ("aux_weight=0.4", 'arguments={"aux":true}'),
        ("augment=CutMix()", "there are: TileCrop, Dihedral, "),
    ],
)
def test_what_no_run_could_mean_is_refused(change, says):
    with pytest.raises(UserError) as caught:
        RECIPES["p3-lite"].with_changes([change])
    assert says in str(caught.value)


def test_the_first_the_middle_and_the_last_epoch_are_kept_for_figures():
    assert RECIPES["p3-b"].with_changes(["epochs=9"]).kept_epochs() == (1, 5, 9)
    assert RECIPES["p3-b"].with_changes(["keep_epochs=[2,3]"]).kept_epochs() == (2, 3)
