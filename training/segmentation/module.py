"""A segmentation network in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn

import mean_iou_evaluate as evaluator
from inference import UserError
from training.augment.augmentations import apply
from training.engine.module import TrainingModule
from training.segmentation import iou


class Segmentation(TrainingModule):
    """A loss per pixel on random crops; the score is the mIoU over the measured tiles.

    An auxiliary head without a weight keeps its start: it would never have a gradient, for which
    several processes would wait.
    """

    metric = "mIoU"
    reduced_counters = ("confusion",)
    confusion: Tensor

    def __init__(self, recipe) -> None:
        super().__init__(recipe)
        if hasattr(type(self.network), "features"):  # what classifiers have
            raise UserError(
                f"network={recipe.network} classifies whole images: land cover takes a "
                "segmentation network, such as lraspp_mobilenet_v3_large"
            )
        head = getattr(self.network, "aux_classifier", None)
        if head is not None and not recipe.aux_weight:
            head.requires_grad_(False)
        zeros = torch.zeros(iou.SHAPE, dtype=torch.int64)
        self.register_buffer("confusion", zeros, persistent=False)

    def loss(self, images: Tensor, masks: Tensor) -> Tensor:
        """Return the mean loss of a batch.

        Args:
            images: uint8 (N, H, W, 3).
            masks: uint8 (N, H, W) in 0-6, 255 where no class.
        """
        recipe = self.recipe
        with self.full_precision():  # a matrix product of an augmentation would round the pixels
            images, masks = apply(recipe.augment, self.to_float(images), masks, recipe.crop_side)
            images, masks = self.normalise(images), masks.long()
        output = self.network(images)
        with self.full_precision():
            loss = recipe.loss(output["out"].float(), masks)
            if recipe.aux_weight:
                loss = loss + recipe.aux_weight * recipe.loss(output["aux"].float(), masks)
        return loss

    def measure(self, network: nn.Module, images: Tensor, masks: Tensor) -> None:
        """Add whole tiles to the confusion matrix; arguments as `loss`."""
        logits = network(self.normalise(self.to_float(images)))["out"]
        self.confusion += iou.count(masks, logits.argmax(1))

    def score(self) -> dict[str, float]:
        """Return the mean IoU of classes 0-5 over all pixels measured, and that of each class.

        It is as the evaluator defines it, but that a class that is on neither side is left out of
        the mean, where the evaluator would say nan. A class's is `iou_urban` and so on.
        """
        ious = iou.ious(self.confusion.tolist())
        self.confusion.zero_()
        names = [f"iou_{name}" for name in evaluator.CLASSES[: iou.AVERAGED]]
        return {self.metric: iou.mean(ious), **dict(zip(names, ious, strict=True))}
