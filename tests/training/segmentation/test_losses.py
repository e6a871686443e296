"""The losses against plain loops over pixels, and what has no part in them."""

import math

import pytest
import torch

from inference import UserError
from inference.landcover import NO_CLASS, UNKNOWN
from training.segmentation import losses
from training.segmentation.losses import CrossEntropy, CrossEntropyDice, Focal

CLASSES = 7
EVERY = [CrossEntropy(), Focal(), CrossEntropyDice()]


def name(loss):
    return type(loss).__name__


@pytest.fixture
def batch():
    """Return logits (2, 7, 5, 6) and masks without class 3, and some pixels without any."""
    torch.manual_seed(0)
    logits = 2 * torch.randn(2, CLASSES, 5, 6)
    masks = torch.randint(0, CLASSES, (2, 5, 6))
    masks[masks == 3] = 1
    masks[0, :2] = NO_CLASS
    return logits, masks


def pixels(logits, masks):
    """Return (shares of all classes, true class) of the pixels that have a class."""
    shares = logits.double().softmax(1).permute(0, 2, 3, 1).reshape(-1, CLASSES).tolist()
    every = zip(shares, masks.flatten().tolist())
    return [(p, true) for p, true in every if true != NO_CLASS]


def plain_dice(found):
    overlaps = []
    for c in range(UNKNOWN):
        true = sum(t == c for _, t in found)
        if true:
            both = sum(p[c] for p, t in found if t == c)
            overlaps.append(2 * both / (sum(p[c] for p, _ in found) + true))
    return 1 - sum(overlaps) / len(overlaps)


def plain_focal(found, gamma, weights):
    terms = [-weights[t] * (1 - p[t]) ** gamma * math.log(p[t]) for p, t in found]
    return sum(terms) / sum(weights[t] for _, t in found)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0, 1.0, 2.0, 1.0, 0.0]])
def test_cross_entropy_and_focal_loss_are_the_papers(batch, gamma, weights):
    given = None if weights is None else torch.tensor(weights)
    found = losses.cross_entropy(*batch, given, gamma)
    wanted = plain_focal(pixels(*batch), gamma, weights or [1.0] * CLASSES)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_without_gamma_it_is_torchs(batch):
    weights = torch.tensor([1.0, 0.5, 3.0, 1.0, 2.0, 1.0, 0.1])
    wanted = torch.nn.functional.cross_entropy(*batch, weights, ignore_index=NO_CLASS)
    torch.testing.assert_close(losses.cross_entropy(*batch, weights), wanted)


def test_dice_is_over_the_batch_and_the_classes_in_it(batch):
    assert losses.dice(*batch).item() == pytest.approx(plain_dice(pixels(*batch)), rel=1e-5)
    wanted = plain_focal(pixels(*batch), 0, [1.0] * CLASSES) + plain_dice(pixels(*batch))
    assert CrossEntropyDice()(*batch).item() == pytest.approx(wanted, rel=1e-5)


def test_a_certain_prediction_costs_nothing_and_its_opposite_all():
    masks = torch.tensor([[[0, 1], [2, 2]]])
    logits = 100 * torch.nn.functional.one_hot(masks, CLASSES).permute(0, 3, 1, 2).float()
    for loss in EVERY:
        assert loss(logits, masks).item() == pytest.approx(0, abs=1e-6), loss
    assert losses.dice(-logits, masks).item() == pytest.approx(1, abs=1e-6)


def test_unknown_is_not_averaged_but_counts_against_what_is_seen_there():
    masks = torch.tensor([[[0, UNKNOWN]]])
    seen = torch.full((1, CLASSES, 1, 2), -100.0)
    seen[0, 0] = 100.0  # urban everywhere
    # 2 * 1 / (2 + 1), of the one class that is averaged
    assert losses.dice(seen, masks).item() == pytest.approx(1 / 3)
    masks[masks == UNKNOWN] = NO_CLASS
    assert losses.dice(seen, masks).item() == pytest.approx(0)


@pytest.mark.parametrize("loss", EVERY, ids=name)
def test_pixels_of_no_class_neither_cost_nor_teach(batch, loss):
    logits, masks = batch
    logits.requires_grad_()
    loss(logits, masks).backward()
    assert not logits.grad[0, :, :2].any() and logits.grad[1].abs().sum() > 0
    assert logits.grad.isfinite().all()
    nothing = loss(logits, torch.full_like(masks, NO_CLASS))
    assert nothing.item() == 0
    logits.grad = None
    nothing.backward()
    assert not logits.grad.any()


def test_logits_beyond_all_measure_leave_the_loss_finite(batch):
    logits = (1e4 * batch[0]).requires_grad_()
    for loss in (*EVERY, Focal(gamma=0.5)):
        value = loss(logits, batch[1])
        (gradient,) = torch.autograd.grad(value, logits)
        assert value.isfinite() and gradient.isfinite().all(), loss


@pytest.mark.parametrize("loss", [CrossEntropy, Focal, CrossEntropyDice])
def test_unknown_is_a_class_or_does_not_count(batch, loss):
    logits, masks = batch
    nowhere = torch.where(masks == UNKNOWN, NO_CLASS, masks)
    assert loss(ignore_unknown=True)(logits, masks) == loss()(logits, nowhere)
    assert loss(ignore_unknown=True)(logits, masks) != loss()(logits, masks)


def test_a_loss_has_the_weights_and_the_gamma_that_it_is_given(batch):
    weights = (1.0, 0.5, 3.0, 1.0, 2.0, 1.0, 0.0)
    plain = pixels(*batch)
    for loss, gamma in ((CrossEntropy(weights), 0), (Focal(weights, gamma=0.5), 0.5)):
        assert loss(*batch).item() == pytest.approx(plain_focal(plain, gamma, weights), rel=1e-5)
    wanted = plain_focal(plain, 0, weights) + plain_dice(plain)  # which weighs no class
    assert CrossEntropyDice(weights)(*batch).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize(
    ("loss", "says"),
    [
        (CrossEntropy(), "cross-entropy; Unknown is a class"),
        (CrossEntropy(ignore_unknown=True), "cross-entropy; Unknown does not count"),
        (Focal(gamma=1.5), "focal loss, exponent 1.5; Unknown is a class"),
        (
            CrossEntropyDice((1.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0)),
            "cross-entropy, classes weighed 1, 0.5, 1, 1, 1, 1, 1, and Dice; Unknown is a class",
        ),
        (CrossEntropyDice(), "cross-entropy and Dice; Unknown is a class"),
        (
            Focal((1.0,) * 6 + (0.0,), gamma=1.0),
            "focal loss, exponent 1, classes weighed 1, 1, 1, 1, 1, 1, 0; Unknown is a class",
        ),
    ],
)
def test_a_loss_says_itself(loss, says):
    assert loss.describe() == says


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"class_weights": (1.0, 2.0)}, r"class_weights=\[1\.0, 2\.0\]: 7 are needed"),
        ({"class_weights": (1.0,) * 6 + (-1.0,)}, "none is negative"),
        ({"gamma": -1.0}, r"focal\.gamma=-1\.0: it is a number from 0 up"),
    ],
)
def test_a_loss_that_makes_no_sense_is_refused(fields, says):
    with pytest.raises(UserError, match=says):
        Focal(**fields)
