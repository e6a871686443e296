"""Recipes and `key=value`."""

import dataclasses
import json

import pytest

from inference import UserError
from inference.networks import NETWORKS
from training.classification.recipes import RECIPES as CLASSIFICATION
from training.recipe import override, recipe_of
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


def test_a_run_of_another_version_is_refused():
    fields = dataclasses.asdict(RECIPES["p1-a"])
    with pytest.raises(UserError, match=r"another version .*momentum"):
        recipe_of({**fields, "momentum": 0.9})
