"""A pre-training small enough for tests, and what stands in for its views."""

from dataclasses import dataclass

import numpy as np
import torch

from training.byol.module import Byol
from training.byol.recipes import ByolRecipe, Momentum
from training.byol.views import Views
from training.data.batches import Batches
from training.engine import loop
from training.engine.optimizers import SGD

FIELDS = {
    "name": "tiny",
    "problem": "byol",
    "network": "convnet",
    "classes": 3,
    "arguments": {"widths": [4, 8], "depths": [0]},
    "epochs": 2,
    "batch_size": 8,
    "optimizer": SGD(0.05),
    "size": 16,
    "cache_size": 16,
    "hidden": 16,
    "projection": 8,
    "target": Momentum(0.9),
    "knn_every": 1,
    "precision": "fp32",
}


def recipe(**changes):
    return ByolRecipe(**{**FIELDS, **changes})


def arrays(count=40):
    """Return noisy images, dark ones of class 0 and bright ones of class 1."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 100, (count, 16, 16, 3)) + 100 * labels[:, None, None, None]
    return pixels.astype(np.uint8), labels


def train(out, watched=True, **changes):
    """Train; return the module and the outcome."""
    torch.manual_seed(0)
    module = Byol(recipe(**changes))
    pixels, labels = arrays()
    batches = Batches((pixels,), range(40), module.recipe.batch_size, shuffle=True)
    watching = Batches((pixels, labels), range(40), 16, shuffle=False) if watched else None
    return module, loop.train(module, batches, watching, out, log=lambda line: None)


def plain_pair(images, normalise):
    """Return views without a draw: the image, and it upside down and darker."""
    return normalise(images), normalise(images.flip(2) * 0.7)


@dataclass(frozen=True)
class PlainViews(Views):
    """Views without a draw."""

    def pair(self, images, size, normalise):
        """Return both views."""
        return plain_pair(images, normalise)
