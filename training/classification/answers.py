"""What finished runs answer on val, and how often they are right.

A run leaves them in its predictions.csv; of one that did not, `best.pth` gives them anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference import UserError
from training.classification import data as labelled
from training.classification import predictions
from training.classification.recipes import Recipe
from training.finished import Damaged, read_result
from training.recipe import recipe_of
from training.run import record_of
from training.score import score

MOVED = 0.02  # by how much another machine may move an accuracy: some of a few hundred images


@dataclass(frozen=True)
class Finished:
    """A run that has its `result.json`; `val` is the accuracy noted there."""

    folder: Path
    recipe: Recipe
    val: float
    trained_on: int


def finished(folder: Path) -> Finished | None:
    """Return a finished run; None where there is none yet.

    Raises:
        Damaged: its result cannot be read.
        UserError: its recipe is of another version of this program.
    """
    result = read_result(folder)
    if not result:
        return None
    val = result.get("scores", {}).get("val")
    if val is None or "recipe" not in result or "trained_on" not in result:
        raise Damaged(f"{folder / 'result.json'} lacks a classifier's score or its recipe")
    return Finished(folder, recipe_of(result["recipe"]), val, result["trained_on"])


def right(run: Finished, data: Path) -> np.ndarray:
    """Tells for each image of val, in the csv's order, whether the run was right: bool (N,).

    Answers are read from predictions.csv where it has the accuracy of the run's result, else
    given by `best.pth` through the graded path, and written there.

    Raises:
        UserError: neither is there; val is another than the run was scored on.
    """
    paths, labels = labelled.read(run.recipe.task, data, "val")
    names = [path.name for path in paths]
    file = run.folder / predictions.NAME
    kept = predictions.read(file, names, labels)
    if kept is not None and np.isclose((kept == labels).mean(), run.val):
        return kept == labels
    weights = run.folder / "best.pth"
    if not weights.exists():
        why = "does not fit its result or --data" if file.exists() else "is missing"
        raise UserError(f"{file} {why}, and there is no {weights} to make it anew")
    found = score(record_of(run.recipe), data, "fp32", "auto", weights).predictions
    now = float((found == labels).mean())
    if abs(now - run.val) > MOVED:
        raise UserError(
            f"{weights} has {now:.3f} on {data}, and its result says {run.val:.3f}: another "
            "validation set, or other weights; name the run's own --data"
        )
    predictions.write(file, names, labels, found)
    return found == labels
