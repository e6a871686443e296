"""The pre-training recipes.

`p2-byol-report` is the original report's: byol_pytorch (github.com/lucidrains/byol-pytorch) with
`use_momentum=False`, which makes it SimSiam (arXiv 2011.10566) with BYOL's predictor. There the
two views are drawn once for a batch, from images that are normalised already; so the jitter clamps
away what is below the mean, and the views are normalised a second time.
NOTE: precision is auto, bf16 where the machine is fast in it; the original's was fp32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from inference import UserError
from training.engine import recipe

WORDS = {
    "views": ("byol", "byol_pytorch"),
    "projector": ("byol", "simsiam"),
    "target": ("momentum", "online"),
    "target_norm": ("batch", "running"),
}


@dataclass(frozen=True)
class Recipe(recipe.Recipe):
    """BYOL's (arXiv 2006.07733): its views, its heads and its target.

    Pairs are (first view's, second view's): the paper's two sets of augmentations, T and T'.
    """

    graded: ClassVar[bool] = False

    ema: float = 0.0  # the target is the average, and is not exported
    held_out: float = 0.0
    select: str = "last"
    size: int = 128  # side of the views, pixels
    # Side at which images are kept, squashed to a square as in prediction. The course's are 84.
    # All 38,400 at 128 just fit the 2 GiB that may lie on a GPU, see training/ahead.py.
    cache_size: int = 128
    views: str = "byol"  # drawn per image, or byol_pytorch: its own, drawn once for a batch
    area: tuple[float, float] = (0.08, 1.0)  # share of the image that a crop keeps
    flip: float = 0.5
    jitter: tuple[float, float, float, float] = (0.4, 0.4, 0.2, 0.1)  # the last is the hue's
    jitter_chance: float = 0.8
    grey: float = 0.2
    blur: tuple[float, float] = (1.0, 0.1)  # chances; the kernel is a tenth of the side
    solarise: tuple[float, float] = (0.0, 0.2)  # chances
    hidden: int = 4096  # width of the heads' hidden layers
    projection: int = 256  # width of what they give
    projector: str = "byol"  # two layers, or simsiam: three, with BN after each and no bias
    # An average of the online network, moved after each step, or the online network itself
    target: str = "momentum"
    # What a momentum target's BN normalises by: the batch, as the authors', or the online network's
    # running statistics
    target_norm: str = "batch"
    # Of the momentum target, at first; 1 at the end. The authors took .99 for 300 epochs of
    # ImageNet and .996 for 1000: the fewer steps, the lower.
    tau: float = 0.996
    watch: int = 5  # epochs from one k-NN accuracy to the next
    collapse: float = 0.05  # spread of the projections, 1 at best, below which a run is stopped

    def __post_init__(self):
        """Refuses what no run could mean.

        Raises:
            UserError: as `training.engine.recipe.Recipe`.
        """
        super().__post_init__()
        for key, words in WORDS.items():
            if getattr(self, key) not in words:
                raise UserError(f"{key}={getattr(self, key)}: it is one of {', '.join(words)}")
        if self.select != "last" or self.ema:
            raise UserError("pre-training has no score that chooses, and its own average: leave "
                            "select=last and ema=0")  # fmt: skip
        if self.batch_size < 2 or self.watch < 1:
            raise UserError(f"batch_size={self.batch_size}, watch={self.watch}: at least 2, and 1")
        if not 0 <= self.tau <= 1:
            raise UserError(f"tau={self.tau}: it is a share, from 0 to 1")
        if self.size < 8:
            raise UserError(f"size={self.size}: a view has 8 pixels a side at least")


RECIPES = {
    # compile=true is for long runs on a GPU: on one H100, at batch_size=128, the first epoch took
    # 84 s with it. A CPU gains nothing by it.
    "p2-byol": Recipe(
        name="p2-byol",
        task="byol",
        network="resnet50",
        classes=1000,
        epochs=300,
        batch_size=256,
        # The authors' at this batch, for tens of thousands of steps: optimizer=lars lr=0.3
        # weight_decay=1e-6. In a few hundred AdamW has come further.
        optimizer="adamw",
        lr=1e-3,
        weight_decay=1e-4,
        warmup=0.033,  # 10 epochs
    ),
    # The report says lr_min=5e-6, its code 1.5e-5: lr_min=1.5e-5
    "p2-byol-report": Recipe(
        name="p2-byol-report",
        task="byol",
        network="resnet50",
        classes=1000,
        initialise="torchvision",
        epochs=1000,
        batch_size=128,
        optimizer="adamw",
        lr=1e-4,
        lr_min=5e-6,
        schedule="cosine_restart",
        period=10,
        period_unit="step",
        weight_decay=5e-4,
        decay_all=True,
        views="byol_pytorch",
        projector="simsiam",
        target="online",
    ),
}
