"""The segmentation recipes.

`p3-a-report` and `p3-b-report` are the original report's, kept as the baseline: whole tiles as they
are, no normalisation, no augmentation, cross-entropy without Unknown, the epoch chosen on val.
NOTE: precision is auto, bf16 where the machine is fast in it; the original's was fp32. Of its two
DeepLabV3 heads only the one that predicts is trained here: what the other's loss counted is not
known.

The others are ours. They learn Unknown as a class. A pixel that is Unknown counts against whatever
class is seen there, and an Unknown in the wrong place is one miss, where a wrong class is a miss
and a false alarm: it is never worse than a wrong guess. With `unknown=ignore` a network learns that
it never occurs.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference import UserError
from inference.landcover import CLASSES
from training.engine import recipe
from training.segmentation.losses import NAMES


@dataclass(frozen=True)
class Recipe(recipe.Recipe):
    """A segmentation network's: what its images are and how they are varied, and its loss."""

    crop: int = 512  # side of the crops that it is trained on, pixels; 0: whole tiles
    scale: tuple[float, float] = (0.5, 2.0)  # of a crop's side in the tile, relative to `crop`
    turn: bool = True  # flips and quarter turns, one of eight for each image
    jitter: float = 0.0  # strength of brightness, contrast and saturation
    loss: str = "ce"  # or focal, ce_dice: see training/segmentation/losses.py
    focusing: float = 2.0  # of focal: the exponent
    class_weights: tuple[float, ...] = ()  # of cross-entropy, by class; none: all alike
    unknown: str = "class"  # Unknown is a class to learn; or ignore: no pixel of it counts
    auxiliary: float = 0.0  # weight of the auxiliary head's loss, where the network has one

    def __post_init__(self):
        """Refuses what no run could mean.

        Raises:
            UserError: as `training.engine.recipe.Recipe`.
        """
        super().__post_init__()
        for key, words in (("loss", NAMES), ("unknown", ("class", "ignore"))):
            if getattr(self, key) not in words:
                raise UserError(f"{key}={getattr(self, key)}: it is one of {', '.join(words)}")
        if self.classes != len(CLASSES):
            raise UserError(f"classes={self.classes}: land cover has {len(CLASSES)}")
        if self.crop and self.crop < 32:
            raise UserError(f"crop={self.crop}: it is 0, whole tiles, or from 32 up, pixels")
        if len(self.scale) != 2 or not 0 < self.scale[0] <= self.scale[1]:
            raise UserError(f"scale={list(self.scale)}: it is two numbers, the smaller first")
        if self.class_weights and len(self.class_weights) != len(CLASSES):
            raise UserError(f"class_weights={list(self.class_weights)}: {len(CLASSES)} are needed")
        if min(self.class_weights, default=0) < 0 or self.focusing < 0:
            raise UserError("class_weights and focusing are not negative")
        if self.auxiliary and not self.arguments.get("aux"):
            raise UserError(f'auxiliary={self.auxiliary} needs its head: arguments={{"aux":true}}')

    def kept(self) -> tuple[int, ...]:
        """Gives the epochs, from 1, whose weights are kept for figures: the last one too."""
        return self.keep or (*super().kept(), self.epochs)


RECIPES = {
    # FCN-32s, on what ImageNet taught VGG16; focal loss is what the best of the course's reports
    # of this model had.
    "p3-a": Recipe(
        name="p3-a",
        task="p3",
        network="vgg16_fcn32",
        classes=7,
        pretrained="imagenet",
        epochs=60,
        batch_size=16,
        optimizer="adamw",
        lr=2e-4,
        warmup=0.05,
        weight_decay=0.05,
        crop=384,
        scale=(0.67, 1.33),
        jitter=0.25,
        loss="focal",
    ),
    "p3-a-report": Recipe(
        name="p3-a-report",
        task="p3",
        network="vgg16_fcn32",
        arguments={"transposed": True},
        classes=7,
        initialise="torch",
        pretrained="imagenet",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        epochs=60,
        batch_size=16,
        momentum=0.95,
        nesterov=False,
        lr=5e-3,
        schedule="step",
        period=10,
        gamma=0.5,
        weight_decay=5e-4,
        decay_all=True,
        ema=0.0,
        select="val",
        crop=0,
        turn=False,
        unknown="ignore",
    ),
    # All of COCO's weights but the last layers; the trunk learns more slowly towards the image.
    # The parts of a tile that make a crop are shrunk and enlarged alike: on the whole a network
    # sees the size of things that it will predict.
    "p3-b": Recipe(
        name="p3-b",
        task="p3",
        network="deeplabv3_resnet50",
        arguments={"aux": True},
        classes=7,
        pretrained="coco",
        epochs=60,
        batch_size=16,
        optimizer="adamw",
        lr=5e-4,
        layer_decay=0.6,
        warmup=0.05,
        weight_decay=0.05,
        crop=384,
        scale=(0.67, 1.33),
        jitter=0.25,
        loss="ce_dice",
        auxiliary=0.4,
    ),
    "p3-b-report": Recipe(
        name="p3-b-report",
        task="p3",
        network="deeplabv3_resnet50",
        classes=7,
        initialise="torch",
        pretrained="coco_trunk",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        epochs=15,
        batch_size=16,
        momentum=0.95,
        nesterov=False,
        lr=5e-3,
        schedule="step",
        period=10,
        gamma=0.5,
        weight_decay=5e-4,
        decay_all=True,
        ema=0.0,
        select="val",
        crop=0,
        turn=False,
        unknown="ignore",
    ),
    # For two CPU cores.
    "p3-lite": Recipe(
        name="p3-lite",
        task="p3",
        network="lraspp_mobilenet_v3_large",
        classes=7,
        epochs=60,
        batch_size=8,
        optimizer="adamw",
        lr=1.5e-3,
        warmup=0.05,
        weight_decay=0.05,
        crop=256,
        scale=(0.7, 1.4),
        jitter=0.25,
    ),
}
