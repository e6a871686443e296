"""The segmentation task: its loss moves the network, its score is the evaluator's."""

import math

import numpy as np
import pytest
import torch
from training.segmentation.task import Segmentation, vary

from inference import landcover
from inference.networks import NETWORKS
from mean_iou_evaluate import mean_iou_score
from training.engine.recipe import override
from training.segmentation import iou
from training.segmentation.recipes import RECIPES


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(0)
    return Segmentation(override(RECIPES["p3-lite"], ["crop=64", "precision=fp32"]))


def tiles(count, side=96):
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    masks = torch.from_numpy(random.integers(0, 7, (count, side, side), dtype=np.uint8))
    return images, masks


def test_the_score_is_the_evaluators_to_the_last_digit(task, capsys):
    images, masks = tiles(4)
    masks[0, :8] = landcover.NO_CLASS
    task.average.eval()
    with torch.no_grad():
        task.measure(images[:3], masks[:3])
        task.measure(images[3:], masks[3:])
        predicted = task.average(task.normalise(task.unit(images)))["out"].argmax(1)
    wanted = mean_iou_score(predicted.numpy().astype(np.uint8), masks.numpy())
    assert task.score() == wanted
    assert not task.confusion.any()  # the next epoch's begins anew
    said = capsys.readouterr().out.splitlines()
    assert [f"class #{i} : {value:1.5f}" for i, value in enumerate(task.ious)] == said[:6]


def test_a_class_that_is_on_neither_side_is_left_out_of_the_mean():
    masks = torch.tensor([0, 0, 1, 2, 6, 255], dtype=torch.uint8)
    predicted = torch.tensor([0, 1, 1, 6, 0, 2])
    values = iou.ious(iou.count(masks, predicted).tolist())
    assert values[:3] == [1 / 3, 1 / 2, 0] and all(map(math.isnan, values[3:]))
    assert iou.mean(values) == pytest.approx(5 / 18)
    assert iou.mean([math.nan] * 6) == 0


def test_an_images_iou_weighs_classes_by_their_pixels():
    masks = torch.tensor([0] * 6 + [1] * 2 + [6], dtype=torch.uint8)
    predicted = torch.tensor([0] * 5 + [1] * 3 + [4])
    # 5 of 6 and 2 of 3, weighted 6 and 2; water is not there, and Unknown not averaged
    weighted = iou.weighted(iou.count(masks, predicted).tolist())
    assert weighted == pytest.approx((6 * 5 / 6 + 2 * 2 / 3) / 8)
    assert math.isnan(iou.weighted(iou.count(masks[-1:], predicted[-1:]).tolist()))


def test_the_loss_reaches_every_parameter(task):
    task.train()
    task.loss(*tiles(4)).backward()
    for name, parameter in task.network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


def loss_of(task, *changes, masks):
    """Gives the loss of one batch with the recipe's fields changed and nothing left to chance."""
    recipe = override(task.recipe, ["crop=0", "turn=false", "jitter=0", *changes])
    changed = Segmentation(recipe).eval()
    changed.network.load_state_dict(task.network.state_dict())
    images, _ = tiles(len(masks), masks.shape[-1])
    return changed.loss(images, masks).item()


def test_unknown_is_learned_or_ignored_as_the_recipe_says(task):
    _, masks = tiles(2, 64)
    nowhere = torch.where(masks == landcover.UNKNOWN, landcover.NO_CLASS, masks)
    for kind in ("ce", "focal", "ce_dice"):
        given = [f"loss={kind}"]
        ignored = loss_of(task, *given, "unknown=ignore", masks=masks)
        assert ignored == loss_of(task, *given, masks=nowhere)
        assert ignored != loss_of(task, *given, masks=masks)


def test_weights_of_classes_are_the_recipes(task):
    _, masks = tiles(2, 64)
    only = torch.where(masks == 2, 2, landcover.NO_CLASS).to(torch.uint8)
    weighted = loss_of(task, "class_weights=[0,0,1.5,0,0,0,0]", masks=masks)
    assert weighted == pytest.approx(loss_of(task, masks=only), rel=1e-4)


class Answers(torch.nn.Module):
    """A network that gives the same logits whatever it sees."""

    def __init__(self, classes, aux):
        super().__init__()
        self.logits = torch.linspace(-1, 1, classes * 32 * 32).view(1, classes, 32, 32)

    def forward(self, images):
        return {"out": self.logits, "aux": -2 * self.logits}


def test_the_auxiliary_head_is_trained_with_its_weight(monkeypatch):
    monkeypatch.setitem(NETWORKS, "deeplabv3_resnet50", Answers)
    images, masks = tiles(1, 32)
    plain = ["crop=0", "turn=false", "jitter=0", "pretrained=none", "loss=ce"]
    tasks = [
        Segmentation(override(RECIPES["p3-b"], [*plain, f"auxiliary={share}"]))
        for share in (0.0, 0.4)
    ]
    alone, both = (task.loss(images, masks).item() for task in tasks)
    head = torch.nn.functional.cross_entropy(-2 * tasks[0].network.logits, masks.long()).item()
    assert both == pytest.approx(alone + 0.4 * head)


def test_whole_tiles_stay_as_they_are_where_nothing_is_to_vary():
    images, masks = tiles(3)
    images = images.permute(0, 3, 1, 2) / 255
    recipe = override(RECIPES["p3-b-report"], ["pretrained=none"])
    same, as_well = vary(images, masks, recipe)
    assert torch.equal(same, images) and torch.equal(as_well, masks)


def test_masks_move_with_their_images():
    recipe = override(RECIPES["p3-b"], ["crop=64", "jitter=0", "scale=[0.5,1.5]"])
    _, masks = tiles(8)
    masks = masks.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :96, :96]  # patches
    images = masks[:, None].float().expand(-1, 3, -1, -1) / 6
    torch.manual_seed(0)
    seen, moved = vary(images, masks, recipe)
    assert seen.shape == (8, 3, 64, 64) and moved.shape == (8, 64, 64)
    inside = (seen[:, 0] * 6 - moved).abs() < 1e-3  # all but the blended seams of patches
    assert inside.float().mean() > 0.6
    differ = [not torch.equal(moved[i], moved[j]) for i in range(8) for j in range(i)]
    assert all(differ)
