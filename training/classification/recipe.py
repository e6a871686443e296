"""What a classification recipe has beside what every recipe has."""

from __future__ import annotations

from dataclasses import dataclass

from inference import UserError
from training.engine import recipe

SHARES = (
    "early",
    "crop",
    "flip",
    "trivial",
    "grey",
    "cutmix",
    "mixup",
    "cutout",
    "label_smoothing",
)


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
    frozen: bool = False  # train the classifier alone, on features that stay as they came
    fraction: float = 1.0  # share of each class's training images that is used, drawn by the seed
    repeat: int = 1  # times that an epoch goes through the images, for a small fraction

    @property
    def graded(self) -> bool:
        """Whether the scripts can answer with what it trains: not with classes of `mini`."""
        return self.task != "mini"

    def __post_init__(self):
        """Refuses images of one size in training and another in prediction.

        Raises:
            UserError: as `training.engine.recipe.Recipe`; a share or side out of its range; `cache_size`
                is not `size` though nothing is cropped; `early` without `early_size`; no such
                `fraction` or `repeat`; `frozen` of a network that is no ResNet.
        """
        super().__post_init__()
        for key in SHARES:
            if not 0 <= getattr(self, key) <= 1:
                raise UserError(f"{key}={getattr(self, key)}: it is a share, from 0 to 1")
        if min(self.size, self.cache_size) < 1:
            raise UserError(f"size={self.size}, cache_size={self.cache_size}: from 1 up, pixels")
        if not 0 <= self.shift < self.size:
            raise UserError(f"shift={self.shift}: from 0 to less than size={self.size}, pixels")
        if self.blur and not (self.blur % 2 and 0 < self.blur < 2 * self.size):
            raise UserError(f"blur={self.blur}: 0, or odd and below twice size={self.size}, pixels")
        if not self.crop and self.cache_size != self.size:
            raise UserError(
                f"size={self.size}, cache_size={self.cache_size}: without crop= both are the same"
            )
        if self.early and self.early_size < 8:
            raise UserError(f"early={self.early} needs early_size=, pixels")
        if not 0 < self.fraction <= 1:
            raise UserError(f"fraction={self.fraction}: it is a share, above 0 and at most 1")
        if self.repeat < 1:
            raise UserError(f"repeat={self.repeat}: it is a whole number from 1 up")
        if self.frozen and self.network not in ("resnet50", "resnext101_64x4d"):
            raise UserError(f"frozen is for ResNets; {self.network} is trained as a whole")
