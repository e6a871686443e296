"""Pre-train without labels: python -m training.byol RECIPE --data DIR [key=value ...].

DIR is the course's p2_data, of which mini/train is taken, or any folder that holds images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from training.byol import data as unlabelled
from training.byol.recipes import RECIPES, Recipe
from training.byol.task import Byol
from training.data import cache as memory
from training.engine import run


def prepare(recipe: Recipe, data: Path) -> tuple[memory.Batches, memory.Batches | None]:
    """Makes the training batches, uint8 images alone, and those that watch.

    Images with labels, where there are any, are watched by their nearest neighbours: the same
    images that are trained on, whose labels the training does not see.
    """
    paths, labels = unlabelled.read(data)
    pixels = memory.images(paths, recipe.cache_size)
    train = memory.Batches(
        (pixels,), range(len(paths)), recipe.batch_size, shuffle=True, seed=recipe.seed
    )
    known = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[known])) < 2:
        return train, None
    if recipe.size == recipe.cache_size:
        return train, memory.Batches((pixels, labels), known, 250, shuffle=False)
    pixels = memory.images([paths[i] for i in known], recipe.size)
    watched = memory.Batches((pixels, labels[known]), range(len(known)), 250, shuffle=False)
    return train, watched


if __name__ == "__main__":
    sys.exit(run.main(__doc__, RECIPES, prepare, Byol))
