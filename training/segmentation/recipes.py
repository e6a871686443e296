"""The segmentation recipes."""

from __future__ import annotations

from dataclasses import dataclass

from training import recipe


@dataclass(frozen=True)
class Recipe(recipe.Recipe):
    """A segmentation network's: what its images are and how they are varied."""

    crop: int = 512  # side of the crops that it is trained on, pixels
    scale: tuple[float, float] = (0.5, 2.0)  # of a crop's side, relative to `crop`
    jitter: float = 0.0  # strength of brightness, contrast and saturation
    auxiliary: float = 0.0  # weight of the auxiliary head's loss, where the network has one


RECIPES = {
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
