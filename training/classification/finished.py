"""What a classifier's run has left in its folder, and the validation set that it is judged on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference import UserError
from training.classification import features
from training.classification.recipes import Recipe
from training.data import labels as labelled
from training.engine import run_folder as finished


@dataclass(frozen=True)
class Validation:
    """Images: paths, uint8 (N, S, S, 3) as the network sees them, int64 (N,); names of classes."""

    paths: list[Path]
    pixels: np.ndarray
    labels: np.ndarray
    names: list[str]


def read_run(folder: Path, data: Path | None = None) -> finished.Run:
    """Reads a classifier's run, as `training.engine.run_folder.read_run` does.

    Raises:
        UserError: as there; it is no classifier's run.
    """
    run = finished.read_run(folder, "accuracy", data)
    if not isinstance(run.recipe, Recipe):
        raise UserError(f"{folder} holds a run of {run.recipe.name}, which is no classifier")
    return run


def read_validation(run: finished.Run) -> Validation:
    """Reads the validation set.

    Raises:
        UserError: its layout is not the course's, an image is broken, or it has other classes.
    """
    paths, labels = labelled.read(run.recipe.task, run.data, "val")
    if labels.min() < 0 or labels.max() >= run.recipe.classes:
        raise UserError(
            f"labels of val in {run.data} reach {labels.max()}, {run.folder} knows "
            f"{run.recipe.classes} classes: give the run's own --data"
        )
    if len(labels) < 4:
        raise UserError(f"only {len(labels)} images in val of {run.data}: too few for figures")
    names = class_names(paths, labels, run.recipe.classes)
    return Validation(paths, features.read(paths, run.recipe.size), labels, names)


def class_names(paths: Sequence[Path], labels: np.ndarray, classes: int) -> list[str]:
    """Names classes by number, and by the word that all files of each, and no others, begin with.

    `Couch00024.jpg` of class 4 makes `4 Couch`; P1's names have no word.
    """
    words: dict[int, set[str]] = {}
    for path, label in zip(paths, labels.tolist(), strict=True):
        words.setdefault(label, set()).add(re.match(r"[A-Za-z]*", path.stem)[0])
    every = set().union(*words.values())
    if "" in every or not len(every) == len(words) == sum(map(len, words.values())):
        words = {}
    return [" ".join([str(label), *words.get(label, ())]) for label in range(classes)]
