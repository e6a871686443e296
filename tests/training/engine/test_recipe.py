"""Recipes, `key=value`, and what is said of them."""

import dataclasses
import json

import pytest

from inference import UserError
from inference.networks import NETWORKS
from training.augment.augmentations import CutMix, Flip, Shift, TrivialAugment
from training.engine.optimizers import LARS, AdamW
from training.engine.recipe import identity
from training.engine.selection import LastEpoch
from training.problems import PROBLEMS, RECIPES, recipe_named


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_names_a_network_and_survives_result_json(name):
    recipe = RECIPES[name]
    assert recipe.name == name
    assert recipe.network in NETWORKS
    kind = PROBLEMS[recipe.problem].recipe_type
    assert kind.from_plain(json.loads(json.dumps(recipe.to_plain()))) == recipe


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(UserError, match=r"no recipe 'p1-z'; there are: p1-a, .*p3-lite"):
        recipe_named("p1-z")


def test_override_replaces_fields_of_every_type():
    recipe = RECIPES["p1-a"].with_changes(
        ["lr=1", "epochs=3", "precision=fp32", "mean=[0, 0.5, 1]", 'arguments={"dropout": 0.1}']
    )
    assert (recipe.optimizer.lr, recipe.epochs, recipe.precision) == (1.0, 3, "fp32")
    assert recipe.mean == (0, 0.5, 1)
    assert recipe.arguments == {"dropout": 0.1}
    assert recipe.batch_size == RECIPES["p1-a"].batch_size


def test_a_composed_value_is_reached_by_its_path_or_as_much_of_its_end_as_is_clear():
    wanted = (Shift(4), Flip(), TrivialAugment(1.0), CutMix(0.0))
    for key in ("cutmix.p", "augment.cutmix.p"):
        assert RECIPES["p1-a"].with_changes([f"{key}=0"]).augment == wanted
    changed = RECIPES["p1-a"].with_changes(["label_smoothing=0.2", "warmup=0.3"])
    assert (changed.loss.label_smoothing, changed.schedule.warmup) == (0.2, 0.3)


def test_a_whole_value_is_written_as_in_the_recipes_or_by_its_name():
    recipe = RECIPES["p1-a"].with_changes(["optimizer=AdamW(lr=0.002, weight_decay=0.1)"])
    assert recipe.optimizer == AdamW(0.002, 0.1)
    kept = RECIPES["p2-byol"].with_changes(["optimizer=lars"]).optimizer
    assert kept == LARS(lr=1e-3, weight_decay=1e-4)  # what both have stays
    recipe = RECIPES["p1-a"].with_changes(["augment=Flip(0.3),Shift(2)"])
    assert recipe.augment == (Flip(0.3), Shift(2))
    assert RECIPES["p1-a"].with_changes(["augment=none"]).augment == ()
    assert RECIPES["p1-b"].with_changes(["select_epoch_by=LastEpoch()"]).select_epoch_by == (
        LastEpoch()
    )


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("lrr=0.1", "no field 'lrr' in p1-a; fields: .*lr"),
        ("epochs=many", "epochs=many is no int"),
        ("epochs=1.5", "epochs=1.5 is no int"),
        ("tta=1", "tta=1 is no bool"),
        ("lr", "'lr' is not key=value"),
        ("problem=p3", "no field 'problem'"),
        ("p=0.5", r"'p' is several fields of p1-a; say which: augment.flip.p, augment.cutmix.p"),
        ("optimizer=adagrad", r"optimizer=adagrad: write it like optimizer=SGD\(\); .*AdamW"),
        ("optimizer=SGD(speed=1)", "no field 'speed' in SGD; fields: lr, "),
        ("optimizer=SGD(", r"write it like"),
        ("augment=Dihedral()", r"there are: Flip, Shift"),
        ("augment=Shift('a')", r"augment=Shift\('a'\): write it like"),
        ("augment=Shift(2.5)", r"augment=Shift\(2.5\): write it like"),
        (
            "optimizer=LARS(momentum=1.0)",
            r"lars\.momentum=1\.0: it is a share, from 0 to less than 1",
        ),
        ("augment=Rotate(-5)", r"rotate\.degrees=-5: it is a whole number from 0 up"),
        ("optimizer=SGD(nesterov=3)", r"optimizer=SGD\(nesterov=3\): write it like"),
        ("select_epoch_by=HeldOut(0.1,patience=1.5)", "write it like"),
        ("lr=NaN", "lr=nan: a rate is above 0"),
        ("lr=Infinity", "lr=inf: a rate is above 0"),
        ("std=[0,0,0]", r"std=\[0,0,0\]: a deviation is above 0"),
        ("mean=[0.5]", r"mean=\[0\.5\]: it is three numbers"),
        ('keep_epochs=["a"]', r"keep_epochs=\[\"a\"\]: it holds numbers; now it is \[\]"),
        (f"seed={10**23}", f"seed={10**23}: it is below 2\\^63"),
        ("optimizer=__import__('os')", "write it like"),
    ],
)
def test_a_mistake_is_one_line(pair, says):
    with pytest.raises(UserError, match=says) as caught:
        RECIPES["p1-a"].with_changes([pair])
    assert "\n" not in str(caught.value)


def test_a_value_is_the_same_however_its_number_is_written():
    one, other = (RECIPES["p1-a"].with_changes([f"augment=Rotate({n})"]) for n in ("30", "30.0"))
    assert identity(one) == identity(other)


def test_a_run_of_another_version_is_refused_if_it_cannot_be_told():
    recipe = RECIPES["p1-a"]
    fields = recipe.to_plain()
    odd = [
        {**fields, "inertia": 0.9},
        {key: value for key, value in fields.items() if key != "network"},
        {**fields, "optimizer": {"kind": "Lion"}},
        {**fields, "optimizer": "sgd"},
        {**fields, "augment": [{"kind": "Flip", "chance": 0.5}]},
    ]
    for damaged in odd:
        with pytest.raises(UserError, match="of another version"):
            type(recipe).from_plain(damaged)


@pytest.mark.parametrize(
    "damage",
    [
        {"epochs": "many"},
        {"epochs": None},
        {"lr": 3},
        {"mean": 1},
        {"augment": {}},
        {"optimizer": None},
        {"optimizer": [{"kind": "SGD"}]},
        {"select_epoch_by": {"kind": "HeldOut", "val_fraction": "a"}},
    ],
)
def test_damage_in_a_runs_recipe_is_one_line(damage):
    recipe = RECIPES["p1-a"]
    with pytest.raises(UserError) as caught:
        type(recipe).from_plain({**recipe.to_plain(), **damage})
    assert "\n" not in str(caught.value)


def test_a_run_from_before_a_field_did_what_the_default_does():
    fields = RECIPES["p1-a"].to_plain()
    del fields["schedule"], fields["save_every"]
    assert type(RECIPES["p1-a"]).from_plain(fields) == RECIPES["p1-a"]


@pytest.mark.parametrize(
    ("name", "pairs", "says"),
    [
        ("p1-a", ["epochs=0"], "epochs=0: it is a whole number from 1 up"),
        ("p1-a", ["ema=1"], "ema=1.0: it is a share"),
        ("p1-a", ["lr=0"], "lr=0.0: a rate is above 0"),
        ("p1-b", ["heldout.val_fraction=0"], "no field"),
        ("p1-b", ["val_fraction=0"], "val_fraction=0.0: it is a number from 1e-09 up"),
        ("p1-a", ["patience=3"], "no field 'patience' in p1-a"),
        ("p1-a", ["init=zeros"], "init=zeros: it is one of he, torch"),
        ("p1-a", ["seed=-1"], "seed=-1: it is a whole number from 0 up"),
        ("p1-a", ["cutmix.p=2"], "cutmix.p=2.0: it is a share, from 0 to 1"),
        ("p1-a", ["label_smoothing=-0.1"], "label_smoothing=-0.1: it is a share"),
        ("p1-a", ["shift.pixels=32"], "shift.pixels=32: from 0 to less than 32, the image's side"),
        ("p1-b-report", ["kernel=4"], "gaussianblur.kernel=4: it is odd"),
        ("p1-b", ["cache=0"], "cache=0: it is a whole number from 1 up"),
        ("p1-a", ["small_size=4"], "small_until=0.5 needs small_size="),
        ("p3-b", ["arguments={}"], r'aux_weight=0.4 needs its head: arguments=\{"aux":true\}'),
        ("p3-a", ["side=8"], "tilecrop.side=8: it is a whole number from 32 up"),
        ("p2-byol", ["ema=0.9"], "pre-training has no score that chooses"),
        ("p2-byol", ["projector=simclr"], "projector=simclr: it is one of byol, simsiam"),
        ("p2-byol", ["norm=layer"], "momentum.norm=layer: it is one of batch, running"),
    ],
)
def test_what_no_run_could_mean_is_one_line(name, pairs, says):
    with pytest.raises(UserError, match=says) as caught:
        RECIPES[name].with_changes(pairs)
    assert "\n" not in str(caught.value)


def test_the_first_and_the_middle_epoch_are_kept_unless_others_are_asked_for():
    def kept(*pairs):
        return RECIPES["p1-a"].with_changes(pairs).kept_epochs()

    assert kept("epochs=9") == (1, 5)
    assert kept("epochs=3") == (1, 2)
    assert kept("epochs=1") == (1, 1)
    assert kept("keep_epochs=[2, 5]") == (2, 5)
    assert RECIPES["p3-lite"].kept_epochs() == (1, 30, 60)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_says_itself_in_words(name):
    said = RECIPES[name].describe()
    assert {"Network", "Starts from", "Augmentation", "Loss", "Optimiser"} <= set(said)
    assert RECIPES[name].network in said["Network"]


def test_every_field_that_a_run_changed_is_said_as_the_command_line_takes_it():
    shipped = RECIPES["p1-a"]
    pairs = ["epochs=9", "lr=0.05", "cutmix.p=0.1", "pretrained=none", "seed=3"]
    changed = shipped.with_changes(pairs)
    said = changed.changes_from(shipped)
    assert said == ["epochs=9", "lr=0.05", "cutmix.p=0.1"]
    assert shipped.with_changes(said) == dataclasses.replace(changed, seed=0)


def test_a_change_of_the_second_of_two_alike_is_said_too():
    twice = RECIPES["p1-a"].with_changes(["augment=Flip(),Flip()"])
    changed = twice.with_changes(["augment=Flip(),Flip(0.3)"])
    assert changed.changes_from(twice) == ["augment=Flip(),Flip(p=0.3)"]
    assert twice.with_changes(changed.changes_from(twice)) == changed


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_differs_makes_one_recipe_of_the_other(problem):
    recipes = PROBLEMS[problem].recipes.values()
    for one in recipes:
        for other in recipes:
            made = other.with_changes(one.changes_from(other))
            assert made == dataclasses.replace(one, name=other.name), (one.name, other.name)


def test_runs_that_differ_in_what_changes_nothing_are_of_one_kind():
    recipe = RECIPES["p1-a"]
    same = recipe.with_changes(["seed=4", "save_every=7", "compile=true", "keep_epochs=[3]"])
    assert identity(recipe) == identity(same)
    assert identity(recipe) != identity(recipe.with_changes(["lr=0.2"]))
