"""The settings A to E: what they share, and what stays frozen."""

import numpy as np
import pytest
import torch
import torchvision

from inference import UserError
from inference.networks import build
from training.classification import p2
from training.classification.module import Classification
from training.classification.p1 import RECIPES as P1
from training.data.batches import Batches
from training.engine import devices, loop
from training.engine.ema import EMA
from training.engine.pretrained import start_from

OURS = ["p2-a", "p2-b", "p2-c", "p2-d", "p2-e"]
THEIRS = [f"{name}-report" for name in OURS]
MAY_DIFFER = {"name", "pretrained", "frozen"}
RECIPES = p2.RECIPES
BACKBONE = "layer1.0.bn1.running_mean"


@pytest.fixture
def backbone(tmp_path, shallow):
    """Return a file with weights whose statistics are not those of the batches to come."""
    state = build("resnet50", 1000).state_dict()
    for key, value in state.items():
        if key.endswith("running_mean"):
            value.normal_()
            value[::2] = -0.0
    torch.save(state, tmp_path / "backbone.pth")
    return tmp_path / "backbone.pth"


def batches():
    random = np.random.default_rng(0)
    labels = np.arange(24) % 3
    pixels = random.integers(0, 256, (24, 40, 40, 3), dtype=np.uint8)
    return Batches((pixels, labels), range(24), 8, shuffle=True)


def module_of(name, file, *changes):
    small = ["classes=3", "epochs=2", "batch_size=8", "size=32", "precision=fp32"]
    small += ["select_epoch_by=LastEpoch()", f"pretrained={file}"]
    if not name.endswith("report"):
        small += ["min_area=0.5", "cache=40"]
    torch.manual_seed(0)
    return Classification(RECIPES[name].with_changes([*small, *changes]))


def train(name, file, out, *changes):
    loop.train(module_of(name, file, *changes), batches(), None, out, log=lambda line: None)
    return torch.load(out / "best.pth", weights_only=True)


def bits(value):
    return value.numpy().tobytes()


@pytest.mark.parametrize("names", [OURS, THEIRS])
def test_the_five_settings_have_one_budget_and_one_classifier(names):
    fields = [RECIPES[name].to_plain() for name in names]
    for plain in fields:
        plain["optimizer"].pop("layer_decay")
    for other in fields[1:]:
        assert {key for key in other if other[key] != fields[0][key]} <= MAY_DIFFER
    assert [f["pretrained"] for f in fields] == ["none", "", "", "", ""]
    assert [f["frozen"] for f in fields] == [False, False, False, True, True]
    for one, other in ((1, 2), (3, 4)):
        assert RECIPES[names[one]].changes_from(RECIPES[names[other]]) == []


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
    groups = resumed["optimizer"]["param_groups"]
    assert sum(len(g["params"]) for g in groups) == sum(
        key.startswith(learnt) and "running" not in key and "tracked" not in key for key in after
    )


def test_the_classifier_of_a_frozen_backbone_learns_and_a_free_backbone_moves(backbone, tmp_path):
    given = torch.load(backbone, weights_only=True)
    frozen = train("p2-e", backbone, tmp_path / "frozen")
    start = module_of("p2-e", backbone).network.state_dict()
    for key in ("fc.0.weight", "fc.1.running_mean", "fc.4.bias"):
        assert not torch.equal(frozen[key], start[key]), key
    free = train("p2-c", backbone, tmp_path / "free", "epochs=1")
    for key in (BACKBONE, "conv1.weight", "layer4.0.conv3.weight"):
        assert not torch.equal(free[key], given[key]), key


def test_averaging_among_processes_leaves_what_is_frozen(backbone, monkeypatch):
    module = module_of("p2-e-report", backbone)
    ema = EMA(module.network, 0.9, module.is_trained)
    monkeypatch.setattr(devices.dist, "all_reduce", lambda flat: flat.mul_(2).add_(1))
    for network in (module.network, ema.network):
        before = {key: bits(value.clone()) for key, value in network.state_dict().items()}
        devices.sync_bn_buffers(module, ema, world=2)
        for key, value in network.state_dict().items():
            moves = key.startswith("classifier.") and "running" in key
            assert (bits(value) != before[key]) == moves, key


def test_freezing_is_for_networks_with_a_classifier_of_their_own():
    with pytest.raises(UserError, match="frozen is for ResNets; convnet"):
        Classification(P1["p1-a"].with_changes(["frozen=true"]))


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


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("fraction=0", "fraction=0 leaves no image"),
        ("fraction=1.5", r"fraction=1\.5: it is a share"),
        ("repeat=0", "repeat=0: it is a whole number from 1 up"),
    ],
)
def test_no_such_share_of_the_labels(change, says):
    with pytest.raises(UserError, match=says):
        RECIPES["p2-a"].with_changes([change])


def test_a_share_of_the_labels_is_the_same_for_all_settings(tmp_path, monkeypatch, draw):
    monkeypatch.chdir(tmp_path)
    for part in ("train", "val"):
        rows = ["filename,label"]
        for i in range(30):
            draw(tmp_path / "office" / part / f"{i}.png", (8, 8))
            rows.append(f"{i}.png,{i % 3}")
        (tmp_path / "office" / f"{part}.csv").write_text("\n".join(rows) + "\n")
    found = []
    for name in OURS:
        words = ["classes=3", "size=8", "cache=8", "batch_size=6", "fraction=0.2", "repeat=5"]
        training, _ = p2.batches(RECIPES[name].with_changes(words), tmp_path)
        assert len(training) == 5 and len(training.indices) == 6
        found.append(training.indices.tolist())
    assert all(indices == found[0] for indices in found)
