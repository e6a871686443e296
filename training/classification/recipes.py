"""The classification recipes."""

from __future__ import annotations

from dataclasses import dataclass

from training import recipe


@dataclass(frozen=True)
class Recipe(recipe.Recipe):
    """A classifier's: what its images are and how they are varied; 0 leaves a variation out."""

    size: int = 32  # side of the network's input, pixels
    cache_size: int = 32  # side at which images are kept; larger when crops are drawn
    shift: int = 0  # pixels
    crop: float = 0.0  # smallest share of the area that a random crop keeps
    degrees: float = 0.0  # largest rotation of a random crop
    flip: float = 0.5  # chance of a mirror image
    jitter: float = 0.0  # strength of brightness, contrast and saturation
    cutmix: float = 0.0  # chance
    label_smoothing: float = 0.0


RECIPES = {
    # On the sample data two epochs are enough; on the course's, give it an hour or a GPU.
    "p1-a": Recipe(
        name="p1-a",
        task="p1",
        network="convnet",
        classes=50,
        epochs=60,
        batch_size=128,
        optimizer="adamw",
        lr=3e-3,
        warmup=0.2,
        weight_decay=0.05,
        shift=4,
        jitter=0.2,
        label_smoothing=0.1,
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
