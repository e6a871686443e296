"""The losses against plain loops over pixels, and what has no part in them."""

import math

import pytest
import torch

from inference.landcover import NO_CLASS, UNKNOWN
from training.segmentation import losses

CLASSES = 7


@pytest.fixture
def batch():
    """Gives logits (2, 7, 5, 6) and masks in which class 3 is missing and some pixels have none."""
    torch.manual_seed(0)
    logits = 2 * torch.randn(2, CLASSES, 5, 6)
    masks = torch.randint(0, CLASSES, (2, 5, 6))
    masks[masks == 3] = 1
    masks[0, :2] = NO_CLASS
    return logits, masks


def pixels(logits, masks):
    """Lists (shares of all classes, true class) of the pixels that have a class."""
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


def plain_focal(found, focusing, weights):
    terms = [-weights[t] * (1 - p[t]) ** focusing * math.log(p[t]) for p, t in found]
    return sum(terms) / sum(weights[t] for _, t in found)


@pytest.mark.parametrize("focusing", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 3.0, 1.0, 2.0, 1.0, 0.0]])
def test_cross_entropy_and_focal_loss_are_the_papers(batch, focusing, weights):
    given = None if weights is None else torch.tensor(weights)
    found = losses.cross_entropy(*batch, given, focusing)
    wanted = plain_focal(pixels(*batch), focusing, weights or [1.0] * CLASSES)
    assert found.item() == pytest.approx(wanted, rel=1e-5)


def test_without_focusing_it_is_torchs(batch):
    weights = torch.tensor([1.0, 0.5, 3.0, 1.0, 2.0, 1.0, 0.1])
    wanted = torch.nn.functional.cross_entropy(*batch, weights, ignore_index=NO_CLASS)
    torch.testing.assert_close(losses.cross_entropy(*batch, weights), wanted)


def test_dice_is_over_the_batch_and_the_classes_in_it(batch):
    assert losses.dice(*batch).item() == pytest.approx(plain_dice(pixels(*batch)), rel=1e-5)
    wanted = plain_focal(pixels(*batch), 0, [1.0] * CLASSES) + plain_dice(pixels(*batch))
    assert losses.loss("ce_dice", *batch).item() == pytest.approx(wanted, rel=1e-5)


def test_a_certain_prediction_costs_nothing_and_its_opposite_all():
    masks = torch.tensor([[[0, 1], [2, 2]]])
    logits = 100 * torch.nn.functional.one_hot(masks, CLASSES).permute(0, 3, 1, 2).float()
    for name in losses.NAMES:
        assert losses.loss(name, logits, masks).item() == pytest.approx(0, abs=1e-6), name
    assert losses.dice(-logits, masks).item() == pytest.approx(1, abs=1e-6)


def test_unknown_is_not_averaged_but_counts_against_what_is_seen_there():
    masks = torch.tensor([[[0, UNKNOWN]]])
    seen = torch.full((1, CLASSES, 1, 2), -100.0)
    seen[0, 0] = 100.0  # urban everywhere
    # 2 * 1 / (2 + 1), of the one class that is averaged
    assert losses.dice(seen, masks).item() == pytest.approx(1 / 3)
    masks[masks == UNKNOWN] = NO_CLASS
    assert losses.dice(seen, masks).item() == pytest.approx(0)


@pytest.mark.parametrize("name", losses.NAMES)
def test_pixels_of_no_class_neither_cost_nor_teach(batch, name):
    logits, masks = batch
    logits.requires_grad_()
    losses.loss(name, logits, masks).backward()
    assert not logits.grad[0, :, :2].any() and logits.grad[1].abs().sum() > 0
    assert logits.grad.isfinite().all()
    nothing = losses.loss(name, logits, torch.full_like(masks, NO_CLASS))
    assert nothing.item() == 0
    logits.grad = None
    nothing.backward()
    assert not logits.grad.any()


def test_logits_beyond_all_measure_leave_the_loss_finite(batch):
    logits = (1e4 * batch[0]).requires_grad_()
    for name in losses.NAMES:
        loss = losses.loss(name, logits, batch[1], focusing=0.5)
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.isfinite() and gradient.isfinite().all(), name
