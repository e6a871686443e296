"""The online network, its target and what is computed of them: small cases worked by hand."""

import json

import pytest
import torch
import torchvision

from inference import UserError
from inference.networks import build
from tests.training.byol.tiny import recipe, train
from training.byol.module import Byol, tau
from training.byol.networks import distance, spread
from training.byol.recipes import RECIPES, ByolRecipe, Momentum, Online
from training.engine.knn import knn_accuracy, knn_predictions
from training.engine.pretrained import start_from


def test_the_targets_decay_rises_to_one_by_a_cosine():
    found = [tau(0.9, step, 100) for step in (0, 25, 50, 100)]
    assert found == pytest.approx([0.9, 0.914645, 0.95, 1.0], abs=1e-6)


def test_the_distance_is_of_directions_alone():
    one = torch.tensor([[1.0, 0], [2, 0], [0, 3]])
    other = torch.tensor([[5.0, 0], [0, 1], [0, -1]])
    assert distance(one, other).item() == pytest.approx((0 + 2 + 4) / 3)
    assert distance(one.bfloat16(), other.bfloat16()).dtype == torch.float32


def test_the_spread_tells_a_collapse():
    even = torch.eye(8)
    assert spread(torch.cat([even, -even])).item() == pytest.approx(1.0)
    assert spread(torch.randn(1, 8).repeat(5, 1)).item() == pytest.approx(0.0, abs=1e-6)
    assert spread(torch.tensor([[1.0, 0], [1, 0], [0, 1], [0, 1]])).item() == pytest.approx(
        0.5**0.5
    )


def test_neighbours_vote_and_no_image_votes_for_itself():
    features = torch.tensor([[1.0, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]])
    labels = torch.tensor([0, 0, 0, 1, 1, 1])
    assert knn_accuracy(features, labels, neighbours=2) == 1.0
    alone = torch.arange(6)  # of its class each is the only one
    assert knn_accuracy(features, alone, neighbours=2) == 0.0
    # The nearest outvotes two that are far.
    features = torch.tensor([[1.0, 0], [1, 0.01], [0, 1], [0.01, 1]])
    assert knn_accuracy(features, torch.tensor([0, 0, 1, 1]), neighbours=3) == 1.0


def test_labels_may_be_any_numbers():
    torch.manual_seed(0)
    labels = torch.arange(50) % 5
    features = torch.randn(50, 6) + 2 * torch.eye(6)[labels]
    names = torch.tensor([7, 10**17, 3, 15075141, 10**18])  # of no order
    assert knn_accuracy(features, names[labels]) == knn_accuracy(features, labels)
    found = knn_predictions(features, names[labels])
    assert torch.equal(found, names[knn_predictions(features, labels)])


def test_many_images_are_compared_in_parts(monkeypatch):
    torch.manual_seed(0)
    labels = torch.arange(50) % 5
    features = torch.randn(50, 6) + 2 * torch.eye(6)[labels]
    whole = knn_accuracy(features, labels)
    monkeypatch.setattr("training.engine.knn.CHUNK", 7)
    assert knn_accuracy(features, labels) == whole
    assert 0.4 < whole < 1


def test_the_target_normalises_by_the_batch_it_is_given():
    torch.manual_seed(0)
    module = Byol(recipe())
    images = torch.randn(8, 3, 16, 16)
    projections, _ = module.network.train()(images)
    assert torch.allclose(module.target.train()(images), projections, atol=1e-6)
    assert torch.equal(module.target.eval()(images), module.target.train()(images))
    assert not list(module.target.buffers())


def test_a_target_by_running_statistics_has_the_online_networks(tmp_path):
    module, _ = train(tmp_path, watched=False, target=Momentum(0.9, norm="running"))
    online, target = module.network.state_dict(), module.target.state_dict()
    buffers = [name for name, _ in module.target.named_buffers()]
    assert buffers and all(torch.equal(target[name], online[name]) for name in buffers)
    images = torch.randn(8, 3, 16, 16)
    alone = torch.cat([module.target.train()(image[None]) for image in images])
    assert torch.allclose(module.target(images), alone, atol=1e-5)


def test_the_target_is_moved_and_not_trained(tmp_path):
    module, _ = train(tmp_path, watched=False)
    optimizer = module.recipe.optimizer.build(module.network, pretrained=False)
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    assert not trained & {id(p) for p in module.target.parameters()}
    assert all(p.grad is None for p in module.target.parameters())
    online = dict(module.network.named_parameters())
    moved = {n: (p - online[n]).abs().max() for n, p in module.target.named_parameters()}
    assert all(value > 0 for name, value in moved.items() if not name.startswith("backbone.fc"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_result(name):
    made = RECIPES[name]
    assert ByolRecipe.from_plain(json.loads(json.dumps(made.to_plain()))) == made
    assert made.with_changes(["target=Online()"]).target == Online()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("views_by=Lightly()", "there are: ByolViews, ByolPytorchViews"),
        ("target=none", "there are: Momentum, Online"),
        ("tau=1.5", r"momentum\.tau=1\.5: it is a share"),
        ("norm=layer", r"momentum\.norm=layer: it is one of batch, running"),
        ("select_epoch_by=HeldOut()", r"leave select_epoch_by=LastEpoch\(\) and ema=0"),
        ("val_fraction=0.1", r"leave select_epoch_by=LastEpoch\(\) and ema=0"),
        ("ema=0.9", r"leave select_epoch_by=LastEpoch\(\) and ema=0"),
        ("batch_size=1", "batch_size=1: it is a whole number from 2 up"),
        ("size=4", "size=4: it is a whole number from 8 up"),
        ("projector=mlp", "projector=mlp: it is one of byol, simsiam"),
    ],
)
def test_what_no_run_could_mean_is_refused(change, says):
    with pytest.raises(UserError, match=says):
        RECIPES["p2-byol"].with_changes([change])


@pytest.mark.parametrize(
    "changes",
    [
        ["network=efficientnet_lite0"],
        ["network=deeplabv3_resnet50"],
        ['arguments={"head":[512]}'],
        ['arguments={"logits":1000,"head":[128]}'],
    ],
    ids=str,
)
def test_a_network_without_a_plain_head_is_refused(changes):
    made = RECIPES["p2-byol"].with_changes(["hidden=8", "projection=8", *changes])
    with (
        torch.device("meta"),
        pytest.raises(UserError, match=rf"network={made.network}: pre-train"),
    ):
        Byol(made)


def test_what_is_exported_loads_into_torchvision_and_a_classifier(tmp_path):
    torch.manual_seed(0)
    module = Byol(RECIPES["p2-byol"].with_changes(["hidden=8", "projection=8"]))
    exported = module.exported(module.network)
    state = exported.state_dict()
    with torch.device("meta"):
        theirs = torchvision.models.resnet50()
    theirs.load_state_dict(state, strict=True, assign=True)
    images = torch.randn(2, 3, 64, 64)
    assert torch.equal(theirs.train()(images), exported(images))
    torch.save(state, tmp_path / "best.pth")
    classifier = build("resnet50", 65, head=[16, 8])
    start_from(classifier, "resnet50", str(tmp_path / "best.pth"))
    assert torch.equal(classifier.layer4[2].conv3.weight, state["layer4.2.conv3.weight"])


def test_the_reports_backbone_starts_as_torchvisions():
    words = ["hidden=8", "projection=8"]
    made = RECIPES["p2-byol-report"].with_changes(words)
    torch.manual_seed(0)
    module = Byol(made)
    ours = module.exported(module.network).state_dict()
    torch.manual_seed(1)
    theirs = torchvision.models.resnet50().state_dict()
    for key, value in ours.items():
        spread = value.float().std() if value.numel() > 1000 else value.float().mean()
        wanted = theirs[key].float().std() if value.numel() > 1000 else theirs[key].float().mean()
        assert spread == pytest.approx(wanted.item(), rel=0.1, abs=1e-2), key
