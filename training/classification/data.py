"""The course's folders of labelled images."""

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


def read(task: str, data: Path, part: str) -> Labelled:
    """Lists a part of a problem's data.

    Args:
        task: p1 (names tell the class: `{class}_{id}.png`), p2 (office, whose csv does) or mini
            (the images to pre-train on, where their csv has labels).
        data: `hw1_data/p1_data` or `hw1_data/p2_data`.
        part: train or val.

    Raises:
        UserError: the layout is not the course's.
    """
    if task == "p1":
        return _from_names(data / f"{part}_50")
    folder = data / ("mini" if task == "mini" else "office")
    return _from_csv(folder / f"{part}.csv", folder / part)


def _from_names(folder: Path) -> Labelled:
    paths = list_images(folder)
    matches = [re.fullmatch(f"({LABEL})_[0-9]+", path.stem) for path in paths]
    for path, match in zip(paths, matches, strict=True):
        if not match:
            raise UserError(f"{path} has no class in its name: it should be like 12_345.png")
    return Labelled(paths, np.array([int(match[1]) for match in matches]))


def _from_csv(table: Path, folder: Path) -> Labelled:
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
        labels.append(int(label))
    if not paths:
        raise UserError(f"{table} lists no image: is it complete?")
    return Labelled(paths, np.array(labels))


def check_classes(labels: np.ndarray, classes: int, where: Path) -> None:
    """Makes sure that labels are within [0, classes) and that none is without an image.

    Raises:
        UserError: otherwise.
    """
    if labels.min() < 0 or labels.max() >= classes:
        raise UserError(f"labels in {where} reach {labels.max()}, classes={classes} allows less")
    missing = sorted(set(range(classes)) - set(labels.tolist()))
    if missing:
        raise UserError(f"no image of class {missing[0]} in {where} ({len(missing)} have none)")


def hold_out(labels: np.ndarray, share: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Splits indices into those to train on and those that choose the epoch, class by class.

    Args:
        share: of each class, at least one image of it, unless it has no other; 0 holds nothing out.

    Raises:
        UserError: no class has two images.
    """
    everything = np.arange(len(labels))
    if not share:
        return everything, everything[:0]
    random = np.random.default_rng(seed)
    held = [
        random.permutation(np.flatnonzero(labels == label))[: max(1, round(share * count))]
        for label, count in zip(*np.unique(labels, return_counts=True), strict=True)
        if count > 1
    ]
    if not held:
        raise UserError("no class has two images to hold one out: add held_out=0 select=last")
    chosen = np.sort(np.concatenate(held))
    return np.setdiff1d(everything, chosen), chosen
