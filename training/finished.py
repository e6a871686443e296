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
from training.recipe import Recipe, recipe_of


class Damaged(UserError):
    """A file that a run has left is not as it left it."""


NUMBER = (int, float)
UNKNOWN = type(None)
# Types of what result.json holds and is read.
RESULT = {
    "recipe": dict,
    "scores": dict,
    "data": str,
    "command": str,
    "origin": (str, UNKNOWN),
    "trained_on": int,
    "epochs": int,
    "kept": list,
    "minutes": NUMBER,
    "finished": str,
    "device": str,
    "cores": (int, UNKNOWN),
    "processes": int,
    "precision": str,
    "revision": str,
}
SCORES = {
    **{name: (*NUMBER, UNKNOWN) for name in ("val", "held_out", "accuracy", "knn", "mIoU")},
    **{name: (int, UNKNOWN) for name in ("images", "best_epoch")},
}


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
        UserError: recipe.json, best.pth or the data is missing; the recipe is of another version;
            a file is damaged.
    """
    for name in ("recipe.json", "best.pth"):
        if not (folder / name).is_file():
            raise UserError(f"no {name} in {folder}: give a run's folder, like runs/p1-a-s0")
    recipe = recipe_of(read_json(folder / "recipe.json"))
    result = read_result(folder)
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
    """Read one of a run's records.

    Raises:
        Damaged: it cannot be read, or is no record.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise Damaged(f"cannot read {file}: {reason}") from error
    if not isinstance(found, dict):
        raise Damaged(f"{file} is none of ours: it holds no record, but {json.dumps(found)[:40]}")
    return found


def read_result(folder: Path) -> dict:
    """Read a run's result.json, {} without one, whose values are of the types that we write.

    Raises:
        Damaged: it cannot be read, or has a value of another type.
    """
    file = folder / "result.json"
    if not file.is_file():
        return {}
    result = read_json(file)
    _expect(result, RESULT, file)
    _expect(result.get("scores", {}), SCORES, file)
    return result


def read_noted(folder: Path) -> dict:
    """Read a run's data.json, {} for a run from before there was one.

    Raises:
        Damaged: as `read_result`.
    """
    file = folder / "data.json"
    if not file.exists():
        return {}
    noted = read_json(file)
    _expect(noted, {"folder": str, "key": str}, file)
    return noted


def _expect(fields: dict, kinds: dict, file: Path) -> None:
    for name, kind in kinds.items():
        value = fields.get(name)
        is_right = isinstance(value, kind) and not isinstance(value, bool)
        if name in fields and not is_right:
            raise Damaged(f"{file} is none of ours: {name} is {json.dumps(value)[:40]}")


def read_columns(table: Path) -> dict[str, list[float]]:
    """Read metrics.csv: each column's values, nan where an epoch has none; {} without a file.

    Raises:
        Damaged: it cannot be read, or its rows are not those of the epochs 0, 1, 2, ...
    """
    if not table.is_file():
        return {}
    try:
        text = table.read_text(encoding="utf-8-sig")
        names, *rows = [row for row in csv.reader(text.splitlines(), strict=True) if row] or [[]]
        if any(len(row) != len(names) for row in rows) or len(set(names)) < len(names):
            raise ValueError("a row has another number of values than columns have names")
        columns = {
            name: [float(row[i] or math.nan) for row in rows] for i, name in enumerate(names)
        }
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise Damaged(f"cannot read {table}: {reason}; mend or remove it") from error
    if rows and columns.get("epoch") != list(range(len(rows))):
        raise Damaged(f"{table} is damaged: its epochs are not 0, 1, 2, ...; mend or remove it")
    return columns if rows else {}


def _best(recipe: Recipe, measured: list[float] | None, told: int | None) -> int | None:
    """Gives the epoch of best.pth; a run that has not ended logs it without saying so."""
    if told is not None:
        return told + 1 if told >= 0 else None
    if not measured or np.isnan(measured).all():
        return None
    if recipe.select != "last":
        return int(np.nanargmax(measured)) + 1
    # Its weights are of the last epoch at which they were due, whatever was measured.
    due = (epoch + 1 for epoch in reversed(range(len(measured))) if recipe.is_due(epoch))
    return next(due, None)
