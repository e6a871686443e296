"""Every recipe trains, is measured as the evaluator does it, and ends in masks."""

import csv
import json
import math

import numpy as np
import pytest
import torch
from training.segmentation.task import Segmentation

import mean_iou_evaluate
from inference import UserError, landcover, predict, runner
from inference.networks import build
from tests.training.segmentation.conftest import SIDE, tile, write_tile
from training.engine import run
from training.engine.recipe import override, recipe_of
from training.segmentation.recipes import RECIPES

SMALL = ["epochs=1", "batch_size=3", "pretrained=none", "held_out=0.2", "precision=fp32"]


def evaluate(out, data, tmp_path, monkeypatch, capsys):
    """Writes the masks of validation as a grader's call does; gives what the evaluator prints."""
    recipe = recipe_of(json.loads((out / "recipe.json").read_text()))
    record = run.record_of(recipe)
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
    crop = f"crop={min(RECIPES[name].crop, 48)}"
    out = tmp_path / "run"
    assert train(name, "--data", data, "--out", out, *SMALL, crop) == 0
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
    changes = [*SMALL, "epochs=8", "select=val", "crop=64", "lr=0.05", "layer_decay=1"]
    assert train("p3-b", "--data", data, "--out", out, *changes) == 0
    scores = json.loads((out / "result.json").read_text())["scores"]
    logged = rows(out)[scores["best_epoch"]]
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
    changes = [*SMALL, "epochs=2", "select=val", "crop=48", "lr=0.00001", "loss=ce_dice"]
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
    assert not recipe.auxiliary or logits["aux"].shape == (1, 7, SIDE, SIDE)


def test_the_reports_recipes_are_the_reports(small):
    for name, epochs, start in (("p3-a-report", 60, "imagenet"), ("p3-b-report", 15, "coco_trunk")):
        recipe = RECIPES[name]
        assert (recipe.epochs, recipe.pretrained, recipe.batch_size) == (epochs, start, 16)
        assert (recipe.loss, recipe.unknown, recipe.select) == ("ce", "ignore", "val")
        assert (recipe.mean, recipe.std) == ((0, 0, 0), (1, 1, 1))
        task = Segmentation(override(recipe, ["pretrained=none"]))
        task.steps = 1
        settings = task.configure_optimizers()
        optimizer, rates = settings["optimizer"], settings["lr_scheduler"]["scheduler"]
        (group,) = optimizer.param_groups
        assert (group["momentum"], group["nesterov"], group["weight_decay"]) == (0.95, False, 5e-4)
        found = []
        for _ in range(21):
            found.append(group["lr"])
            optimizer.step()
            rates.step()
        assert found == pytest.approx([5e-3] * 10 + [2.5e-3] * 10 + [1.25e-3])
        assert task.average is task.network


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("loss=dice", "loss=dice: it is one of ce, focal, ce_dice"),
        ("unknown=no", "unknown=no: it is one of class, ignore"),
        ("classes=6", "land cover has 7"),
        ("crop=16", "from 32 up"),
        ("scale=[2,1]", "the smaller first"),
        ("class_weights=[1,2]", "7 are needed"),
        ("class_weights=[1,1,1,1,1,1,-1]", "not negative"),
        ("auxiliary=0.4", 'arguments={"aux":true}'),
    ],
)
def test_what_no_run_could_mean_is_refused(change, says):
    with pytest.raises(UserError) as caught:
        override(RECIPES["p3-lite"], [change])
    assert says in str(caught.value)


def test_the_first_the_middle_and_the_last_epoch_are_kept_for_figures():
    assert override(RECIPES["p3-b"], ["epochs=9"]).kept() == (1, 5, 9)
    assert override(RECIPES["p3-b"], ["keep=[2,3]"]).kept() == (2, 3)
