"""A segmentation network in training."""

from __future__ import annotations

import torch

import mean_iou_evaluate as evaluator
from inference import landcover
from training import augment
from training.engine.module import Task
from training.segmentation import iou, losses


class Segmentation(Task):
    """A loss per pixel on random crops; the score is the mIoU over the measured tiles.

    Attributes:
        ious: of the classes 0-5 when they were last measured; nan where a class was on neither
            side.
    """

    score_name = "mIoU"
    counts = ("confusion",)

    def __init__(self, recipe):
        super().__init__(recipe)
        self.register_buffer(
            "confusion", torch.zeros(iou.SHAPE, dtype=torch.int64), persistent=False
        )
        weights = torch.tensor(recipe.class_weights) if recipe.class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)
        self.ious: list[float] = []

    def loss(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Args: images uint8 (N, H, W, 3); masks uint8 (N, H, W) in 0-6, 255 where no class."""
        recipe = self.recipe
        with self.exact():  # a matrix product of an augmentation would round the pixels
            images, masks = vary(self.unit(images), masks, recipe)
            images, masks = self.normalise(images), masks.long()
            if recipe.unknown == "ignore":
                masks = masks.masked_fill(masks == landcover.UNKNOWN, landcover.NO_CLASS)
        output = self.network(images)
        with self.exact():
            loss = self._loss_of(output["out"], masks)
            if recipe.auxiliary:
                loss = loss + recipe.auxiliary * self._loss_of(output["aux"], masks)
        return loss

    def _loss_of(self, logits: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        weights, focusing = self.class_weights, self.recipe.focusing
        return losses.loss(self.recipe.loss, logits.float(), masks, weights, focusing)

    def measure(self, images: torch.Tensor, masks: torch.Tensor) -> None:
        """Adds whole tiles to the confusion matrix; arguments as `loss`."""
        logits = self.average(self.normalise(self.unit(images)))["out"]
        self.confusion += iou.count(masks, logits.argmax(1))

    def score(self) -> float:
        """Mean IoU of classes 0-5 over all pixels measured, as the evaluator defines it.

        A class that is on neither side is left out, where the evaluator would say nan.
        """
        self.ious = iou.ious(self.confusion.tolist())
        self.confusion.zero_()
        return iou.mean(self.ious)

    def on_validation_epoch_end(self):
        """Keeps the score, and the IoU of each class beside it, `iou_urban` and so on."""
        super().on_validation_epoch_end()
        averaged = evaluator.CLASSES[: iou.AVERAGED]
        for name, value in zip(averaged, self.ious, strict=True):
            self.scores[f"iou_{name}"] = value


def vary(images: torch.Tensor, masks: torch.Tensor, recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Augments images (N, 3, H, W) in [0, 1] and their masks (N, H, W) as the recipe says."""
    if recipe.crop:
        # A crop's area is drawn uniformly between its smallest and largest side, squared.
        area = tuple(min(1.0, (s * recipe.crop / images.shape[-1]) ** 2) for s in recipe.scale)
        images, masks = augment.crop(images, recipe.crop, area, (0.8, 1.25), masks=masks)
    if recipe.turn:
        images, masks = augment.turn(images, masks)
    if recipe.jitter:
        images = augment.jitter(images, *[recipe.jitter] * 3)
    return images, masks
