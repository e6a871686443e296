"""What a run has left in its folder."""

from __future__ import annotations

import csv
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from inference import UserError
from training.engine.recipe import Recipe, recipe_of


@dataclass(frozen=True)
class Run:
    """A run; epochs are numbered from 1, as in the names of its files.

    Attributes:
        kept: weights of single epochs by their number.
        columns: those of metrics.csv, a value an epoch, nan where one was not measured; none
            where no epoch was logged.
        best: the epoch of best.pth; None where nothing tells it.
        val: the graded score on the validation set; None where there is none.
    """

    folder: Path
    recipe: Recipe
    data: Path
    kept: dict[int, Path]
    columns: dict[str, list[float]]
    best: int | None
    val: float | None


def read_run(folder: Path, score: str, data: Path | None = None) -> Run:
    """Reads a run's folder.

    Args:
        score: the column of metrics.csv that chooses the epoch: accuracy or mIoU.
        data: where the run's own data is by now, or other data.

    Raises:
        UserError: recipe.json, best.pth or the data is missing; the recipe is of another version.
    """
    for name in ("recipe.json", "best.pth"):
        if not (folder / name).is_file():
            raise UserError(f"no {name} in {folder}: give a run's folder, like runs/p1-a-s0")
    recipe = recipe_of(read_json(folder / "recipe.json"))
    result = read_json(folder / "result.json") if (folder / "result.json").is_file() else {}
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
    columns, scores = read_columns(folder / "metrics.csv"), result.get("scores", {})
    best = _best(recipe, columns.get(score), scores.get("best_epoch"))
    val = scores.get("val")
    val = None if val is None or math.isnan(val) else val
    return Run(folder, recipe, data, kept, columns, best, val)


def read_json(file: Path) -> dict:
    """Reads one of a run's records.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {file}: {error}") from error


def read_columns(table: Path) -> dict[str, list[float]]:
    """Reads metrics.csv: each column's values, nan where an epoch has none; {} without a file."""
    if not table.is_file():
        return {}
    with table.open(newline="") as text:
        rows = list(csv.DictReader(text))
    names = rows[0] if rows else ()
    return {name: [float(row[name] or math.nan) for row in rows] for name in names}


def _best(recipe: Recipe, measured: list[float] | None, told: int | None) -> int | None:
    """Gives the epoch of best.pth; a run that has not ended logs it without saying so."""
    if told is not None:
        return told + 1
    if not measured or np.isnan(measured).all():
        return None
    if recipe.select != "last":
        return int(np.nanargmax(measured)) + 1
    # Its weights are of the last epoch at which they were due, whatever was measured.
    due = (epoch + 1 for epoch in reversed(range(len(measured))) if recipe.is_due(epoch))
    return next(due, None)
