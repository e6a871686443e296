"""Images to pre-train on without labels, and those with labels for the k-NN accuracy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from inference.images import list_images
from inference.tables import read_columns
from training.byol.recipes import ByolRecipe
from training.data import cache
from training.data.batches import Batches
from training.data.labels import LABEL, Labelled
from training.engine.problem import Files

MEASURED_TOGETHER = 250


def read(data: Path) -> Labelled:
    """List `mini/train` of the course's P2 data, or any other folder that holds images.

    Labels, which the training never sees, come from `mini/train.csv` (filename, label) where it has
    any; -1 where a class is not known.

    Raises:
        UserError: no such folder, or no image in it; the csv has other columns.
    """
    mini = data / "mini" / "train"
    folder = mini if mini.is_dir() else data
    paths = list_images(folder)
    table = folder.with_suffix(".csv")
    known: dict[str, int] = {}
    if folder == mini and table.exists():
        rows = (values for _, values in read_columns(table, ("filename", "label")))
        # The course's own says None, or nothing.
        given = {(name or "").strip(): (label or "").strip() for name, label in rows}
        known = {name: int(label) for name, label in given.items() if re.fullmatch(LABEL, label)}
    return Labelled(paths, np.array([known.get(path.name, -1) for path in paths]))


def batches(recipe: ByolRecipe, data: Path) -> tuple[Batches, Batches | None]:
    """Return the training batches, uint8 images alone, and those of the k-NN accuracy, or None.

    The latter are the training images that have labels, with their labels, int64; None where these
    are of fewer than two classes. The loss sees no label.
    """
    paths, labels = read(data)
    pixels = cache.images(paths, recipe.cache_size)
    train = Batches((pixels,), range(len(paths)), recipe.batch_size, shuffle=True, seed=recipe.seed)
    known = np.flatnonzero(labels >= 0)
    if len(np.unique(labels[known])) < 2:
        return train, None
    if recipe.size == recipe.cache_size:
        return train, Batches((pixels, labels), known, MEASURED_TOGETHER, shuffle=False)
    pixels = cache.images([paths[i] for i in known], recipe.size)
    arrays = pixels, labels[known]
    return train, Batches(arrays, range(len(known)), MEASURED_TOGETHER, shuffle=False)


def files(recipe: ByolRecipe, data: Path) -> list[Files]:
    """Return the images that a run trains on; labels only watch it."""
    return [Files(read(data).paths)]
