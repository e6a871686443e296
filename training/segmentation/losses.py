"""Losses of classes per pixel, some of which are rare, as a recipe names them.

Pixels with the label `ignore_index` (`landcover.NO_CLASS`) have no part in any. Of several
processes each takes the mean over its own share of the batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from inference import UserError
from inference.landcover import CLASSES, NO_CLASS, UNKNOWN
from training.engine.values import NotNegative, Value, named

TINY = 1e-6


@dataclass(frozen=True)
class CrossEntropy(Value):
    """The mean of -log p over the pixels, p being what the true class is given.

    Attributes:
        class_weights: by class; none: all alike.
        ignore_unknown: whether no pixel of Unknown counts, or it is a class to learn.
    """

    class_weights: tuple[float, ...] = ()
    ignore_unknown: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.class_weights and len(self.class_weights) != len(CLASSES):
            raise UserError(f"class_weights={list(self.class_weights)}: {len(CLASSES)} are needed")
        if min(self.class_weights, default=0) < 0:
            raise UserError(f"class_weights={list(self.class_weights)}: none is negative")

    def __call__(self, logits: Tensor, masks: Tensor) -> Tensor:
        """Return the mean loss.

        Args:
            logits: fp32 (N, C, H, W).
            masks: int64 (N, H, W), classes or `NO_CLASS`.
        """
        if self.ignore_unknown:
            masks = masks.masked_fill(masks == UNKNOWN, NO_CLASS)
        given = self.class_weights
        weights = torch.tensor(given, device=logits.device) if given else None
        return self.compute(logits, masks, weights)

    def compute(self, logits: Tensor, masks: Tensor, weights: Tensor | None) -> Tensor:
        """Return the loss; weights (C,) of the classes, or None."""
        return cross_entropy(logits, masks, weights)

    def describe(self) -> str:
        weighed = ""
        if self.class_weights:
            listed = ", ".join(f"{weight:g}" for weight in self.class_weights)
            weighed = f", classes weighed {listed}"
        unknown = "does not count" if self.ignore_unknown else "is a class"
        return f"{self._name(weighed)}; Unknown {unknown}"

    def _name(self, weighed: str) -> str:
        return f"cross-entropy{weighed}"


@dataclass(frozen=True)
class Focal(CrossEntropy):
    """The mean of -(1 - p)^gamma log p: what is certain counts little (arXiv 1708.02002)."""

    gamma: NotNegative = 2.0

    def compute(self, logits: Tensor, masks: Tensor, weights: Tensor | None) -> Tensor:
        return cross_entropy(logits, masks, weights, self.gamma)

    def _name(self, weighed: str) -> str:
        return f"focal loss, exponent {self.gamma:g}{weighed}"


@dataclass(frozen=True)
class CrossEntropyDice(CrossEntropy):
    """Cross-entropy + Dice, which asks for each class alike, as the mIoU does, however rare.

    `class_weights` are the cross-entropy's alone.
    """

    def compute(self, logits: Tensor, masks: Tensor, weights: Tensor | None) -> Tensor:
        return cross_entropy(logits, masks, weights) + dice(logits, masks)

    def _name(self, weighed: str) -> str:
        return f"cross-entropy{weighed}, and Dice" if weighed else "cross-entropy and Dice"


LOSSES = named(CrossEntropy, Focal, CrossEntropyDice)


def cross_entropy(
    logits: Tensor, masks: Tensor, weights: Tensor | None = None, gamma: float = 0.0
) -> Tensor:
    """Return the mean of -(1 - p)^gamma log p, weighted by the true class; 0 without a pixel.

    Args:
        logits: fp32 (N, C, H, W).
        masks: int64 (N, H, W), classes or `NO_CLASS`.
        weights: of the classes, (C,); their sum over the pixels divides, as in torch.
    """
    losses = F.cross_entropy(logits, masks, ignore_index=NO_CLASS, reduction="none")
    if gamma:
        # Near p = 1 the power's slope may be infinite; a pixel there has nothing to learn.
        losses = losses * (-torch.expm1(-losses)).clamp(min=TINY) ** gamma
    known = masks != NO_CLASS
    weight = known.float()
    if weights is not None:
        weight = weights[torch.where(known, masks, 0)] * weight
    return (weight * losses).sum() / weight.sum().clamp(min=TINY)


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Return 1 - the mean over classes of 2 sum(p t) / (sum p + sum t), summed over the batch.

    p is the softmax and t the truth, 0 or 1 (soft Dice, as in arXiv 1707.03237). Classes that the
    batch does not hold are left out of the mean. Unknown is not averaged, as in the mIoU; its
    pixels, unless ignored, still count as false alarms of the class predicted there. 0 without any
    class.

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
