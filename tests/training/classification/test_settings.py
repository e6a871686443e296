"""The settings A to E: what they share, what stays frozen, and what a share of labels is."""

import dataclasses

import numpy as np
import pytest
import torch
import torchvision
from training.classification.recipes import RECIPES
from training.classification.task import Classification

from inference import UserError
from inference.networks import NETWORKS, build
from inference.networks.resnet import ResNet
from training.data import cache as memory
from training.data.splits import Repeated, part
from training.engine.loop import fit
from training.engine.pretrained import start_from
from training.engine.recipe import override

OURS = ["p2-a", "p2-b", "p2-c", "p2-d", "p2-e"]
THEIRS = [f"{name}-report" for name in OURS]
MAY_DIFFER = {"name", "pretrained", "frozen", "layer_decay"}
BACKBONE = "layer1.0.bn1.running_mean"


@pytest.fixture
def shallow(monkeypatch):
    def resnet(classes, head=None, logits=0):
        return ResNet(classes, (1, 1, 1, 1), head=head, logits=logits)

    monkeypatch.setitem(NETWORKS, "resnet50", resnet)


@pytest.fixture
def backbone(tmp_path, shallow):
    """Gives a file with weights whose statistics are not those of the batches to come."""
    state = build("resnet50", 1000).state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_()
            value[::2] = -0.0
    torch.save(state, tmp_path / "backbone.pth")
    return tmp_path / "backbone.pth"


def batches(shuffle=True):
    random = np.random.default_rng(0)
    labels = np.arange(24) % 3
    pixels = random.integers(0, 256, (24, 40, 40, 3), dtype=np.uint8)
    return memory.Batches((pixels, labels), range(24), 8, shuffle=shuffle)


def task_of(name, file, *changes):
    small = ["classes=3", "epochs=2", "batch_size=8", "size=32", "cache_size=40", "precision=fp32"]
    small += ["crop=0.5", "select=last", "patience=0", f"pretrained={file}"]
    torch.manual_seed(0)
    return Classification(override(RECIPES[name], [*small, *changes]))


def train(name, file, out, *changes):
    fit(task_of(name, file, *changes), batches(), None, out, say=lambda line: None)
    return torch.load(out / "best.pth", weights_only=True)


def bits(value):
    return value.numpy().tobytes()


@pytest.mark.parametrize("names", [OURS, THEIRS])
def test_the_five_settings_have_one_budget_and_one_classifier(names):
    fields = [dataclasses.asdict(RECIPES[name]) for name in names]
    for other in fields[1:]:
        assert {key for key in other if other[key] != fields[0][key]} <= MAY_DIFFER
    assert [f["pretrained"] for f in fields] == ["none", "", "", "", ""]
    assert [f["frozen"] for f in fields] == [False, False, False, True, True]
    for one, other in ((1, 2), (3, 4)):
        assert {**fields[one], "name": ""} == {**fields[other], "name": ""}


@pytest.mark.parametrize("name", ["p2-d", "p2-e-report"])
def test_no_byte_of_a_frozen_backbone_changes(name, backbone, tmp_path):
    given = torch.load(backbone, weights_only=True)
    # From the ninth step on the average moves by less than half of the way, where 0 and -0 differ.
    more = ["ema=0.9", "epochs=4"] if name == "p2-d" else []
    after = train(name, backbone, tmp_path / "run", *more)
    learnt = "classifier." if "report" in name else "fc."
    for key, value in after.items():
        if not key.startswith(learnt):
            assert bits(value) == bits(given[key]), key
    resumed = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    groups = resumed["optimizer_states"][0]["param_groups"]
    assert sum(len(g["params"]) for g in groups) == sum(
        key.startswith(learnt) and "running" not in key and "tracked" not in key for key in after
    )


def test_the_classifier_of_a_frozen_backbone_learns_and_a_free_backbone_moves(backbone, tmp_path):
    given = torch.load(backbone, weights_only=True)
    frozen = train("p2-e", backbone, tmp_path / "frozen")
    start = task_of("p2-e", backbone).network.state_dict()
    for key in ("fc.0.weight", "fc.1.running_mean", "fc.4.bias"):
        assert not torch.equal(frozen[key], start[key]), key
    free = train("p2-c", backbone, tmp_path / "free", "epochs=1")
    for key in (BACKBONE, "conv1.weight", "layer4.0.conv3.weight"):
        assert not torch.equal(free[key], given[key]), key


def test_averaging_among_processes_leaves_what_is_frozen(backbone, monkeypatch):
    recipe = override(RECIPES["p2-e-report"], ["classes=3", f"pretrained={backbone}", "ema=0.9"])
    task = Classification(recipe)
    before = {key: bits(value.clone()) for key, value in task.state_dict().items()}

    def disturb(self):
        for buffer in self.buffers():
            buffer += 1

    monkeypatch.setattr("training.engine.module.Task._agree", disturb)
    task._agree()
    for key, value in task.state_dict().items():
        moves = ".classifier." in key and ("running" in key or "tracked" in key)
        assert (bits(value) != before[key]) == moves, key


def test_freezing_is_for_networks_with_a_classifier_of_their_own():
    with pytest.raises(UserError, match="frozen is for ResNets; convnet"):
        override(RECIPES["p1-a"], ["frozen=true"])


@pytest.mark.parametrize("name", ["p2-b", "p2-e", "p2-c-report"])
def test_a_backbone_that_is_not_named_is_one_line(name):
    with pytest.raises(UserError, match=r"add pretrained=FILE") as caught:
        Classification(RECIPES[name])
    assert "\n" not in str(caught.value)


def test_the_courses_supervised_weights_are_taken(tmp_path):
    """A plain torchvision state dict with its 1000-way layer, as `pretrain_model_SL.pt` is."""
    given = torchvision.models.resnet50(weights=None).state_dict()
    torch.save(given, tmp_path / "pretrain_model_SL.pt")
    ours = build("resnet50", 65)
    head = ours.fc.weight.clone()
    start_from(ours, "resnet50", str(tmp_path / "pretrain_model_SL.pt"))
    for key, value in ours.state_dict().items():
        assert torch.equal(value, given[key]) or key.startswith("fc."), key
    assert torch.equal(ours.fc.weight, head)
    theirs = build("resnet50", 65, **RECIPES["p2-b-report"].arguments)
    start_from(theirs, "resnet50", str(tmp_path / "pretrain_model_SL.pt"))
    assert torch.equal(theirs.fc.weight, given["fc.weight"])
    shapes = [tuple(v.shape) for k, v in theirs.state_dict().items() if k.startswith("classifier")]
    assert [s for s in shapes if len(s) == 2] == [(512, 1000), (128, 512), (65, 128)]


def test_a_fraction_is_the_same_for_all_settings_and_has_every_class():
    labels = np.repeat(np.arange(4), [100, 40, 7, 1])
    few = part(labels, np.arange(148), 0.1, seed=3)
    assert np.bincount(labels[few]).tolist() == [10, 4, 1, 1]
    assert few.tolist() == part(labels, np.arange(148), 0.1, seed=3).tolist()
    assert few.tolist() != part(labels, np.arange(148), 0.1, seed=4).tolist()
    assert part(labels, np.arange(148), 1.0, seed=3).tolist() == list(range(148))
    assert set(part(labels, np.arange(148), 0.5, seed=3)) >= set(few)
    kept = part(labels, np.arange(0, 148, 2), 0.5, seed=3)
    assert all(kept % 2 == 0)


def test_an_epoch_may_go_through_few_images_several_times():
    arrays = [np.arange(100)]
    one = Repeated(arrays, range(10, 20), 8, shuffle=True, seed=0, repeat=5)
    parts = one.parts()
    assert len(one) == len(parts) == 6 and all(len(p) == 8 for p in parts)
    seen = np.concatenate(parts)
    assert np.bincount(seen, minlength=20)[10:].min() >= 4 and set(seen) == set(range(10, 20))
    assert sorted(seen[:10]) == list(range(10, 20)) and list(seen[:10]) != list(seen[10:20])
    one.epoch = 1
    assert np.concatenate(one.parts()).tolist() != seen.tolist()
    one.epoch, one.rank, one.world = 0, 1, 2
    assert [p.tolist() for p in one.parts()] == [p[1::2].tolist() for p in parts]


@pytest.mark.parametrize("change", ["fraction=0", "fraction=1.5", "repeat=0"])
def test_no_such_share_of_the_labels(change):
    with pytest.raises(UserError, match=change.split("=")[0]):
        override(RECIPES["p2-a"], [change])
