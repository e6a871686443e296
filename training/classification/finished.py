"""What a run has left in its folder, and the validation set that it is judged on."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference import UserError
from training.classification import data as labelled
from training.classification import features
from training.classification.recipes import Recipe
from training.recipe import recipe_of

LOGGED = ("loss", "accuracy")  # columns of metrics.csv


@dataclass(frozen=True)
class Run:
    """A classifier's run; epochs are numbered from 1, as in the names of its files.

    Attributes:
        kept: weights of single epochs by their number.
        columns: those of `LOGGED`, a value an epoch; none where no epoch was logged.
        best: the chosen epoch; None where nothing tells it.
        val: the graded accuracy on the validation set; None for an unfinished run.
    """

    folder: Path
    recipe: Recipe
    data: Path
    kept: dict[int, Path]
    columns: dict[str, list[float]]
    best: int | None
    val: float | None


@dataclass(frozen=True)
class Validation:
    """Images: paths, uint8 (N, S, S, 3) as the network sees them, int64 (N,); names of classes."""

    paths: list[Path]
    pixels: np.ndarray
    labels: np.ndarray
    names: list[str]


def read_run(folder: Path, data: Path | None = None) -> Run:
    """Reads a run's folder.

    Args:
        data: where the run's own data is by now, or other data of its classes.

    Raises:
        UserError: recipe.json, best.pth or the data is missing, or it is no classifier's run.
    """
    for name in ("recipe.json", "best.pth"):
        if not (folder / name).is_file():
            raise UserError(f"no {name} in {folder}: give a run's folder, like runs/p1-a-s0")
    fields = _json(folder / "recipe.json")
    if fields.get("task") == "p3":
        raise UserError(f"{folder} holds a run of {fields['name']}, which is no classifier")
    result = _json(folder / "result.json") if (folder / "result.json").is_file() else {}
    if data is None and "data" not in result:
        raise UserError(f"{folder} has no result.json that names its data: add --data DIR")
    data = data or Path(result["data"])
    if not data.is_dir():
        raise UserError(f"no folder {data}: say where the run's data is with --data DIR")
    kept = {
        int(match[1]): file
        for file in sorted(folder.glob("epoch-*.pth"))
        if (match := re.fullmatch(r"epoch-(\d+)", file.stem))
    }
    columns, scores = _columns(folder / "metrics.csv"), result.get("scores", {})
    best = scores.get("best_epoch")  # from 0
    if best is None and columns:
        last = fields.get("select") == "last"  # which its weights are of, whatever was measured
        best = len(columns["accuracy"]) - 1 if last else int(np.nanargmax(columns["accuracy"]))
    best = None if best is None else best + 1
    return Run(folder, recipe_of(fields), data, kept, columns, best, scores.get("val"))


def _json(file: Path) -> dict:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}") from error


def _columns(file: Path) -> dict[str, list[float]]:
    if not file.is_file():
        return {}
    with file.open(newline="") as text:
        rows = list(csv.DictReader(text))
    columns = {name: [float(row.get(name) or math.nan) for row in rows] for name in LOGGED}
    return {} if any(np.isnan(values).all() for values in columns.values()) else columns


def read_validation(run: Run) -> Validation:
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
