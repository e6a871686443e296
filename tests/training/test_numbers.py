"""The losses of two short epochs of each recipe, in fp64: what a change of the code must not move.

Not in fp32: every kind of processor adds up in an order of its own, and BN over batches of eight
enlarges a rounding with each step, up to .002 of the loss.
"""

import csv

import pytest
import torch

from inference.networks import NETWORKS, build
from tests.training.segmentation.conftest import Small
from training.engine.loop import train
from training.problems import PROBLEMS, RECIPES

TOLERANCE = 1e-8  # relative; processors and their instruction sets differ by 1e-12
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
    "p1-a-lite": ['arguments={"widths":[8,8,16,16]}', "small_size=16"],
    "p1-b-lite": [
        "pretrained=none",
        "frozen_stages=0",
        "size=32",
        "small_size=24",
        "small_until=0.6",
    ],
    "p3-b-lite": ["pretrained=none", "tilecrop.side=64"],
}
LOSSES = {
    "p1-a": (1.3912596990527566, 1.39298091771795),
    "p1-a-report": (1.590237123466796, 1.4576845134070204),
    "p1-b": (1.4119277946052418, 1.7298374161084114),
    "p1-b-report": (1.5467364516330102, 1.401347969740629),
    "p2-a": (1.4447789136812303, 1.5511011995400248),
    "p2-c": (1.4159204981046454, 1.4532277685503796),
    "p2-e": (1.4042555824588419, 1.4716363466427707),
    "p2-a-report": (1.5380947479680789, 1.456114089237344),
    "p2-e-report": (1.4707314826415345, 1.3784256924880622),
    "p2-supervised": (1.3288265585327599, 1.3594606129357167),
    "p2-byol": (3.942939922033995, 3.613776756636001),
    "p2-byol-report": (4.176947971224372, 3.9408346581267106),
    "p3-a": (1.4283421472758782, 1.4276497537941477),
    "p3-a-report": (2.1151853326146344, 2.1069644952664777),
    "p3-b": (3.9334481361743787, 3.9369605661729326),
    "p3-b-report": (2.1151853326146344, 2.1069644952664777),
    "p3-lite": (1.9500438565461562, 1.93600198235896),
    "p1-a-lite": (1.3944328802078612, 1.3954947630530523),
    "p1-b-lite": (1.5455087352055121, 1.3423883630642532),
    "p3-b-lite": (2.8133306411019854, 2.8155231765698012),
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


@pytest.fixture
def doubles(monkeypatch):
    """Compute in fp64 whatever would be computed in fp32."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("name", LOSSES)
def test_two_epochs_have_the_losses_that_they_had(
    name, hw1_data, shallow, doubles, tmp_path, monkeypatch
):
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
    module = problem.module(recipe)
    train(module, batches, measured, tmp_path / "run", log=lambda line: None)
    with (tmp_path / "run" / "metrics.csv").open() as text:
        found = [float(row["loss"]) for row in csv.DictReader(text)]
    assert found == pytest.approx(LOSSES[name], rel=TOLERANCE)
