"""A folder of images without labels, and the labels that watch over the training if there are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inference.images import list_images
from inference.tables import read_columns
from training.classification.data import LABEL


class Images(NamedTuple):
    """Images and their classes, int64 (N,), -1 where a class is not known."""

    paths: list[Path]
    labels: np.ndarray


def read(data: Path) -> Images:
    """Lists `mini/train` of the course's P2 data, or any other folder that holds images.

    Labels come from `mini/train.csv` (filename, label) where it has any; the training never sees
    them.

    Raises:
        UserError: no such folder, or no image in it; the csv has other columns.
    """
    mini = data / "mini" / "train"
    folder = mini if mini.is_dir() else data
    paths = list_images(folder)
    table = folder.with_suffix(".csv")
    known = _labels(table) if folder == mini and table.exists() else {}
    return Images(paths, np.array([known.get(path.name, -1) for path in paths]))


def _labels(table: Path) -> dict[str, int]:
    rows = (values for _, values in read_columns(table, ("filename", "label")))
    # The course's own says None, or nothing.
    given = {(name or "").strip(): (label or "").strip() for name, label in rows}
    return {name: int(label) for name, label in given.items() if re.fullmatch(LABEL, label)}
