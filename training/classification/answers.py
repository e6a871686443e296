"""What finished runs answer on val, and how often they are right.

predictions.csv   filename,label,predicted of every image of val, beside a run's `result.json`

It is all that a table needs of a run: weights need not be carried along.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference import UserError
from training.classification import data as labelled
from training.classification.recipes import Recipe
from training.keep import write_whole
from training.recipe import recipe_of
from training.run import record_of
from training.score import score

HEADER = ("filename", "label", "predicted")


@dataclass(frozen=True)
class Finished:
    """A run that has its `result.json`; `val` is the accuracy noted there."""

    folder: Path
    recipe: Recipe
    val: float
    trained_on: int


def finished(folder: Path) -> Finished | None:
    """Gives a finished run; None where there is none yet."""
    try:
        result = json.loads((folder / "result.json").read_text())
        recipe = recipe_of(result["recipe"])
        return Finished(folder, recipe, result["scores"]["val"], result["trained_on"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot read {folder / 'result.json'}: {error}") from error


def right(run: Finished, data: Path) -> np.ndarray:
    """Tells for each image of val, in the csv's order, whether the run was right: bool (N,).

    Answers are read from predictions.csv where it has the accuracy of the run's result, else
    given by `best.pth` through the graded path, and written there.

    Raises:
        UserError: neither is there; val is another than the run was scored on.
    """
    paths, labels = labelled.read(run.recipe.task, data, "val")
    names = [path.name for path in paths]
    file = run.folder / "predictions.csv"
    kept = _read(file, names, labels)
    if kept is not None and np.isclose((kept == labels).mean(), run.val):
        return kept == labels
    weights = run.folder / "best.pth"
    if not weights.exists():
        why = "does not fit its result or --data" if file.exists() else "is missing"
        raise UserError(f"{file} {why}, and there is no {weights} to make it anew")
    found = score(record_of(run.recipe), data, "fp32", "auto", weights).predictions
    _write(file, names, labels, found)
    return found == labels


def _read(file: Path, names: list[str], labels: np.ndarray) -> np.ndarray | None:
    try:
        with file.open(newline="") as text:
            rows = list(csv.DictReader(text))
        said = [(row["filename"], int(row["label"])) for row in rows]
        predicted = np.array([int(row["predicted"]) for row in rows])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return predicted if said == list(zip(names, labels.tolist(), strict=True)) else None


def _write(file: Path, names: list[str], labels: np.ndarray, predicted: np.ndarray) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(zip(names, labels.tolist(), predicted.tolist(), strict=True))
    write_whole(file, text.getvalue().encode())
