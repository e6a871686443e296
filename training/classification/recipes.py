"""The classification recipes.

`p1-a-report` and `p1-b-report` are the original report's, kept as the baseline: no normalisation,
a cosine of ten epochs that swings back and forth, 5 % of train held out, stopped after 25 epochs
without a gain, PyTorch's own start.
NOTE: precision is auto, bf16 where the machine is fast in it; the original's was fp32.

The others are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from inference import UserError
from training import recipe


@dataclass(frozen=True)
class Recipe(recipe.Recipe):
    """A classifier's: what its images are and how they are varied; 0 leaves a variation out."""

    size: int = 32  # side of the network's input, pixels
    cache_size: int = 32  # side at which images are kept; larger when crops are drawn
    early_size: int = 0  # side in the first `early` of the epochs, which makes them cheaper
    early: float = 0.0  # share of the epochs
    shift: int = 0  # pixels
    crop: float = 0.0  # smallest share of the area that a random crop keeps
    degrees: float = 0.0  # largest rotation of a random crop
    rotate: float = 0.0  # largest rotation about the centre, black outside
    flip: float = 0.5  # chance of a mirror image
    trivial: float = 0.0  # reach of TrivialAugment's strengths, at most 1
    jitter: float = 0.0  # strength of brightness, contrast and saturation
    grey: float = 0.0  # chance of no colour
    blur: int = 0  # side of the Gaussian's kernel, odd, pixels; sigma 0.1 to 2
    cutmix: float = 0.0  # chance
    mixup: float = 0.0  # chance, after cutmix
    cutout: float = 0.0  # side of the covered square, share of the image's
    label_smoothing: float = 0.0

    def __post_init__(self):
        """Refuses images of one size in training and another in prediction.

        Raises:
            UserError: as `training.recipe.Recipe`; `cache_size` is not `size` though nothing is
                cropped; `early` without `early_size`.
        """
        super().__post_init__()
        if not self.crop and self.cache_size != self.size:
            raise UserError(
                f"size={self.size}, cache_size={self.cache_size}: without crop= both are the same"
            )
        if self.early and self.early_size < 8:
            raise UserError(f"early={self.early} needs early_size=, pixels")


RECIPES = {
    # Small and long, half of it at three quarters of the size. No image is held out: the last
    # epoch, when the rate has come down, needs no choice.
    "p1-a": Recipe(
        name="p1-a",
        task="p1",
        network="convnet",
        arguments={"widths": [32, 64, 128, 256]},
        classes=50,
        epochs=240,
        batch_size=128,
        optimizer="adamw",
        lr=3e-3,
        warmup=0.1,
        weight_decay=0.15,
        select="last",
        held_out=0.0,
        tta=True,
        early_size=24,
        early=0.5,
        shift=4,
        trivial=0.5,
        cutmix=0.5,
        label_smoothing=0.1,
    ),
    # 12.4 GFLOP an image forward: for a GPU. arguments={"divide":4} makes it 0.8.
    "p1-a-report": Recipe(
        name="p1-a-report",
        task="p1",
        network="report_cnn",
        classes=50,
        initialise="torch",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        epochs=100,
        patience=25,
        batch_size=64,
        optimizer="adamw",
        lr=5e-4,
        lr_min=2.5e-5,
        schedule="cosine_restart",
        period=10,
        weight_decay=0.01,
        decay_all=True,
        ema=0.0,
        size=64,
        cache_size=64,
        rotate=30.0,
    ),
    # ImageNet's weights (torchvision's), every layer trained, the early ones slowly.
    "p1-b": Recipe(
        name="p1-b",
        task="p1",
        network="resnext101_64x4d",
        classes=50,
        pretrained="imagenet",
        epochs=30,
        batch_size=64,
        optimizer="adamw",
        lr=1e-3,
        layer_decay=0.4,
        warmup=0.1,
        weight_decay=0.05,
        ema=0.9995,
        tta=True,
        size=128,
        cache_size=32,
        crop=0.4,
        trivial=0.5,
        cutmix=0.5,
        mixup=0.2,
        label_smoothing=0.1,
    ),
    "p1-b-report": Recipe(
        name="p1-b-report",
        task="p1",
        network="resnext101_64x4d",
        classes=50,
        initialise="torch",
        pretrained="imagenet",
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        epochs=100,
        patience=25,
        batch_size=64,
        optimizer="adamw",
        lr=7.5e-5,
        schedule="step",
        period=10,
        gamma=0.1,
        weight_decay=0.01,
        decay_all=True,
        ema=0.0,
        size=100,
        cache_size=100,
        rotate=30.0,
        grey=0.2,
        blur=3,
    ),
    # From scratch. A plain ResNet (arguments={}) at 64 pixels learns many times faster, and is
    # what the bundled checkpoint started from: pretrained=FILE.
    "p2-a": Recipe(
        name="p2-a",
        task="p2",
        network="resnet50",
        arguments={"head": [256, 128]},
        classes=65,
        epochs=60,
        batch_size=32,
        optimizer="adamw",
        lr=1e-3,
        warmup=0.1,
        weight_decay=0.05,
        size=128,
        cache_size=144,
        crop=0.6,
        degrees=8.0,
        jitter=0.3,
        label_smoothing=0.1,
    ),
}
