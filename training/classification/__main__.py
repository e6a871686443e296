"""Train a classifier: python -m training.classification RECIPE --data DIR [key=value ...]."""

from __future__ import annotations

import sys
from pathlib import Path

from training import memory, run
from training.classification import data as labelled
from training.classification.recipes import RECIPES, Recipe
from training.classification.task import Classification


def prepare(recipe: Recipe, data: Path) -> tuple[memory.Batches, memory.Batches]:
    """Makes the training and the held-out batches: uint8 images, int64 labels."""
    paths, labels = labelled.read(recipe.task, data, "train")
    labelled.check_classes(labels, recipe.classes, data)
    train, held = labelled.hold_out(labels, recipe.held_out, recipe.seed)
    pixels = memory.images(paths, recipe.cache_size)
    batches = memory.Batches(
        (pixels, labels), train, recipe.batch_size, shuffle=True, seed=recipe.seed
    )
    # Held-out images are resized as they will be in inference, not cropped from the cache.
    pixels = memory.images([paths[i] for i in held], recipe.size)
    every = range(len(held))
    return batches, memory.Batches((pixels, labels[held]), every, 250, shuffle=False)


if __name__ == "__main__":
    sys.exit(run.main(__doc__, RECIPES, prepare, Classification))
