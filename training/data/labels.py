"""Labelled images: classes that names tell, or that a csv does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inference import UserError
from inference.images import list_images
from inference.tables import locate, read_columns

LABEL = "[0-9]{1,9}"  # longer numbers would not fit an int64, and no problem has so many classes


class Labelled(NamedTuple):
    """Images and their classes, int64 (N,)."""

    paths: list[Path]
    labels: np.ndarray


def from_names(folder: Path) -> Labelled:
    """List a folder's images; raise UserError unless all are called `{class}_{id}`."""
    paths = list_images(folder)
    matches = [re.fullmatch(f"({LABEL})_[0-9]+", path.stem) for path in paths]
    for path, match in zip(paths, matches, strict=True):
        if not match:
            raise UserError(f"{path} has no class in its name: it should be like 12_345.png")
    return Labelled(paths, np.array([int(match[1]) for match in matches if match]))


def from_csv(table: Path, folder: Path) -> Labelled:
    """List the images of a csv with columns filename and label.

    Raises:
        UserError: the csv cannot be read, lists no image, or lacks a label (the line is named).
    """
    if not table.is_file():
        raise UserError(f"cannot read {table}: there is no such file; is --data right?")
    paths, labels = [], []
    for number, (name, label) in read_columns(table, ("filename", "label")):
        if not name or not re.fullmatch(LABEL, (label or "").strip()):
            raise UserError(
                f"line {number} of {table} should have a filename and a numeric label, and has "
                f"{name!r} and {label!r}: complete or remove it"
            )
        paths.append(locate(folder, name))
        labels.append(int(label or ""))
    if not paths:
        raise UserError(f"{table} lists no image: is it complete?")
    return Labelled(paths, np.array(labels))


def check_classes(labels: np.ndarray, classes: int, where: Path) -> None:
    """Raise UserError unless labels are within [0, classes) and none is without an image."""
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"labels in {where} reach {labels.max()}, classes={classes} allows less")
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise UserError(f"no image of class {missing[0]} in {where} ({len(missing)} have none)")
