"""The segmentation module: its loss moves the network, its score is the evaluator's."""

import copy
import math

import numpy as np
import pytest
import torch

from inference import UserError, landcover
from inference.networks import NETWORKS
from mean_iou_evaluate import mean_iou_score
from training.segmentation import iou
from training.segmentation.module import Segmentation
from training.segmentation.recipes import RECIPES


@pytest.fixture(scope="module")
def module():
    torch.manual_seed(0)
    return Segmentation(RECIPES["p3-lite"].with_changes(["tilecrop.side=64", "precision=fp32"]))


def tiles(count, side=96):
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.integers(0, 256, (count, side, side, 3), dtype=np.uint8))
    masks = torch.from_numpy(random.integers(0, 7, (count, side, side), dtype=np.uint8))
    return images, masks


def test_the_score_is_the_evaluators_to_the_last_digit(module, capsys):
    images, masks = tiles(4)
    masks[0, :8] = landcover.NO_CLASS
    network = copy.deepcopy(module.network).eval()
    with torch.no_grad():
        module.measure(network, images[:3], masks[:3])
        module.measure(network, images[3:], masks[3:])
        predicted = network(module.normalise(module.to_float(images)))["out"].argmax(1)
    wanted = mean_iou_score(predicted.numpy().astype(np.uint8), masks.numpy())
    scores = module.score()
    assert scores.pop("mIoU") == wanted
    names = ["urban", "agriculture", "rangeland", "forest", "water", "barren"]
    assert list(scores) == [f"iou_{name}" for name in names]
    assert not module.confusion.any()  # the next epoch's begins anew
    said = capsys.readouterr().out.splitlines()
    assert [f"class #{i} : {value:1.5f}" for i, value in enumerate(scores.values())] == said[:6]


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


def test_the_loss_reaches_every_parameter(module):
    module.train()
    module.loss(*tiles(4)).backward()
    for name, parameter in module.network.named_parameters():
        assert parameter.grad is not None and torch.isfinite(parameter.grad).all(), name


def loss_of(module, *changes, masks):
    """Return the loss of one batch with the recipe's fields changed and nothing left to chance."""
    recipe = module.recipe.with_changes(["augment=none", *changes])
    changed = Segmentation(recipe).eval()
    changed.network.load_state_dict(module.network.state_dict())
    images, _ = tiles(len(masks), masks.shape[-1])
    return changed.loss(images, masks).item()


def test_unknown_is_learned_or_ignored_as_the_recipe_says(module):
    _, masks = tiles(2, 64)
    nowhere = torch.where(masks == landcover.UNKNOWN, landcover.NO_CLASS, masks)
    for kind in ("CrossEntropy()", "Focal()", "CrossEntropyDice()"):
        given = [f"loss={kind}"]
        ignored = loss_of(module, *given, "ignore_unknown=true", masks=masks)
        assert ignored == loss_of(module, *given, masks=nowhere)
        assert ignored != loss_of(module, *given, masks=masks)


def test_weights_of_classes_are_the_recipes(module):
    _, masks = tiles(2, 64)
    only = torch.where(masks == 2, 2, landcover.NO_CLASS).to(torch.uint8)
    weighted = loss_of(module, "class_weights=[0,0,1.5,0,0,0,0]", masks=masks)
    assert weighted == pytest.approx(loss_of(module, masks=only), rel=1e-4)


class Answers(torch.nn.Module):
    """A network that returns the same logits whatever it sees."""

    def __init__(self, classes, aux):
        super().__init__()
        self.logits = torch.linspace(-1, 1, classes * 32 * 32).view(1, classes, 32, 32)

    def forward(self, images):
        return {"out": self.logits, "aux": -2 * self.logits}


def test_the_auxiliary_head_is_trained_with_its_weight(monkeypatch):
    monkeypatch.setitem(NETWORKS, "deeplabv3_resnet50", Answers)
    images, masks = tiles(1, 32)
    plain = ["augment=none", "pretrained=none", "loss=CrossEntropy()"]
    modules = [
        Segmentation(RECIPES["p3-b"].with_changes([*plain, f"aux_weight={share}"]))
        for share in (0.0, 0.4)
    ]
    alone, both = (module.loss(images, masks).item() for module in modules)
    head = torch.nn.functional.cross_entropy(-2 * modules[0].network.logits, masks.long()).item()
    assert both == pytest.approx(alone + 0.4 * head)


def test_an_auxiliary_head_without_a_weight_asks_for_no_gradient(small):
    """Several processes would wait for it, and end in an error of torch's."""
    trained = {}
    for share in ("0", "0.4"):
        words = [f"aux_weight={share}", "augment=none", "pretrained=none", "precision=fp32"]
        module = Segmentation(RECIPES["p3-b"].with_changes(words))
        module.loss(*tiles(2, 32)).backward()
        asks = {name: p for name, p in module.network.named_parameters() if p.requires_grad}
        assert all(parameter.grad is not None for parameter in asks.values())
        trained[share] = asks.keys()
    assert {name.split(".")[0] for name in trained["0.4"] - trained["0"]} == {"aux_classifier"}


@pytest.mark.parametrize("name", ["convnet", "report_cnn", "resnet50", "efficientnet_lite0"])
def test_a_classifier_is_refused(name):
    recipe = RECIPES["p3-lite"].with_changes([f"network={name}"])
    with (
        torch.device("meta"),
        pytest.raises(UserError, match=rf"network={name} classifies whole images: land cover"),
    ):
        Segmentation(recipe)


def seen_by(module, images, masks):
    """Return what the network is given, and the masks that its loss has."""
    found = []
    module.network.register_forward_pre_hook(lambda _, inputs: found.append(inputs[0]))
    object.__setattr__(module.recipe, "loss", lambda logits, masks: found.append(masks) or 0)
    module.loss(images, masks)
    return found


def test_whole_tiles_stay_as_they_are_where_nothing_is_to_vary(small):
    images, masks = tiles(3)
    module = Segmentation(RECIPES["p3-b-report"].with_changes(["pretrained=none"]))
    pixels, as_well = seen_by(module, images, masks)
    assert torch.equal(pixels, images.permute(0, 3, 1, 2) / 255)
    assert torch.equal(as_well, masks.long())


def test_masks_move_with_their_images(small):
    words = ["pretrained=none", "aux_weight=0", "augment=TileCrop(64,[0.5,1.5]),Dihedral()"]
    words += ["mean=[0,0,0]", "std=[1,1,1]"]
    module = Segmentation(RECIPES["p3-b"].with_changes(words))
    _, masks = tiles(8)
    masks = masks.repeat_interleave(8, 1).repeat_interleave(8, 2)[:, :96, :96]  # patches
    images = masks[..., None].expand(-1, -1, -1, 3) * 40
    torch.manual_seed(0)
    pixels, moved = seen_by(module, images, masks)
    assert pixels.shape == (8, 3, 64, 64) and moved.shape == (8, 64, 64)
    inside = (pixels[:, 0] * 255 / 40 - moved).abs() < 1e-3  # all but the seams of patches
    assert inside.float().mean() > 0.6
    differ = [not torch.equal(moved[i], moved[j]) for i in range(8) for j in range(i)]
    assert all(differ)
