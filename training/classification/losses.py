"""Losses of a classifier, as a recipe names them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from training.engine.values import Share, Value, named


@dataclass(frozen=True)
class CrossEntropy(Value):
    """Cross-entropy with targets that are shares of the classes, smoothed if asked for."""

    label_smoothing: Share = 0.0

    def __call__(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss of logits and targets, both (N, classes)."""
        return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)

    def describe(self) -> str:
        if not self.label_smoothing:
            return "cross-entropy"
        return f"cross-entropy, labels smoothed by {self.label_smoothing:g}"


LOSSES = named(CrossEntropy)
