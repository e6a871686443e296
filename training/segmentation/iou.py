"""IoU as `mean_iou_evaluate.py` counts it, to the last digit: over all pixels of all images."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from inference.landcover import CLASSES

AVERAGED = 6  # classes in the mean: all but Unknown
# Rows are what a pixel is, the last one no class (red), which matches nothing; columns what was
# predicted.
SHAPE = (len(CLASSES) + 1, len(CLASSES))


def count(masks: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
    """Return the number of pixels of each class and prediction, int64 `SHAPE`.

    Args:
        masks: uint8, any shape: classes, or 255 (`landcover.NO_CLASS`).
        predicted: of the same shape: classes, any integer type.
    """
    rows, columns = SHAPE
    pairs = masks.long().clamp(max=rows - 1) * columns + predicted.long()
    return torch.bincount(pairs.flatten(), minlength=rows * columns).view(SHAPE)


def ious(confusion: Sequence[Sequence[int]]) -> list[float]:
    """Return TP / (TP + FP + FN) of the classes 0-5, nan where a class is on neither side.

    Args:
        confusion: as `count` returns it, plain integers.
    """
    found = []
    for i in range(AVERAGED):
        true, predicted = sum(confusion[i]), sum(row[i] for row in confusion)
        union = true + predicted - confusion[i][i]
        found.append(confusion[i][i] / union if union else math.nan)
    return found


def mean(values: Sequence[float]) -> float:
    """Return the mean IoU of the classes that are present, 0 without any.

    With all classes present it is the evaluator's to the last digit. With one absent the evaluator
    returns nan, by which no epoch could be chosen.
    """
    present = [value for value in values if not math.isnan(value)]
    total = 0.0
    for value in present:  # in the evaluator's order of operations: it decides the last digit
        total += value / len(present)
    return total


def weighted(confusion: Sequence[Sequence[int]]) -> float:
    """Return the mean IoU weighted by each class's share of the pixels that are of classes 0-5.

    The "frequency weighted IU" of arXiv 1411.4038. It judges a single image, in which most classes
    are absent or a few pixels; nan where all are.
    """
    sizes = [sum(row) for row in confusion[:AVERAGED]]
    parts = zip(sizes, ious(confusion), strict=True)
    total = sum(size * value for size, value in parts if size)
    return total / sum(sizes) if any(sizes) else math.nan
