"""Labelled images: classes that names tell, or that a csv does."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from inference import UserError
from inference.images import list_images


class Labelled(NamedTuple):
    """Images and their classes, int64 (N,)."""

    paths: list[Path]
    labels: np.ndarray


def from_names(folder: Path) -> Labelled:
    """List a folder's images whose names are `{class}_{id}`.

    Raises:
        UserError: no image; one whose name tells no class.
    """
    paths = list_images(folder)
    matches = [re.fullmatch(r"(\d+)_\d+", path.stem) for path in paths]
    for path, match in zip(paths, matches, strict=True):
        if not match:
            raise UserError(f"{path} has no class in its name: it should be like 12_345.png")
    return Labelled(paths, np.array([int(match[1]) for match in matches if match]))


def from_csv(table: Path, folder: Path) -> Labelled:
    """List the images of a csv with columns filename and label.

    Raises:
        UserError: the csv cannot be read, lists no image, or lacks a label.
    """
    try:
        with table.open(newline="", encoding="utf-8-sig") as text:
            rows = list(csv.DictReader(text))
        if not rows:
            raise UserError(f"{table} lists no image: is it complete?")
        labels = np.array([int(row["label"]) for row in rows])
        return Labelled([folder / row["filename"] for row in rows], labels)
    except OSError as error:
        raise UserError(f"cannot read {table}: {error.strerror}; is --data right?") from error
    except (KeyError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{table} should have filename and a numeric label in each row") from error


def check_classes(labels: np.ndarray, classes: int, where: Path) -> None:
    """Raise UserError unless labels are within [0, classes) and none is without an image."""
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"labels in {where} reach {labels.max()}, classes={classes} allows less")
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise UserError(f"no image of class {missing[0]} in {where} ({len(missing)} have none)")
