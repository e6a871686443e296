"""Losses of classes per pixel, some of which are rare.

ce       the mean of -log p over the pixels, p being what the true class is given
focal    the mean of -(1 - p)^focusing log p: what is certain counts little (arXiv 1708.02002)
ce_dice  ce + dice, where dice asks for each class alike, as the mIoU does, however rare it is

Pixels of no class (`landcover.NO_CLASS`) have no part in any. Of several processes each takes the
mean over its own share of the batch.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F

from inference.landcover import NO_CLASS, UNKNOWN

NAMES = ("ce", "focal", "ce_dice")
TINY = 1e-6


def loss(
    name: str,
    logits: torch.Tensor,
    masks: torch.Tensor,
    weights: torch.Tensor | None = None,
    focusing: float = 2.0,
) -> torch.Tensor:
    """Gives a loss by its name; arguments as those of `cross_entropy`, `focusing` of focal."""
    found = cross_entropy(logits, masks, weights, focusing if name == "focal" else 0.0)
    return found + dice(logits, masks) if name == "ce_dice" else found


def cross_entropy(
    logits: torch.Tensor,
    masks: torch.Tensor,
    weights: torch.Tensor | None = None,
    focusing: float = 0.0,
) -> torch.Tensor:
    """Gives the mean of -(1 - p)^focusing log p, weighted by the true class; 0 without a pixel.

    Args:
        logits: fp32 (N, C, H, W).
        masks: int64 (N, H, W), classes or `NO_CLASS`.
        weights: of the classes, (C,); their sum over the pixels divides, as in torch.
    """
    losses = F.cross_entropy(logits, masks, ignore_index=NO_CLASS, reduction="none")
    if focusing:
        # Near p = 1 the power's slope may be infinite; a pixel there has nothing to learn.
        losses = losses * (-torch.expm1(-losses)).clamp(min=TINY) ** focusing
    known = masks != NO_CLASS
    weight = known.float()
    if weights is not None:
        weight = weights[torch.where(known, masks, 0)] * weight
    return (weight * losses).sum() / weight.sum().clamp(min=TINY)


def dice(logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Gives 1 - the mean over classes of 2 sum(p t) / (sum p + sum t), sums over the whole batch.

    p is the softmax and t the truth, 0 or 1 (soft Dice, as in arXiv 1707.03237). Classes that the
    batch does not hold are left out of the mean; so is Unknown, as the mIoU does it, whose pixels
    yet count against the class that is seen there. 0 without any class.

    Args: as those of `cross_entropy`.
    """
    known = (masks != NO_CLASS)[:, None]  # (N, 1, H, W)
    shares = logits.softmax(1) * known
    classes = torch.arange(UNKNOWN, device=masks.device).view(-1, 1, 1)
    truth = masks[:, None] == classes  # (N, 6, H, W)
    averaged = shares[:, :UNKNOWN]
    both = (averaged * truth).sum((0, 2, 3))
    true = truth.sum((0, 2, 3))
    overlap = 2 * both / (averaged.sum((0, 2, 3)) + true).clamp(min=TINY)  # (6,)
    present = true > 0
    return ((1 - overlap) * present).sum() / present.sum().clamp(min=1)
