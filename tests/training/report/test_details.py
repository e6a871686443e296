"""A recipe in words: each field that matters is in them."""

import copy
import dataclasses

import pytest

from training.report.details import rows
from training.report.scores import RECIPES

# What says nothing about the network that comes out.
SILENT = {"name", "task", "keep", "every", "compile", "seed"}
# Fields that count only beside others
BESIDE = {
    "lr_min": {"schedule": "cosine_restart"},
    "warmup": {"schedule": "warm_cosine"},
    "period": {"schedule": "step"},
    "period_unit": {"schedule": "step"},
    "gamma": {"schedule": "step"},
    "momentum": {"optimizer": "sgd"},
    "nesterov": {"optimizer": "sgd"},
    "early_size": {"early": 0.5, "early_size": 24},
    "early": {"early_size": 24},
    "cache_size": {"crop": 0.3},
    "size": {"crop": 0.3},
    "focusing": {"loss": "focal"},
    "auxiliary": {"arguments": {"aux": True}},
    "held_out": {"select": "held_out"},
    "tau": {"target": "momentum"},
    "target_norm": {"target": "momentum"},
    "patience": {"select": "held_out"},
    "scale": {"crop": 256},
    "layer_decay": {"pretrained": "imagenet"},
}
OTHER = {
    "network": "report_cnn", "classes": 11, "arguments": {"depths": [1]}, "pretrained": "imagenet",
    "initialise": "torchvision", "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6),
    "optimizer": "lars", "schedule": "constant", "period_unit": "step", "select": "val",
    "precision": "bf16", "class_weights": (1.0,) * 7, "loss": "focal", "unknown": "ignore",
    "scale": (0.9, 1.1), "views": "byol_pytorch", "projector": "simsiam", "target": "online",
    "target_norm": "running", "area": (0.3, 0.9), "jitter": 0.77, "blur": 7, "frozen": True,
    "solarise": (0.3, 0.4), "held_out": 0.31, "ema": 0.77, "warmup": 0.31,
}  # fmt: skip
PAIRS = {"jitter": (0.9, 0.8, 0.7, 0.6), "blur": (0.9, 0.8)}  # of BYOL


def other(recipe, key):
    """Gives another value of a field."""
    now = getattr(recipe, key)
    if isinstance(now, bool):
        return not now
    if isinstance(now, tuple) and key in PAIRS:
        return PAIRS[key]
    if key in OTHER:
        return OTHER[key]
    return now + 8 if isinstance(now, int) else now * 0.5 + 0.29


def replaced(recipe, **fields):
    """Changes fields without a look at whether they go together."""
    recipe = copy.copy(recipe)
    for key, value in fields.items():
        object.__setattr__(recipe, key, value)
    return recipe


@pytest.mark.parametrize("name", ["p1-a", "p2-a", "p2-byol", "p3-b", "p3-lite"])
def test_changing_a_field_changes_the_words(name):
    fixed = {"ema", "tta"} if name == "p2-byol" else set()  # its own rules allow nothing else
    for key in (field.name for field in dataclasses.fields(RECIPES[name])):
        if key not in SILENT | fixed:
            recipe = replaced(RECIPES[name], **BESIDE.get(key, {}))
            assert rows(replaced(recipe, **{key: other(recipe, key)})) != rows(recipe), key


def test_the_words_of_two_recipes():
    ours, theirs = rows(RECIPES["p1-a"]), rows(RECIPES["p1-a-report"])
    assert ours["Optimiser"] == (
        "SGD, momentum 0.9 (Nesterov); weight decay 0.0005, not on norms and biases"
    )
    assert theirs["Learning rate"] == "0.0005; a cosine to 2.5e-05 and back, 10 epochs each way"
    land, photos = (rows(replaced(RECIPES[name], tta=True)) for name in ("p3-lite", "p1-a"))
    assert land["Prediction"] == "the mean over eight flips and turns"
    assert photos["Prediction"] == "the mean with the mirror image’s"
    assert theirs["Augmentation"] == "rotation by up to 30°<br>mirrored, chance 0.5"
    assert theirs["Epoch chosen"] == "the best on 5 % of train, held out"
    assert theirs["Batch, length"] == "64 images, 100 epochs, stopped after 25 without a gain"
