"""The segmentation recipes.

`p3-a-report` and `p3-b-report` are the original report's, kept as the baseline: whole tiles as they
are, no normalisation, no augmentation, cross-entropy without Unknown, the epoch chosen on val.
NOTE: precision is auto, bf16 where the machine is fast in it; the original's was fp32. Of its two
DeepLabV3 heads only the one that predicts is trained here: what the other's loss counted is not
known.

The others are ours, and learn Unknown as a class. The mIoU has no class Unknown, but a class that
is predicted on an Unknown pixel gets a false alarm. Elsewhere a wrong Unknown is a miss, and a
wrong class a miss and a false alarm. So to predict Unknown is never worse than to predict a wrong
class. With `ignore_unknown=true` a network does not learn to predict it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from inference import UserError
from inference.landcover import CLASSES
from training.augment.augmentations import (
    OF_SEGMENTERS,
    Augmentation,
    ColorJitter,
    Dihedral,
    TileCrop,
)
from training.engine.claim import Claim
from training.engine.optimizers import SGD, AdamW
from training.engine.recipe import Recipe
from training.engine.schedules import Step, WarmupCosine
from training.engine.selection import BestOnVal
from training.engine.values import NotNegative, choice
from training.segmentation.losses import LOSSES, CrossEntropy, CrossEntropyDice, Focal


@dataclass(frozen=True)
class SegmentationRecipe(Recipe):
    """A segmentation network's: how its tiles are varied, and its loss."""

    augment: tuple[Augmentation, ...] = choice(OF_SEGMENTERS, ())
    loss: CrossEntropy = choice(LOSSES, CrossEntropy())
    aux_weight: NotNegative = 0.0  # of the auxiliary head's loss, where the network has one

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes != len(CLASSES):
            raise UserError(f"classes={self.classes}: land cover has {len(CLASSES)}")
        if self.aux_weight and not self.arguments.get("aux"):
            raise UserError(
                f'aux_weight={self.aux_weight} needs its head: arguments={{"aux":true}}'
            )

    @property
    def crop_side(self) -> int:
        """The side of the crops that it is trained on, pixels; 0: whole tiles."""
        return next((a.side for a in self.augment if isinstance(a, TileCrop)), 0)

    @property
    def views(self) -> str:
        """What a prediction with `tta` is averaged over, in words."""
        return "over eight flips and turns"

    def kept_epochs(self) -> tuple[int, ...]:
        """Return the epochs, from 1, whose weights are kept for figures: the last one too."""
        return self.keep_epochs or (*super().kept_epochs(), self.epochs)

    def _describe_problem(self) -> dict[str, str | list[str]]:
        side = self.crop_side
        loss = self.loss.describe()
        if self.aux_weight:
            loss += f"; plus {self.aux_weight:g} times the auxiliary head’s"
        return {
            "Input": f"crops of {side} × {side}" if side else "whole tiles",
            "Augmentation": [a.describe() for a in self.augment] or "none",
            "Loss": loss,
        }


_recipe = partial(SegmentationRecipe, problem="p3", classes=len(CLASSES))
# The original report's: SGD on pixels as they are, in [0, 1], the epoch chosen on val
_report = partial(
    _recipe,
    init="torch",
    mean=(0.0, 0.0, 0.0),
    std=(1.0, 1.0, 1.0),
    batch_size=16,
    optimizer=SGD(5e-3, momentum=0.95, nesterov=False, weight_decay=5e-4, decay_norm_and_bias=True),
    schedule=Step(period=10, gamma=0.5),
    ema=0.0,
    select_epoch_by=BestOnVal(),
    loss=CrossEntropy(ignore_unknown=True),
)

RECIPES = {
    # FCN-32s, on what ImageNet taught VGG16; focal loss is what the best of the course's reports
    # of this model had.
    "p3-a": _recipe(
        name="p3-a",
        network="vgg16_fcn32",
        pretrained="imagenet",
        epochs=60,
        batch_size=16,
        optimizer=AdamW(lr=2e-4, weight_decay=0.05),
        schedule=WarmupCosine(0.05),
        augment=(TileCrop(384, (0.67, 1.33)), Dihedral(), ColorJitter(0.25)),
        loss=Focal(),
    ),
    "p3-a-report": _report(
        name="p3-a-report",
        network="vgg16_fcn32",
        arguments={"transposed": True},
        pretrained="imagenet",
        epochs=60,
    ),
    # All of COCO's weights but the last layers; the trunk learns more slowly towards the image.
    # The parts of a tile that make a crop are shrunk and enlarged alike: on the whole a network
    # sees the size of things that it will predict.
    "p3-b": _recipe(
        name="p3-b",
        network="deeplabv3_resnet50",
        arguments={"aux": True},
        pretrained="coco",
        epochs=60,
        batch_size=16,
        optimizer=AdamW(lr=5e-4, weight_decay=0.05, layer_decay=0.6),
        schedule=WarmupCosine(0.05),
        augment=(TileCrop(384, (0.67, 1.33)), Dihedral(), ColorJitter(0.25)),
        loss=CrossEntropyDice(),
        aux_weight=0.4,
    ),
    "p3-b-report": _report(
        name="p3-b-report",
        network="deeplabv3_resnet50",
        pretrained="coco_trunk",
        epochs=15,
    ),
    # EfficientNet-Lite0 from ImageNet's weights under LRASPP's head, for CPUs.
    "p3-b-lite": _recipe(
        name="p3-b-lite",
        network="lraspp_efficientnet_lite0",
        pretrained="imagenet",
        mean=(127 / 255,) * 3,
        std=(128 / 255,) * 3,
        epochs=40,
        batch_size=8,
        optimizer=AdamW(lr=1.5e-3, weight_decay=0.05, layer_decay=0.8),
        schedule=WarmupCosine(0.05),
        augment=(TileCrop(256, (0.7, 1.4)), Dihedral(), ColorJitter(0.25)),
        loss=CrossEntropyDice(),
    ),
    # For CPUs.
    "p3-lite": _recipe(
        name="p3-lite",
        network="lraspp_mobilenet_v3_large",
        epochs=60,
        batch_size=8,
        optimizer=AdamW(lr=1.5e-3, weight_decay=0.05),
        schedule=WarmupCosine(0.05),
        augment=(TileCrop(256, (0.7, 1.4)), Dihedral(), ColorJitter(0.25)),
    ),
}
DUBAI = "Dubai from the air and two scenes of DeepGlobe: 174 + 31 tiles"
ZEN5 = "one core of an AMD EPYC (Zen 5), other work beside"
# Of the networks for GPUs, half an hour from scratch, since torchvision's weights could not be had
_SHORT = "pretrained=none epochs={} select_epoch_by=LastEpoch() "
_OURS = _SHORT + "side=256 scale=[0.7,1.4]"
_REPORTS = _SHORT + "augment=TileCrop(256,[1,1]),Dihedral()"
CLAIMS = {
    "p3-a": [Claim(0.413, DUBAI, ZEN5, 31.8, changes=_OURS.format(22))],
    "p3-a-report": [Claim(0.224, DUBAI, ZEN5, 24.9, changes=_REPORTS.format(22))],
    "p3-b": [Claim(0.306, DUBAI, ZEN5, 27.3, changes=_OURS.format(10))],
    "p3-b-report": [
        Claim(
            0.375,
            DUBAI,
            "one core of an Intel Xeon with AMX, other work beside",
            28.6,
            changes=_REPORTS.format(16),
        ),
    ],
    "p3-b-lite": [
        Claim(
            0.633,
            DUBAI,
            "one core of an AMD EPYC (Zen 4), other work beside",
            34.0,
            changes="epochs=30 select_epoch_by=LastEpoch() save_every=3",
        ),
    ],
    "p3-lite": [
        Claim(
            0.521,
            DUBAI,
            "one core of an AMD EPYC (Zen 4), other work beside",
            30.9,
            changes="epochs=113 select_epoch_by=LastEpoch() save_every=5",
        ),
        Claim(
            0.542,
            "DeepGlobe: 8 + 4 tiles of two scenes, five classes in val",
            "two cores of an AMD EPYC (Zen 5)",
            1.2,
            sd=0.012,
            n=3,
            changes="epochs=200 select_epoch_by=LastEpoch() save_every=50",
        ),
    ],
}
