"""Recipes and `key=value`."""

import dataclasses
import json

import pytest

from inference import UserError
from inference.networks import NETWORKS
from training.classification.recipes import RECIPES as CLASSIFICATION
from training.engine.recipe import override, recipe_of
from training.segmentation.recipes import RECIPES as SEGMENTATION

RECIPES = {**CLASSIFICATION, **SEGMENTATION}


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_a_network_and_survives_result_json(name):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert recipe.network in NETWORKS
    assert recipe_of(json.loads(json.dumps(dataclasses.asdict(recipe)))) == recipe


def test_override_replaces_fields_of_every_type():
    recipe = override(
        RECIPES["p1-a"],
        ["lr=1", "epochs=3", "precision=fp32", "mean=[0, 0.5, 1]", 'arguments={"dropout": 0.1}'],
    )
    assert (recipe.lr, recipe.epochs, recipe.precision) == (1.0, 3, "fp32")
    assert recipe.mean == (0, 0.5, 1)
    assert recipe.arguments == {"dropout": 0.1}
    assert recipe.batch_size == RECIPES["p1-a"].batch_size


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("lrr=0.1", "no field 'lrr' in p1-a; fields: .*lr"),
        ("epochs=many", "epochs=many is no int"),
        ("epochs=1.5", "epochs=1.5 is no int"),
        ("tta=1", "tta=1 is no bool"),
        ("lr", "'lr' is not key=value"),
        ("task=p3", "no field 'task'"),
    ],
)
def test_a_mistake_is_one_line(pair, says):
    with pytest.raises(UserError, match=says) as caught:
        override(RECIPES["p1-a"], [pair])
    assert "\n" not in str(caught.value)


def test_a_run_of_another_version_is_refused_if_it_cannot_be_told():
    fields = dataclasses.asdict(RECIPES["p1-a"])
    with pytest.raises(UserError, match=r"another version .*inertia"):
        recipe_of({**fields, "inertia": 0.9})
    with pytest.raises(UserError, match=r"another version .*network"):
        recipe_of({key: value for key, value in fields.items() if key != "network"})


def test_a_run_from_before_a_field_did_what_the_default_does():
    fields = dataclasses.asdict(RECIPES["p1-a"])
    del fields["schedule"], fields["patience"]
    assert recipe_of(fields) == RECIPES["p1-a"]


@pytest.mark.parametrize(
    ("pairs", "says"),
    [
        (["schedule=cosine"], "schedule=cosine: it is one of warm_cosine, step"),
        (["optimizer=adagrad"], "optimizer=adagrad: it is one of sgd"),
        (["epochs=0"], "epochs=0: it is a whole number from 1 up"),
        (["ema=1"], "ema=1.0: it is a share"),
        (["lr=0"], "lr=0.0: a rate is above 0"),
        (["held_out=0", "select=held_out"], "held_out=0 leaves nothing to choose the epoch on"),
        (["select=last", "patience=3"], "patience=3 waits .* select=last .*: add patience=0"),
        (["initialise=zeros"], "initialise=zeros: it is one of he, torch"),
        (["seed=-1"], "seed=-1: it is a whole number from 0 up"),
        (["cutmix=2"], "cutmix=2.0: it is a share, from 0 to 1"),
        (["label_smoothing=-0.1"], "label_smoothing=-0.1: it is a share"),
        (["shift=32"], "shift=32: from 0 to less than size=32, pixels"),
        (["blur=4"], "blur=4: 0, or odd and below twice size=32, pixels"),
        (["cache_size=0"], "size=32, cache_size=0: from 1 up, pixels"),
    ],
)
def test_what_no_run_could_mean_is_one_line(pairs, says):
    with pytest.raises(UserError, match=says) as caught:
        override(RECIPES["p1-a"], pairs)
    assert "\n" not in str(caught.value)


def test_the_first_and_the_middle_epoch_are_kept_unless_others_are_asked_for():
    assert override(RECIPES["p1-a"], ["epochs=9"]).kept() == (1, 5)
    assert override(RECIPES["p1-a"], ["epochs=3"]).kept() == (1, 2)
    assert override(RECIPES["p1-a"], ["epochs=1"]).kept() == (1, 1)
    assert override(RECIPES["p1-a"], ["keep=[2, 5]"]).kept() == (2, 5)
