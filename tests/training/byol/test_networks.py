"""The online network, its target and what is computed of them: small cases worked by hand."""

import dataclasses
import json

import pytest
import torch
import torchvision
from training.byol.task import Byol
from training.byol.watch import knn_accuracy

from inference import UserError
from inference.networks import build
from tests.training.byol.tiny import recipe, train
from training.byol.networks import distance, spread, tau
from training.byol.recipes import RECIPES
from training.engine.pretrained import start_from
from training.engine.recipe import override, recipe_of
from training.engine.run import record_of


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


def test_many_images_are_compared_in_parts(monkeypatch):
    torch.manual_seed(0)
    labels = torch.arange(50) % 5
    features = torch.randn(50, 6) + 2 * torch.eye(6)[labels]
    whole = knn_accuracy(features, labels)
    monkeypatch.setattr("training.byol.watch.CHUNK", 7)
    assert knn_accuracy(features, labels) == whole
    assert 0.4 < whole < 1


def test_the_target_normalises_by_the_batch_it_is_given():
    torch.manual_seed(0)
    task = Byol(recipe())
    images = torch.randn(8, 3, 16, 16)
    projections, _ = task.network.train()(images)
    assert torch.allclose(task.target.train()(images), projections, atol=1e-6)
    assert torch.equal(task.target.eval()(images), task.target.train()(images))
    assert not list(task.target.buffers())


def test_a_target_by_running_statistics_has_the_online_networks(tmp_path):
    task, _ = train(tmp_path, watched=False, target_norm="running")
    online, target = task.network.state_dict(), task.target.state_dict()
    buffers = [name for name, _ in task.target.named_buffers()]
    assert buffers and all(torch.equal(target[name], online[name]) for name in buffers)
    images = torch.randn(8, 3, 16, 16)
    alone = torch.cat([task.target.train()(image[None]) for image in images])
    assert torch.allclose(task.target(images), alone, atol=1e-5)


def test_the_target_is_moved_and_not_trained(tmp_path):
    task, _ = train(tmp_path, watched=False)
    trained = {id(p) for g in task.trainer.optimizers[0].param_groups for p in g["params"]}
    assert not trained & {id(p) for p in task.target.parameters()}
    assert all(p.grad is None for p in task.target.parameters())
    online = dict(task.network.named_parameters())
    moved = {n: (p - online[n]).abs().max() for n, p in task.target.named_parameters()}
    assert all(value > 0 for name, value in moved.items() if not name.startswith("backbone.fc"))


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_result(name):
    made = RECIPES[name]
    assert recipe_of(json.loads(json.dumps(dataclasses.asdict(made)))) == made
    assert override(made, ["area=[0.2, 1.0]", "target=online"]).area == (0.2, 1.0)
    with pytest.raises(UserError, match="fine-tune its best"):
        record_of(made)


@pytest.mark.parametrize(
    "change",
    ["views=lightly", "target=none", "select=held_out", "batch_size=1", "tau=1.5", "size=4"],
)
def test_what_no_run_could_mean_is_refused(change):
    with pytest.raises(UserError):
        override(RECIPES["p2-byol"], [change, "held_out=0.1"])


def test_what_is_exported_loads_into_torchvision_and_a_classifier(tmp_path):
    torch.manual_seed(0)
    exported = Byol(override(RECIPES["p2-byol"], ["hidden=8", "projection=8"])).exported()
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
    made = override(RECIPES["p2-byol-report"], words)
    torch.manual_seed(0)
    ours = Byol(made).exported().state_dict()
    torch.manual_seed(1)
    theirs = torchvision.models.resnet50().state_dict()
    for key, value in ours.items():
        spread = value.float().std() if value.numel() > 1000 else value.float().mean()
        wanted = theirs[key].float().std() if value.numel() > 1000 else theirs[key].float().mean()
        assert spread == pytest.approx(wanted.item(), rel=0.1, abs=1e-2), key
