"""The pre-training recipes.

`p2-byol-report` is the original report's: byol_pytorch (github.com/lucidrains/byol-pytorch) with
`use_momentum=False`, which makes it SimSiam (arXiv 2011.10566) with BYOL's predictor. There the
two views are drawn once for a batch, from images that are normalised already; so a jitter, where
one is drawn, clamps away what is below the mean or more than a deviation above it, and the views
are normalised a second time. Up to its 0.7 each view passes the network by itself, as here; from
0.8 on both are one batch to the network and its BN.
NOTE: precision is auto, bf16 where the machine is fast in it; the original's was fp32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

from inference import UserError
from training.byol.views import VIEWS, ByolPytorchViews, ByolViews, Views
from training.engine.claim import Claim
from training.engine.optimizers import AdamW
from training.engine.recipe import Recipe
from training.engine.schedules import CosineCycle, WarmupCosine
from training.engine.selection import SELECTIONS, LastEpoch, Selection
from training.engine.values import Count, Share, Value, at_least, choice, named, one_of

HEADS = {"byol": "two layers", "simsiam": "three layers (SimSiam’s)"}
NORMS = {"batch": "the batch", "running": "running statistics"}


@dataclass(frozen=True)
class Momentum(Value):
    """Targets by an average of the online network, moved after each step (arXiv 2006.07733).

    Attributes:
        tau: its decay at first; 1 at the end. The authors took .99 for 300 epochs of ImageNet and
            .996 for 1000: the fewer steps, the lower.
        norm: what its BatchNorm normalises by: the batch, as the authors', or the online network's
            running statistics.
    """

    tau: Share = 0.996
    norm: Annotated[str, one_of(NORMS)] = "batch"

    def describe(self) -> str:
        norm = f"its BN normalises by {NORMS[self.norm]}"
        return f"the online network’s average, decay {self.tau:g} rising to 1; {norm}"


@dataclass(frozen=True)
class Online(Value):
    """Targets by the online network itself, without a gradient: SimSiam (arXiv 2011.10566)."""

    words = "the online network itself, without a gradient (SimSiam)"


TARGETS = named(Momentum, Online)


@dataclass(frozen=True)
class ByolRecipe(Recipe):
    """BYOL's (arXiv 2006.07733): its views, its heads and its target."""

    ema: float = 0.0  # the target is the average, and is not exported
    select_epoch_by: Selection = choice(SELECTIONS, LastEpoch())
    batch_size: Annotated[int, at_least(2)] = 64
    size: Annotated[int, at_least(8)] = 128  # side of the views, pixels
    # Side at which images are kept, squashed to a square as in prediction. The course's are 84.
    # All 38,400 at 128 just fit the 2 GiB that may lie on a GPU, see engine/prefetch.py.
    cache_size: Count = 128
    views_by: Views = choice(VIEWS, ByolViews())
    hidden: Count = 4096  # width of the heads' hidden layers
    projection: Count = 256  # width of what they return
    # Two layers, or simsiam: three, with BN after each and no bias
    projector: Annotated[str, one_of(HEADS)] = "byol"
    target: Momentum | Online = choice(TARGETS, Momentum())
    knn_every: Count = 5  # epochs from one k-NN accuracy to the next
    collapse: float = 0.05  # spread of the projections, 1 at best, below which a run is stopped

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.select_epoch_by != LastEpoch() or self.ema:
            raise UserError(
                "pre-training has no score that chooses, and its own average: leave "
                "select_epoch_by=LastEpoch() and ema=0"
            )

    @property
    def input_size(self) -> int:
        return self.size

    def _describe_problem(self) -> dict[str, str | list[str]]:
        return {
            "Input": f"{self.size} × {self.size}, from images kept at {self.cache_size}",
            "Augmentation": self.views_by.describe(),
            "Loss": "2 − 2 cos of each view’s prediction and the other’s projection, both ways",
            "Target": self.target.describe(),
            "Heads": f"projector of {HEADS[self.projector]}, predictor of two: {self.hidden} "
            f"hidden, {self.projection} out",
            "Watched": f"k-NN accuracy every {self.knn_every} epochs; stopped where the "
            f"projections’ spread falls below {self.collapse:g}",
        }

    def _describe_prediction(self) -> dict[str, str | list[str]]:
        return {}


_recipe = partial(ByolRecipe, problem="byol", network="resnet50", classes=1000)
RECIPES = {
    # compile=true is for long runs on a GPU: on one H100, at batch_size=128, the first epoch took
    # 84 s with it. A CPU gains nothing by it.
    "p2-byol": _recipe(
        name="p2-byol",
        epochs=300,
        batch_size=256,
        # The authors' at this batch, for tens of thousands of steps:
        # optimizer=LARS(lr=0.3,weight_decay=1e-6). In a few hundred AdamW has come further.
        optimizer=AdamW(lr=1e-3, weight_decay=1e-4),
        schedule=WarmupCosine(0.033),  # 10 epochs
    ),
    # The report says lr_min=5e-6, its code 1.5e-5: lr_min=1.5e-5
    "p2-byol-report": _recipe(
        name="p2-byol-report",
        init="torchvision",
        epochs=1000,
        batch_size=128,
        optimizer=AdamW(lr=1e-4, weight_decay=5e-4, decay_norm_and_bias=True),
        schedule=CosineCycle(period=10, lr_min=5e-6, unit="step"),
        views_by=ByolPytorchViews(),
        projector="simsiam",
        target=Online(),
    ),
}
CLAIMS = {
    "p2-byol": [
        Claim(
            0.523,
            "Caltech-101: 5,479 images of 64 classes",
            "one H100 that several runs shared",
            5.1,
            changes="epochs=80 lr=0.001 tau=0.99 warmup=0.1 cache_size=160 compile=true",
        ),
        Claim(
            0.157,
            "mini-ImageNet: 38,400 images of 64 classes",
            "one core of an AMD EPYC (Zen 5), other work beside",
            109.2,
            changes="size=64 cache_size=84 epochs=7 batch_size=128 lr=0.0007 tau=0.99 warmup=0.1",
        ),
    ],
}
