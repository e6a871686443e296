"""Train a classifier: python -m training.classification RECIPE --data DIR [key=value ...].

`p2-table` in the place of RECIPE trains P2's settings and compares them (p2-table --help).
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from training.classification.recipes import RECIPES, Recipe
from training.classification.task import Classification
from training.data import cache as memory
from training.data import labels as labelled
from training.data import splits as fraction
from training.engine import run


def prepare(recipe: Recipe, data: Path) -> tuple[memory.Batches, memory.Batches]:
    """Makes the training batches and those that are measured after every epoch.

    Both hold uint8 images and int64 labels. Where nothing is held out of train the course's
    validation set is measured: it draws the curve, and chooses the epoch only with `select=val`.
    """
    paths, labels = labelled.read(recipe.task, data, "train")
    labelled.check_classes(labels, recipe.classes, data)
    share = recipe.held_out if recipe.holds_out() else 0.0
    train, held = labelled.hold_out(labels, share, recipe.seed)
    train = fraction.part(labels, train, recipe.fraction, recipe.seed)
    arrays = memory.images(paths, recipe.cache_size), labels
    given = {"batch_size": recipe.batch_size, "shuffle": True, "seed": recipe.seed}
    if recipe.repeat == 1:
        batches = memory.Batches(arrays, train, **given)
    else:
        batches = fraction.Repeated(arrays, train, **given, repeat=recipe.repeat)
    if not len(held):
        return batches, _measured(recipe, *labelled.read(recipe.task, data, "val"))
    return batches, _measured(recipe, [paths[i] for i in held], labels[held])


def _measured(recipe: Recipe, paths: list[Path], labels: np.ndarray) -> memory.Batches:
    # Resized as they will be in inference, not cropped from the cache.
    pixels = memory.images(paths, recipe.size)
    return memory.Batches((pixels, labels), range(len(paths)), 250, shuffle=False)


if __name__ == "__main__":
    if sys.argv[1:2] == ["p2-table"]:
        from training.classification import table  # slow to import, for its statistics' sake

        sys.exit(table.main(sys.argv[2:]))
    sys.exit(run.main(__doc__, RECIPES, prepare, Classification))
