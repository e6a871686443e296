"""What a classifier's recipe has beside what every recipe has."""

from __future__ import annotations

from dataclasses import dataclass

from inference import UserError
from training.augment.augmentations import OF_CLASSIFIERS, Augmentation
from training.classification.losses import LOSSES, CrossEntropy
from training.engine.recipe import Recipe
from training.engine.values import Count, Share, WholeNumber, choice


@dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """A classifier's: what its images are, how they are varied, and its loss."""

    size: Count = 32  # side of the network's input, pixels
    small_size: int = 0  # side in the first `small_until` of the epochs, which makes them cheaper
    small_until: Share = 0.0  # share of the epochs
    augment: tuple[Augmentation, ...] = choice(OF_CLASSIFIERS, ())
    loss: CrossEntropy = choice(LOSSES, CrossEntropy())
    frozen: bool = False  # the head alone is trained; the rest stays as it came
    # With the stem so many stages, from the first, stay as they came; the rest is trained
    frozen_stages: WholeNumber = 0
    fraction: Share = 1.0  # share of each class's training images that is used, drawn by the seed
    repeat: Count = 1  # times that an epoch goes through the images, for a small fraction

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.fraction:
            raise UserError("fraction=0 leaves no image: it is above 0 and at most 1")
        if self.frozen_stages and self.frozen:
            raise UserError("frozen=true freezes all stages: leave frozen_stages at 0")
        if self.frozen_stages and not self.starts_pretrained:
            raise UserError(
                f"frozen_stages={self.frozen_stages} would keep random weights: "
                "add pretrained=, or say frozen_stages=0"
            )
        if self.small_until and self.small_size < 8:
            raise UserError(f"small_until={self.small_until} needs small_size=, pixels")
        side = self.cache_size
        for augmentation in self.augment:
            augmentation.check(side)
            if augmentation.cache_size:  # it resizes what it leaves
                side = self.size

    @property
    def input_size(self) -> int:
        return self.size

    @property
    def cache_size(self) -> int:
        """The side at which images are kept: what a crop wants, or the input's."""
        return max((a.cache_size for a in self.augment), default=0) or self.size

    def _describe_problem(self) -> dict[str, str | list[str]]:
        size = f"{self.size} × {self.size}"
        if self.small_until:
            share = f"{100 * self.small_until:g} %"
            size += f"; {self.small_size} in the first {share} of the epochs"
        trained = "the classifier alone" if self.frozen else "all layers"
        if self.frozen_stages:
            few = self.frozen_stages
            stages = "first stage" if few == 1 else f"first {few} stages"
            trained += f" but the stem and those of the {stages}"
        if self.fraction < 1 or self.repeat > 1:
            share = f"{100 * self.fraction:g} %"
            trained += f", on {share} of the labels, {self.repeat} × an epoch"
        return {
            "Input": size,
            "Augmentation": [a.describe() for a in self.augment] or "none",
            "Loss": self.loss.describe(),
            "Trained": trained,
        }
