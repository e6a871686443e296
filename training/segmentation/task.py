"""A segmentation network in training."""

from __future__ import annotations

import math

import torch
from torch.nn import functional as F

from inference import landcover
from training import augment
from training.task import Task


class Segmentation(Task):
    """Cross-entropy per pixel on random crops; the score is the mIoU over the held-out tiles."""

    score_name = "mIoU"
    counts = ("confusion",)

    def __init__(self, recipe):
        super().__init__(recipe)
        self.register_buffer("confusion", torch.zeros(7, 7, dtype=torch.int64), persistent=False)

    def loss(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Args: images uint8 (N, H, W, 3); masks uint8 (N, H, W) in 0-6, 255 where no class."""
        recipe = self.recipe
        with self.exact():  # a matrix product of an augmentation would round the pixels
            images, masks = _vary(self.unit(images), masks, recipe)
            images, masks = self.normalise(images), masks.long()
        output = self.network(images)
        loss = F.cross_entropy(output["out"].float(), masks, ignore_index=landcover.NO_CLASS)
        if recipe.auxiliary:
            auxiliary = F.cross_entropy(
                output["aux"].float(), masks, ignore_index=landcover.NO_CLASS
            )
            loss = loss + recipe.auxiliary * auxiliary
        return loss

    def measure(self, images: torch.Tensor, masks: torch.Tensor) -> None:
        """Adds whole tiles to the confusion matrix; arguments as `loss`."""
        logits = self.average(self.normalise(self.unit(images)))["out"]
        known = masks != landcover.NO_CLASS
        pairs = masks[known].long() * 7 + logits.argmax(1)[known]
        self.confusion += torch.bincount(pairs, minlength=49).view(7, 7)

    def score(self) -> float:
        """Mean IoU of classes 0-5 over all pixels measured, as the evaluator defines it."""
        right = self.confusion.diagonal()
        union = self.confusion.sum(0) + self.confusion.sum(1) - right
        miou = (right / union)[:6].mean().item()
        self.confusion.zero_()
        return 0.0 if math.isnan(miou) else miou


def _vary(images: torch.Tensor, masks: torch.Tensor, recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Augments images (N, 3, H, W) in [0, 1] and their masks (N, H, W) as the recipe says."""
    # A crop's area is drawn uniformly between its smallest and largest side, squared.
    area = tuple(min(1.0, (s * recipe.crop / images.shape[-1]) ** 2) for s in recipe.scale)
    images, masks = augment.crop(images, recipe.crop, area, (0.8, 1.25), masks=masks)
    images, masks = augment.turn(images, masks)
    if recipe.jitter:
        images = augment.jitter(images, *[recipe.jitter] * 3)
    return images, masks
