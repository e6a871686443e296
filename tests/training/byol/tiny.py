"""A pre-training small enough for tests, and what stands in for its views."""

import numpy as np
import torch
from training.byol.task import Byol

from training.byol.recipes import Recipe
from training.data import cache as memory
from training.engine.loop import fit

FIELDS = {
    "name": "tiny",
    "task": "byol",
    "network": "convnet",
    "classes": 3,
    "arguments": {"widths": [4, 8], "depths": [0]},
    "epochs": 2,
    "batch_size": 8,
    "lr": 0.05,
    "size": 16,
    "cache_size": 16,
    "hidden": 16,
    "projection": 8,
    "tau": 0.9,
    "watch": 1,
    "precision": "fp32",
}


def recipe(**changes):
    return Recipe(**{**FIELDS, **changes})


def arrays(count=40):
    """Gives noisy images, dark ones of class 0 and bright ones of class 1."""
    random = np.random.default_rng(0)
    labels = np.arange(count) % 2
    pixels = random.integers(0, 100, (count, 16, 16, 3)) + 100 * labels[:, None, None, None]
    return pixels.astype(np.uint8), labels


def train(out, watched=True, **changes):
    """Trains; gives the task and what `fit` found."""
    torch.manual_seed(0)
    task = Byol(recipe(**changes))
    pixels, labels = arrays()
    batches = memory.Batches((pixels,), range(40), task.recipe.batch_size, shuffle=True)
    watching = memory.Batches((pixels, labels), range(40), 16, shuffle=False) if watched else None
    return task, fit(task, batches, watching, out, say=lambda line: None)


def plain_pair(images, recipe, normalise):
    """Views without a draw: the image, and it upside down and darker."""
    return normalise(images), normalise(images.flip(2) * 0.7)
