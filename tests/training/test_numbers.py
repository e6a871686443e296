"""The losses of two short epochs of each recipe, in fp32: what a change of the code must not move.

Those of the recipes that are older than this form of them were computed by the code before it, on
AMD's Zen 4 and 5. Another processor adds up in another order, and BN over batches of eight makes
more of that with every step: up to .002 of the loss on an Intel Xeon.
"""

import csv

import pytest
import torch

from inference import processor
from inference.networks import NETWORKS, build
from tests.training.segmentation.conftest import Small
from training.engine.loop import train
from training.problems import PROBLEMS, RECIPES

MEASURED_HERE = processor.vendor() == "AuthenticAMD" and processor.has_bf16()  # Zen 4 and 5
TOLERANCE = 1e-4 if MEASURED_HERE else 5e-3  # relative
OFFICE = ["size=32", "cache=40"]
BACKBONE = [*OFFICE, "pretrained=backbone.pth"]
HEADS = ["size=32", "cache_size=40", "hidden=16", "projection=8"]
SMALL = {
    "p1-a": ['arguments={"widths":[8,8,16,16]}', "small_size=16"],
    "p1-a-report": ['arguments={"divide":64}'],
    "p1-b": ["pretrained=none", "size=32"],
    "p1-b-report": ["pretrained=none", "size=32"],
    "p2-a": OFFICE,
    "p2-c": BACKBONE,
    "p2-e": [*BACKBONE, "fraction=0.5", "repeat=3"],
    "p2-a-report": ["size=32"],
    "p2-e-report": ["size=32", "pretrained=backbone.pth"],
    "p2-supervised": OFFICE,
    "p2-byol": HEADS,
    "p2-byol-report": HEADS,
    "p3-a": ["pretrained=none", "tilecrop.side=64"],
    "p3-a-report": ["pretrained=none"],
    "p3-b": ["pretrained=none", "tilecrop.side=64", "layer_decay=1"],
    "p3-b-report": ["pretrained=none"],
    "p3-lite": ["tilecrop.side=64"],
}
LOSSES = {
    "p1-a": (1.3885397513707478, 1.3887644211451213),
    "p1-a-report": (1.4104846119880676, 1.371482253074646),
    "p1-b": (1.3752137422561646, 1.4868982434272766),
    "p1-b-report": (1.5610396265983582, 1.4489374160766602),
    "p2-a": (1.4203848441441853, 1.3718582391738892),
    "p2-c": (1.4231580098470051, 1.3678244749704997),
    "p2-e": (1.378686785697937, 1.4035460352897644),
    "p2-a-report": (1.4233071406682332, 1.2978376150131226),
    "p2-e-report": (1.5175084273020427, 1.4561679760615032),
    "p2-supervised": (1.4469738006591797, 1.3630897402763367),
    "p2-byol": (3.1832567850748696, 3.335793972015381),
    "p2-byol-report": (3.8479350407918296, 3.9418468475341797),
    "p3-a": (1.4338423609733582, 1.4327727556228638),
    "p3-a-report": (1.9419381221135457, 1.939534584681193),
    "p3-b": (3.9342803955078125, 3.9336432218551636),
    "p3-b-report": (1.9419381221135457, 1.939534584681193),
    "p3-lite": (1.9443063139915466, 1.9489744305610657),
}


def small(recipe):
    """Return a recipe with a small network, on small images."""
    words = SMALL[recipe.name]
    if recipe.problem == "p3":
        words = [*words, "batch_size=2"]
    else:
        words = [*words, "batch_size=8"]
    if recipe.problem in ("p1", "p2", "mini"):
        words = [*words, "classes=4"]
    return recipe.with_changes([*words, "epochs=2", "precision=fp32"])


@pytest.mark.parametrize("name", LOSSES)
def test_two_epochs_have_the_losses_that_they_had(name, hw1_data, shallow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(NETWORKS, "deeplabv3_resnet50", Small)
    monkeypatch.setitem(NETWORKS, "vgg16_fcn32", lambda classes, transposed=False: Small(classes))
    if "pretrained=backbone.pth" in SMALL[name]:
        torch.manual_seed(7)
        torch.save(build("resnet50", 1000).state_dict(), "backbone.pth")
    recipe = small(RECIPES[name])
    problem = PROBLEMS[recipe.problem]
    batches, measured = problem.batches(recipe, hw1_data / problem.folder)
    torch.manual_seed(recipe.seed)
    train(problem.module(recipe), batches, measured, tmp_path / "run", log=lambda line: None)
    with (tmp_path / "run" / "metrics.csv").open() as text:
        found = [float(row["loss"]) for row in csv.DictReader(text)]
    assert found == pytest.approx(LOSSES[name], rel=TOLERANCE)
